"""Decode the bitstreams, run the cloud half on them, and keep the sums every score is made of."""

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch

from pipeline.arms import ARM_COLOURS
from pipeline.artifacts import (
    LOCK_FILE,
    Evaluation,
    ModelName,
    evaluation_folder,
    examples_file,
    model_folder,
    prepared_folder,
    read_run_id,
    streams_file,
    sums_file,
    weights_file,
    write_evaluation,
    write_examples,
    write_run_id,
)
from pipeline.coding.points import read_point
from pipeline.data.batches import Batches
from pipeline.data.frames import open_frames
from pipeline.params import Params
from pipeline.scoring.hull import monotone_envelope
from pipeline.scoring.metrics import SCORES
from pipeline.shards import work_folder
from pipeline.tracking import face as tracking
from pipeline.training.device import open_runtime
from stages.measure import evaluate
from stages.models import open_model
from stages.resume import work_of
from stages.settings import Number, Text, load, run


def main(encoder: Text, arm: Text, seed: Number) -> None:
    """Evaluate one model at every codec point."""
    params = load()
    name = ModelName(encoder, arm, seed)
    net = open_model(name, params.tasks)
    points = {point: read_point(point, params.quantizer.bits) for point in params.codecs}
    settings = {
        "points": points,
        "examples": params.report.examples,
        "qualities": params.report.picture_qualities,
        "torch": torch.__version__,
    }
    files = [
        weights_file(name),
        *(streams_file(name, point) for point in points),
        *prepared_folder("val").iterdir(),
    ]
    with open_runtime(params.train.device, "float32", "off") as runtime:
        settings["device"] = str(runtime.device)
        with work_folder(work_of("evaluate", name, settings, files)) as work:
            evaluation, examples = evaluate(
                name,
                net.to(runtime.device),
                Batches(open_frames(prepared_folder("val")), device=runtime.device, resident=False),
                points=points,
                examples=params.report.examples,
                qualities=params.report.picture_qualities,
                work=work,
            )
            write_evaluation(sums_file(name), evaluation)
            write_examples(examples_file(name), examples)
            finish(name, params, evaluation)


def finish(name: ModelName, params: Params, evaluation: Evaluation) -> None:
    """Score the sums, track the scores and print those of the first point."""
    values = {codec: at.values(evaluation.elements) for codec, at in evaluation.points.items()}
    write_run_id(evaluation_folder(name), track(name, params, evaluation, values))
    first = values[params.codecs[0]].items()
    print(f"{name} {params.codecs[0]}: " + ", ".join(f"{k} {v:.4g}" for k, v in first))


def track(
    name: ModelName,
    params: Params,
    evaluation: Evaluation,
    values: dict[str, dict[str, float]],
) -> str | None:
    """Log the evaluation to MLflow, under the run of the model's training; return its id."""
    with tracking.start(
        enabled=params.tracking.enabled,
        experiment=params.tracking.experiment,
        name=f"evaluate {name}",
        params={
            **name._asdict(),
            "scale": f"{params.data.width}x{params.data.height}",
            "quantizer.bits": params.quantizer.bits,
            "codecs": params.codecs,
        },
        tags={
            "stage": "evaluate",
            **{key: str(value) for key, value in name._asdict().items()},
            tracking.RUN_COLOUR: ARM_COLOURS[name.arm],
        },
        parent=read_run_id(model_folder(name)),
    ) as tracked:
        # The last step is what the runs table shows: the first codec, as in the metrics file.
        for step, at in enumerate(reversed(curves(values))):
            tracked.log(at, step=step)
        # Under the point's name each point is a column of the runs table.
        for point, at in values.items():
            tracked.log({f"{mlflow_name(point)}/{key}": value for key, value in at.items()})
        for task, sums in evaluation.points[params.codecs[0]].sums.items():
            parts = SCORES[task].parts
            found = parts(sums) if parts else {}
            tracked.log({f"{task}/{k}": x for k, x in found.items() if math.isfinite(x)})
        digest = tracking.data_md5(LOCK_FILE, "prepare")
        if digest:
            source = params.data.root
            tracked.dataset(Path(source).name, digest=digest, source=source, context="evaluation")
        tracked.table(image_table(evaluation), "images")
        tracked.file(sums_file(name))
        return tracked.id


def curves(values: Mapping[str, Mapping[str, float]]) -> list[dict[str, float]]:
    """Return what each point gives to a chart of a score over bpfe, which joins all it is given.

    values: point -> name -> value. A score is left out where another point beats the point, but for
    the first point.
    """
    points = list(values.values())
    names = [name for name in points[0] if not name.startswith("bpfe")]
    rates = [at["bpfe"] for at in points]
    kept = {x: {0, *monotone_envelope(rates, [at[x] for at in points]).tolist()} for x in names}
    return [
        {name: value for name, value in at.items() if i in kept.get(name, {i})}
        for i, at in enumerate(points)
    ]


def mlflow_name(point: str) -> str:
    """Return the name of a point in MLflow, whose metrics allow no `@`: `png:5` for `png@5`."""
    return point.replace("@", ":")


def image_table(evaluation: Evaluation) -> pd.DataFrame:
    """Return one row per image and codec: bytes, bits per feature element, scores of the image."""
    names = pd.Series(evaluation.names, name="image")
    tables = [
        pd.DataFrame({"image": names, "codec": codec, **at.per_image(evaluation.elements)})
        for codec, at in evaluation.points.items()
    ]
    return pd.concat(tables, ignore_index=True)


if __name__ == "__main__":
    run(main)
