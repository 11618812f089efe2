"""Train one model of one arm."""

import os
import platform
import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torchvision
import yaml

from pipeline.arms import ARMS
from pipeline.artifacts import (
    LOCK_FILE,
    PREPARED_FOLDER,
    SPLITS,
    ModelName,
    history_file,
    model_folder,
    prepared_folder,
    write_run_id,
)
from pipeline.coding.quantizer import add_noise
from pipeline.data.batches import Batches
from pipeline.data.frames import open_frames
from pipeline.files import write_csv
from pipeline.nets.split import SplitNet, StackedPredictions
from pipeline.params import Params, ParamsError, flat
from pipeline.tracking import face as tracking
from pipeline.training.checkpoint import Checkpoints, digest, save_model
from pipeline.training.device import Runtime, open_runtime, seed_all
from pipeline.training.loop import Schedule, fit
from pipeline.training.losses import Objective, RateTerm
from pipeline.training.state import Row
from pipeline.workspace import main_root
from stages.settings import load, run

# Settings of the rate term: the benchmark knows none of them.
RATE_KEYS = ("rate", "rate_of", "prediction", "transform", "weight")
INITIAL = 2**31
# Settings that change how training runs but not what comes out.
NEUTRAL_KEYS = ("train.launcher", "train.checkpoint_minutes", "train.device", "train.compile")


def main(encoder: str, arm: str, seed: int) -> None:
    """Train one model; arm is benchmark or proposed."""
    params = load()
    if arm not in ARMS:
        raise ParamsError(f"arm is {arm!r}; allowed: {', '.join(ARMS)}")
    launch(params.train.launcher, [encoder, arm, str(seed)])
    name = ModelName(encoder, arm, seed)
    settings = relevant_settings(params, arm)
    with open_runtime(params.train.device, precision(params), params.train.compile) as runtime:
        if params.train.batch % runtime.world:
            raise ParamsError(
                f"train.batch is {params.train.batch}, which {runtime.world} processes cannot "
                "share equally"
            )
        with open_run(params, name, settings, runtime) as tracked:
            train_model(name, params, settings, runtime, tracked)


def launch(launcher: str, arguments: list[str]) -> None:
    """Become `train.launcher` with this same command, unless it is python or began this process.

    Here and not in the stage's command, which DVC would take for another model's.
    """
    words = shlex.split(launcher)
    if words != ["python"] and "RANK" not in os.environ:
        os.execvp(words[0], [*words, "-m", "stages.train", *arguments])


def train_model(
    name: ModelName,
    params: Params,
    settings: Mapping[str, object],
    runtime: Runtime,
    tracked: "tracking.Run | tracking.NullRun",
) -> None:
    """Fit, and write the model's folder."""
    # A third number keeps this apart from the seeds of the epochs.
    seed_all(name.seed, 0, INITIAL)
    net = SplitNet(
        name.encoder,
        params.tasks,
        initial_weights(params),
        residual_init=params.model.residual_init,
        decoder_init=params.model.decoder_init,
    )
    objective = Objective(
        params.tasks,
        rate_term(params) if name.arm == "proposed" else None,
        balance=params.loss.balance,
        learning_rate=params.loss.balance_learning_rate,
        initial_weight=params.loss.initial_weight,
    )
    train, val = (
        Batches(open_frames(prepared_folder(split)), device=runtime.device) for split in SPLITS
    )
    path = checkpoint_file(name, params, settings) if runtime.rank == 0 else None
    checkpoints = Checkpoints(path, params.train.checkpoint_minutes)

    def on_epoch(row: Row) -> None:
        tracked.log({k: v for k, v in row.items() if k != "epoch"}, step=int(row["epoch"]))

    history = fit(
        net,
        objective,
        train,
        val,
        schedule=Schedule(
            epochs=params.train.epochs,
            batch=params.train.batch,
            learning_rate=params.train.learning_rate,
            decay_power=params.train.decay_power,
            validate_every=params.train.validate_every,
        ),
        surrogate=partial(
            add_noise,
            noise=params.train.noise,
            bits=params.train.noise_bits,
            amplitude=params.train.noise_amplitude,
        ),
        runtime=runtime,
        seed=name.seed,
        checkpoints=checkpoints,
        on_epoch=on_epoch,
    )
    if runtime.rank == 0:
        write(name, params, settings, runtime.described(), net, history, tracked)
    checkpoints.done()


def checkpoint_file(name: ModelName, params: Params, settings: Mapping[str, object]) -> Path:
    """Return where a training is kept while it runs: a name for all that it depends on.

    Outside the stage's outputs, which DVC deletes before the stage runs.
    """
    weights = [Path(params.model.file)] if params.model.weights == "file" else []
    files = [*PREPARED_FOLDER.glob("*/*"), *weights, *code(name.arm)]
    return main_root() / ".checkpoints" / f"{name}-{digest({'model': name, **settings}, files)}.pt"


def precision(params: Params) -> str:
    """Return the precision to train in; noise of a fixed size needs float32.

    In bfloat16 more than half of the features that are not 0 would not change by +-0.002.
    """
    if params.train.noise != "fixed" or params.train.precision == "float32":
        return params.train.precision
    if params.train.precision == "bfloat16":
        raise ParamsError(
            "train.noise is fixed and train.precision is bfloat16, which rounds most of that noise "
            "away; use float32 or auto, or half-step noise"
        )
    return "float32"


def initial_weights(params: Params) -> str:
    """Return what the encoder starts from, as `pipeline.nets.encoder` takes it."""
    model = params.model
    return model.file if model.weights == "file" else model.weights


def code(arm: str) -> list[Path]:
    """Return the code that training runs on: the files that dvc.yaml names for its stage."""
    root = Path(__file__).parents[1]
    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    deps = stages[f"train_{arm}"]["deps"]
    named = [root / dep for dep in deps if not dep.startswith(("data/", "${"))]
    return [file for path in named for file in (path.rglob("*.py") if path.is_dir() else [path])]


def relevant_settings(params: Params, arm: str) -> dict[str, object]:
    """The settings, flat, that decide what this arm's model becomes."""
    values = flat(params)
    keys = ["tasks", *(k for k in values if k.split(".")[0] in ("data", "model", "loss", "train"))]
    drop = [*NEUTRAL_KEYS, *(f"loss.{key}" for key in RATE_KEYS if not has_rate(params, arm))]
    return {key: values[key] for key in keys if key not in drop}


def has_rate(params: Params, arm: str) -> bool:
    return arm == "proposed" and params.loss.rate


def rate_term(params: Params) -> RateTerm | None:
    loss = params.loss
    if not loss.rate:
        return None
    weight = None if loss.weight == "learned" else float(loss.weight)
    return RateTerm(loss.rate_of, weight, loss.prediction, loss.transform)


def write(
    name: ModelName,
    params: Params,
    settings: Mapping[str, object],
    ran_on: Mapping[str, object],
    net: SplitNet,
    history: list[Row],
    tracked: "tracking.Run | tracking.NullRun",
) -> None:
    """Write the model's folder, and log it."""
    folder = model_folder(name)
    description: dict[str, Any] = {
        **name._asdict(),
        "tasks": list(params.tasks),
        "width": params.data.width,
        "height": params.data.height,
        "noise": {"kind": params.train.noise, "bits": params.train.noise_bits},
        "settings": dict(settings),
        "runtime": dict(ran_on),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
    }
    save_model(folder, net, description)
    write_csv(history_file(name), pd.DataFrame(history))
    write_run_id(folder, tracked.id)
    tracked.file(history_file(name))
    tracked.file(folder / "model.json")
    digest_of_data = tracking.data_md5(LOCK_FILE, "prepare")
    if digest_of_data:
        source = params.data.root
        tracked.dataset(Path(source).name, digest=digest_of_data, source=source, context="training")
    example = torch.zeros(2, 3, params.data.height, params.data.width)
    registered = f"{params.tracking.experiment}-{name.encoder}"
    tracked.model(
        StackedPredictions(net), example, name="model", registered=registered, alias=name.arm
    )


def open_run(
    params: Params, name: ModelName, settings: Mapping[str, object], runtime: Runtime
) -> Any:
    return tracking.start(
        enabled=params.tracking.enabled and runtime.rank == 0,
        experiment=params.tracking.experiment,
        name=f"train {name}",
        params={
            **settings,
            **name._asdict(),
            "scale": f"{params.data.width}x{params.data.height}",
            **{f"runtime.{key}": value for key, value in runtime.described().items()},
        },
        tags={"stage": "train", "encoder": name.encoder, "arm": name.arm, "seed": str(name.seed)},
    )


if __name__ == "__main__":
    run(main)
