"""Decode the bitstreams, run the cloud half on them, and keep the sums every score is made of."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.arms import ARM_COLORS, ARMS
from pipeline.artifacts import (
    LOCK_FILE,
    ArtifactError,
    Bitstreams,
    Evaluation,
    ModelName,
    evaluation_folder,
    examples_file,
    hashes,
    model_folder,
    prepared_folder,
    read_run_id,
    read_streams,
    streams_file,
    sums_file,
    weights_file,
    write_evaluation,
    write_examples,
    write_run_id,
)
from pipeline.coding.bitstream import BitstreamError, read_header
from pipeline.coding.points import Point, read_point
from pipeline.data.batches import Batches
from pipeline.data.frames import Frames, open_frames
from pipeline.data.source import in_order
from pipeline.inference import cloud, edge
from pipeline.inference.jpeg import decoded_pictures, jpeg, whole_network
from pipeline.inference.pictures import PICTURES, legend
from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet
from pipeline.params import Params
from pipeline.scoring.coded import Coded
from pipeline.scoring.examples import Examples
from pipeline.scoring.metrics import SCORES
from pipeline.scoring.sums import collect, sums_of
from pipeline.tracking import face as tracking
from pipeline.training.device import open_runtime
from stages.models import open_model
from stages.settings import Number, Text, load, run


def main(encoder: Text, arm: Text, seed: Number) -> None:
    """Evaluate one model at every codec point."""
    params = load()
    name = ModelName(encoder, arm, seed)
    evaluation, examples = evaluate(name, params)
    write_evaluation(sums_file(name), evaluation)
    write_examples(examples_file(name), examples)
    values = {codec: at.values(evaluation.elements) for codec, at in evaluation.points.items()}
    write_run_id(evaluation_folder(name), track(name, params, evaluation, values))
    first = values[params.codecs[0]].items()
    print(f"{name} {params.codecs[0]}: " + ", ".join(f"{k} {v:.4g}" for k, v in first))


def evaluate(name: ModelName, params: Params) -> tuple[Evaluation, Examples]:
    """Return the sums of all frames at every codec point, and the first frames to look at."""
    net = open_model(name, params)
    frames = open_frames(prepared_folder("val"))
    shown = min(params.report.examples, len(frames.names))
    points, predictions, pictures, coders = {}, {}, {}, {}
    with open_runtime(params.train.device, "float32", "off") as runtime:
        net.to(runtime.device)
        batches = Batches(frames, device=runtime.device)
        for point in params.codecs:
            path = streams_file(name, point)
            coded = read_streams(path)
            coders[point] = coded.coder
            points[point], predictions[point] = serve_streams(
                path,
                coded,
                read_point(point, params.quantizer.bits),
                features_shape(name, frames),
                net,
                batches,
                shown,
            )
        uncompressed = cloud.serve(net, batches, edge.features(net, batches)).sums
        # The alternative to a trained split is a network that was trained without the rate term.
        for quality in params.report.picture_qualities if name.arm == ARMS[0] else ():
            pictures[str(quality)] = serve_pictures(frames, quality, net, batches)
        first = batches.take(np.arange(shown))
        truths = {task: PICTURES[task].of_truth(first) for task in params.tasks}
    examples = Examples(
        frames.names[:shown],
        np.array(frames.image_NHW3[:shown]),
        truths,
        predictions,
        {task: legend(task, truths, predictions) for task in params.tasks},
    )
    paths = [streams_file(name, point) for point in params.codecs]
    evaluation = Evaluation(
        points,
        math.prod(features_shape(name, frames)),
        frames.names,
        uncompressed,
        pictures,
        coders=coders,
        made_of=hashes([weights_file(name), *paths, *sorted(prepared_folder("val").iterdir())]),
    )
    return evaluation, examples


def features_shape(name: ModelName, frames: Frames) -> tuple[int, int, int]:
    """Return C, h, w of a model's features of these frames."""
    spec, (_, height, width, _) = ENCODERS[name.encoder], frames.image_NHW3.shape
    return spec.channels, height // spec.stride, width // spec.stride


def serve_streams(
    path: Path,
    coded: Bitstreams,
    point: Point,
    shape_Chw: tuple[int, int, int],
    net: SplitNet,
    batches: Batches,
    shown: int,
) -> tuple[Coded, dict[str, np.ndarray]]:
    """Return what the bitstreams of one point cost and how they are served, with pictures to show.

    path: where they were read from.
    Raises ArtifactError for bitstreams that are damaged, of another point or of other frames.
    """
    streams = coded.streams
    if coded.names != batches.frames.names:
        raise ArtifactError(f"{path} is of other frames than {prepared_folder('val')}")
    try:
        headers = [read_header(stream) for stream in streams]
        for header in headers:
            if (header.codec, header.bits) != point:
                raise BitstreamError(
                    f"coded by {header.codec} at {header.bits} bits, not by {point.codec} at "
                    f"{point.bits} bits"
                )
        served = cloud.serve(
            net, batches, cloud.decode(streams, shape_Chw, batches.device), shown=shown
        )
    except BitstreamError as error:
        raise ArtifactError(f"{path}: {error}; run `dvc repro` to make it again") from error
    header_N = np.array([header.size for header in headers], np.int64)
    size_N = np.array([len(stream) for stream in streams], np.int64)
    return Coded(header_N, size_N - header_N, served.sums), served.pictures


def serve_pictures(frames: Frames, quality: int, net: SplitNet, batches: Batches) -> Coded:
    """Return what the input pictures cost as JPEG, and how the whole network serves them.

    Nobody reconstructs a picture that has arrived: the decoded picture itself is scored.
    """
    coded = [jpeg(image_HW3, quality) for image_HW3 in frames.image_NHW3]
    served = cloud.serve(net, batches, whole_network(net, coded, batches.device))
    sums = dict(served.sums)
    if "reconstruction" in sums:
        arrived = ({"reconstruction": x} for x in decoded_pictures(coded, batches.device))
        batch_of = batches.over(in_order(len(coded), edge.BATCH))
        sums |= collect(map(sums_of, arrived, batch_of))
    size_N = np.array([len(data) for data in coded], np.int64)
    return Coded(np.zeros_like(size_N), size_N, sums)


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
            tracking.RUN_COLOR: ARM_COLORS[name.arm],
        },
        parent=read_run_id(model_folder(name)),
    ) as tracked:
        # Under the bare names a chart of a score over bpfe draws the curve. The last step is what
        # the runs table shows: the first codec, as in the metrics file.
        for step, at in enumerate(reversed(values.values())):
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
