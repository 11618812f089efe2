"""Train one model of one arm."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pipeline.artifacts import ARMS
from pipeline.artifacts import (
    LOCK_FILE,
    PREPARED_FOLDER,
    SPLITS,
    ModelName,
    history_file,
    model_folder,
    prepared_folder,
    write_history,
    write_run_id,
)
from pipeline.data.batches import Batches
from pipeline.data.frames import open_frames
from pipeline.nets.split import SplitNet, StackedPredictions
from pipeline.params import Params, ParamsError, flat
from pipeline.shards import digest
from pipeline.tracking import face as tracking
from pipeline.training.checkpoint import Checkpoints, save_model
from pipeline.training.device import Runtime, open_runtime
from pipeline.training.loop import fit
from pipeline.training.state import Row
from pipeline.workspace import main_root
from stages.recipe import (
    description,
    new_net,
    noise_of,
    objective_of,
    precision,
    relevant_settings,
    schedule_of,
)
from stages.resume import code
from stages.settings import Number, Text, load, run


def main(encoder: Text, arm: Text, seed: Number) -> None:
    """Train one model; arm is benchmark or proposed."""
    params = load()
    if arm not in ARMS:
        raise ParamsError(f"arm is {arm!r}; allowed: {', '.join(ARMS)}")
    launch(params.train.launcher, ["--encoder", encoder, "--arm", arm, "--seed", str(seed)])
    name = ModelName(encoder, arm, seed)
    settings = relevant_settings(flat(params), arm)
    with open_runtime(params.train.device, precision(params), params.train.compile) as runtime:
        if params.train.batch % runtime.world:
            raise ParamsError(
                f"train.batch is {params.train.batch}, which {runtime.world} processes cannot "
                "share equally"
            )
        path = checkpoint_file(name, params, settings) if runtime.rank == 0 else None
        with open_run(params, name, settings, runtime, path) as tracked:
            train_model(name, params, settings, runtime, path, tracked)


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
    path: Path | None,
    tracked: "tracking.Run | tracking.NullRun",
) -> None:
    """Fit, and write the model's folder; `path` is that of the checkpoint."""
    net = new_net(name, params)
    train, val = (
        Batches(open_frames(prepared_folder(split)), device=runtime.device) for split in SPLITS
    )
    checkpoints = Checkpoints(path, params.train.checkpoint_minutes)

    def on_epoch(row: Row) -> None:
        tracked.log({k: v for k, v in row.items() if k != "epoch"}, step=int(row["epoch"]))

    history = fit(
        net,
        objective_of(name, params),
        train,
        val,
        schedule=schedule_of(params),
        surrogate=noise_of(params),
        runtime=runtime,
        seed=name.seed,
        checkpoints=checkpoints,
        on_epoch=on_epoch,
    )
    if runtime.rank == 0:
        write(name, params, settings, runtime, net, history, tracked)
    checkpoints.done()


def checkpoint_file(name: ModelName, params: Params, settings: Mapping[str, object]) -> Path:
    """Return where a training is kept while it runs: a name for all that it depends on.

    Outside the stage's outputs, which DVC deletes before the stage runs.
    """
    weights = [Path(params.model.file)] if params.model.weights == "file" else []
    files = [*PREPARED_FOLDER.glob("*/*"), *weights, *code(f"train_{name.arm}")]
    return main_root() / ".checkpoints" / f"{name}-{digest({'model': name, **settings}, files)}.pt"


def write(
    name: ModelName,
    params: Params,
    settings: Mapping[str, object],
    runtime: Runtime,
    net: SplitNet,
    history: list[Row],
    tracked: "tracking.Run | tracking.NullRun",
) -> None:
    """Write the model's folder, and log it."""
    folder = model_folder(name)
    save_model(folder, net, description(name, params, settings, runtime))
    write_history(history_file(name), history)
    write_run_id(folder, tracked.id)
    tracked.file(history_file(name))
    tracked.file(folder / "model.json")
    digest_of_data = tracking.data_md5(LOCK_FILE, "prepare")
    if digest_of_data:
        source = params.data.root
        tracked.dataset(Path(source).name, digest=digest_of_data, source=source, context="training")
    example = torch.zeros(2, 3, params.data.height, params.data.width)
    registered = tracking.registered_name(params.tracking.experiment, name.encoder)
    tracked.model(StackedPredictions(net), example, name="model", registered=registered)


def open_run(
    params: Params,
    name: ModelName,
    settings: Mapping[str, object],
    runtime: Runtime,
    path: Path | None,
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
        resume=path,
    )


if __name__ == "__main__":
    run(main)
