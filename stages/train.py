"""Train one model of one arm."""

import os
import platform
import shlex
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor

from pipeline.artifacts import (
    ARMS,
    LOCK_FILE,
    PICTURE_ARM,
    PREPARED_FOLDER,
    SPLITS,
    ModelName,
    digest,
    history_file,
    model_folder,
    prepared_folder,
    weights_file,
)
from pipeline.coding.klt import FITTED_FRAMES, klt_of
from pipeline.coding.quantizer import add_noise, round_straight_through
from pipeline.data.batches import Batches
from pipeline.data.frames import open_frames
from pipeline.files import write_rows
from pipeline.inference.edge import BATCH
from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet, StackedPredictions
from pipeline.nets.stored import save_model
from pipeline.params import Params, ParamsError, flat
from pipeline.source import evenly
from pipeline.tracking import api as tracking
from pipeline.training.checkpoint import Checkpoints, checkpoint_key
from pipeline.training.loop import Schedule, fit
from pipeline.training.losses import BitsTerm, Objective, RateTerm
from pipeline.training.pictures import CodedPictures
from pipeline.training.runtime import Runtime, open_runtime, precision_of, seed_all
from pipeline.training.state import Row
from pipeline.workspace import main_root
from stages.settings import Number, Text, load, run

SECTIONS = ("tasks", "data", "model", "balance", "train")
"""Settings that a model of any arm depends on."""
OWN_SECTION = {"proposed": "loss", "entropy": "entropy", PICTURE_ARM: "pictures"}
"""Arm -> the section that comes on top."""
INITIAL = 2**31
"""A third number of a seed, which keeps it apart from the seeds of the epochs."""


def main(encoder: Text, arm: Text, seed: Number) -> None:
    """Train one model of an arm: benchmark, proposed, entropy or picture."""
    params = load()
    allowed = (*ARMS, PICTURE_ARM)
    if arm not in allowed:
        raise ParamsError(f"arm is {arm!r}; allowed: {', '.join(allowed)}")
    launch(params.machine.launcher, ["--encoder", encoder, "--arm", arm, "--seed", str(seed)])
    name = ModelName(encoder, arm, seed)
    precision = precision_of(params.train.precision, params.train.noise)
    with open_runtime(params.machine.device, precision, params.machine.compile) as runtime:
        if params.train.batch % runtime.world:
            raise ParamsError(
                f"train.batch is {params.train.batch}, which {runtime.world} processes cannot "
                "share equally"
            )
        train(name, params, settings_of(params, arm), runtime)


def launch(launcher: str, arguments: list[str]) -> None:
    """Become `machine.launcher` with this same command, unless it is python or began this process.

    Here and not in the stage's command, which DVC would take for another model's.
    """
    try:
        words = shlex.split(launcher)
    except ValueError:  # a quotation that does not end
        words = []
    if not words or shutil.which(words[0]) is None:
        raise ParamsError(
            f"machine.launcher is {launcher!r}, but there is no such command here; allowed: "
            "python, or a launcher such as torchrun --nproc-per-node=2"
        )
    if words == ["python"] and os.environ.get("WORLD_SIZE", "1") != "1":
        raise ParamsError(
            f"machine.launcher is python, which starts one process, but WORLD_SIZE is "
            f"{os.environ['WORLD_SIZE']} in the environment, as a launcher leaves it; unset RANK "
            "and WORLD_SIZE, or name the launcher"
        )
    if words != ["python"] and "RANK" not in os.environ:
        os.execvp(words[0], [*words, "-m", "stages.train", *arguments])


def settings_of(params: Params, arm: str) -> dict[str, object]:
    """Return the settings, flat, that decide what a model of this arm becomes."""
    sections = (*SECTIONS, OWN_SECTION.get(arm))
    chosen = {key: x for key, x in flat(params).items() if key.split(".")[0] in sections}
    for key in ("entropy.codecs", "pictures.codecs", "pictures.seeds"):
        chosen.pop(key, None)
    return chosen | {"quantizer.range_percent": params.quantizer.range_percent}


def train(name: ModelName, params: Params, settings: dict[str, object], runtime: Runtime) -> None:
    """Fit a model, or go on with it, and write and log its folder."""
    described = runtime.described()
    key = checkpoint_of(name, params, settings) if runtime.rank == 0 else None
    path = main_root() / ".checkpoints" / f"{name}-{key}.pt" if key else None
    checkpoints = Checkpoints(path, params.machine.checkpoint_minutes)
    frames, val = (Batches(open_frames(prepared_folder(x)), device=runtime.device) for x in SPLITS)
    net = initial_net(name, params, frames)
    coded = name.arm == PICTURE_ARM
    with tracking.start(
        enabled=params.tracking.enabled and runtime.rank == 0,
        experiment=params.tracking.experiment,
        name=f"train {name}",
        params={
            **settings,
            **name._asdict(),
            "scale": f"{params.data.width}x{params.data.height}",
            **{f"runtime.{key}": value for key, value in described.items()},
        },
        tags={
            "stage": "train",
            "model": str(name),
            **{k: str(v) for k, v in name._asdict().items()},
        },
        resume=key,
    ) as tracked:

        def on_epoch(row: Row) -> None:
            tracked.log({k: v for k, v in row.items() if k != "epoch"}, step=int(row["epoch"]))

        history = fit(
            net,
            objective_of(name, params),
            CodedPictures(frames, params.pictures.qualities) if coded else frames,
            val,
            schedule=Schedule(
                epochs=params.train.epochs,
                batch=params.train.batch,
                learning_rate=params.train.learning_rate,
                decay_power=params.train.decay_power,
                validate_every=params.train.validate_every,
                bottleneck_rate=params.entropy.learning_rate,
            ),
            surrogate=surrogate_of(name, params),
            runtime=runtime,
            seed=name.seed,
            checkpoints=checkpoints,
            on_epoch=on_epoch,
        )
        if runtime.rank == 0:
            save_model(model_folder(name), net, description(name, params, settings, described))
            write_rows(history_file(name), history)
            log_model(name, params, net, tracked)
    checkpoints.done()


def checkpoint_of(name: ModelName, params: Params, settings: dict[str, object]) -> str:
    """Return a name for all that a training depends on: settings, data, first weights, code."""
    weights = [Path(params.model.file)] if params.model.weights == "file" else []
    code = Path(__file__).parents[1].joinpath("pipeline").rglob("*.py")
    files = [*PREPARED_FOLDER.glob("*/*"), *weights, *code, Path(__file__)]
    return checkpoint_key({"model": name, **settings}, files)


def initial_net(name: ModelName, params: Params, train: Batches) -> SplitNet:
    """Return the net before the first step: the same for all arms of a seed.

    A bottleneck is fitted to the features that this net makes of training frames.
    """
    seed_all(name.seed, 0, INITIAL)
    model = params.model
    net = SplitNet(
        name.encoder,
        params.tasks,
        model.file if model.weights == "file" else model.weights,
        residual_init=model.residual_init,
        decoder_init=model.decoder_init,
        components=params.entropy.components if name.arm == "entropy" else 0,
    )
    if net.bottleneck:
        net.eval().to(train.device)
        some = evenly(len(train), FITTED_FRAMES)
        batches = train.over([some[i : i + BATCH] for i in range(0, len(some), BATCH)])
        with torch.no_grad():
            features = (net.features(x.image_B3HW).float().cpu().numpy() for x in batches)
            net.bottleneck.start(klt_of(features), params.entropy.step)
        if params.entropy.freeze_encoder:
            net.freeze_encoder()
    return net


def surrogate_of(name: ModelName, params: Params) -> Callable[[Tensor], Tensor]:
    """Return what stands for quantiser and codec in training; of a sent picture nothing does."""
    if name.arm == PICTURE_ARM:
        return lambda features_BChw: features_BChw
    if name.arm == "entropy":
        if params.entropy.rounding == "straight-through":
            return round_straight_through
        return partial(add_noise, noise="fixed", amplitude=0.5)
    return partial(
        add_noise,
        noise=params.train.noise,
        bits=params.train.noise_bits,
        amplitude=params.train.noise_amplitude,
        range_percent=params.quantizer.range_percent,
    )


def objective_of(name: ModelName, params: Params) -> Objective:
    """Return the loss of equation 6 that a model is trained on."""
    loss = params.loss
    rate: RateTerm | BitsTerm | None = None
    if name.arm == "entropy":
        rate = BitsTerm(params.entropy.weight, ENCODERS[name.encoder].channels)
    if name.arm == "proposed" and loss.rate:
        rate = RateTerm(
            loss.rate_unit,
            None if loss.weight == "learned" else float(loss.weight),
            loss.prediction,
            loss.transform,
            range_percent=params.quantizer.range_percent,
        )
    return Objective(
        params.tasks,
        rate,
        balance=params.balance.method,
        learning_rate=params.balance.learning_rate,
        initial_weight=params.balance.initial_weight,
    )


def description(
    name: ModelName, params: Params, settings: dict[str, object], runtime: dict[str, Any]
) -> dict[str, Any]:
    """Return what is noted of a model beside its weights."""
    return {
        **name._asdict(),
        "tasks": list(params.tasks),
        "components": params.entropy.components if name.arm == "entropy" else 0,
        "width": params.data.width,
        "height": params.data.height,
        "settings": settings,
        "runtime": runtime,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
    }


def log_model(
    name: ModelName, params: Params, net: SplitNet, tracked: "tracking.Run | tracking.NullRun"
) -> None:
    """Log a model's files, its data and the model itself."""
    tracked.made(digest(weights_file(name)))
    tracked.file(history_file(name))
    tracked.file(model_folder(name) / "model.json")
    if data := tracking.data_md5(LOCK_FILE, "prepare"):
        root = params.data.root
        tracked.dataset(Path(root).name, digest=data, source=root, context="training")
    example = torch.zeros(2, 3, params.data.height, params.data.width)
    registered = tracking.registered_name(params.tracking.experiment, name.encoder)
    tracked.model(StackedPredictions(net), example, name="model", registered=registered)


if __name__ == "__main__":
    run(main)
