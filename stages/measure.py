"""How the bitstreams of a model are served and scored.

For `stages.evaluate` and `stages.one_gpu`. It starts without pandas and
pydantic, which a compute node may not have.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.artifacts import ARMS
from pipeline.artifacts import (
    ArtifactError,
    Bitstreams,
    Evaluation,
    ModelName,
    StoredBitstreams,
    hashes,
    join_evaluations,
    prepared_folder,
    read_examples,
    read_streams,
    streams_file,
    weights_file,
    write_evaluation,
    write_examples,
)
from pipeline.coding.bitstream import BitstreamError, read_header
from pipeline.coding.points import Point
from pipeline.data.batches import Batches
from pipeline.data.frames import Frames, some_frames
from pipeline.data.source import in_order
from pipeline.inference import cloud, edge
from pipeline.inference.jpeg import decoded_pictures, jpeg, whole_network
from pipeline.inference.pictures import PICTURES, legend
from pipeline.nets.split import SplitNet
from pipeline.scoring.coded import Coded
from pipeline.scoring.examples import Examples
from pipeline.scoring.sums import collect, sums_of
from pipeline.shards import done_files, unfinished
from stages.models import features_shape


def evaluate(
    name: ModelName,
    net: SplitNet,
    batches: Batches,
    *,
    points: Mapping[str, Point],
    examples: int,
    qualities: Sequence[int],
    work: Path,
) -> tuple[Evaluation, Examples]:
    """Return the sums of all frames at every point, and the first frames to look at.

    points: by the names that the bitstreams are filed under. examples: number of frames to look
    at. qualities: of the input picture as JPEG, for the benchmark alone. work: a folder for work in
    progress (see `pipeline.shards`), in which the sums lie as long as they are used.
    Raises ArtifactError for bitstreams that are damaged, of another point or of other frames.
    """
    frames = batches.frames
    count, shown = len(frames.names), min(examples, len(frames.names))
    coded = {title: read_streams(streams_file(name, title)) for title in points}
    for title, streams in coded.items():
        if streams.names != frames.names:
            path = streams_file(name, title)
            raise ArtifactError(f"{path} is of other frames than {prepared_folder('val')}")
    for shard, done in unfinished(work, count):
        evaluation, seen = evaluate_shard(
            name,
            net,
            Batches(some_frames(frames, shard), device=batches.device),
            shard,
            points={title: (point, coded[title]) for title, point in points.items()},
            shown=len(range(shard.start, min(shown, shard.stop))),
            qualities=qualities if name.arm == ARMS[0] else (),
        )
        write_examples(examples_of(work, done), seen)
        write_evaluation(done, evaluation)
    paths = [streams_file(name, title) for title in points]
    made_of = hashes([weights_file(name), *paths, *sorted(prepared_folder("val").iterdir())])
    whole = join_evaluations(done_files(work, count), work / "joined")
    with_pictures = done_files(work, max(shown, 1))
    pictures = [read_examples(examples_of(work, done)) for done in with_pictures]
    return replace(whole, made_of=made_of), join_examples(pictures)


def examples_of(work: Path, done: Path) -> Path:
    """Return the file of a shard's example pictures."""
    return work / f"examples-{done.name}"


def join_examples(parts: Sequence[Examples]) -> Examples:
    """Return the pictures of all shards, in order, with their legends."""
    first = parts[0]
    truths = {task: np.concatenate([x.truths[task] for x in parts]) for task in first.truths}
    predictions = {
        title: {task: np.concatenate([x.predictions[title][task] for x in parts]) for task in tasks}
        for title, tasks in first.predictions.items()
    }
    return Examples(
        tuple(name for x in parts for name in x.names),
        np.concatenate([x.image_BHW3 for x in parts]),
        truths,
        predictions,
        {task: legend(task, truths, predictions) for task in truths},
    )


def evaluate_shard(
    name: ModelName,
    net: SplitNet,
    batches: Batches,
    shard: range,
    *,
    points: Mapping[str, tuple[Point, StoredBitstreams]],
    shown: int,
    qualities: Sequence[int],
) -> tuple[Evaluation, Examples]:
    """Return the sums of the frames of a shard, which `batches` has, and the first of them.

    points: each with the bitstreams of all frames. shown: number of frames to look at.
    """
    frames = batches.frames
    shape_Chw = features_shape(name, frames)
    coded, predictions = {}, {}
    for title, (point, streams) in points.items():
        coded[title], predictions[title] = serve_streams(
            streams_file(name, title),
            streams.shard(shard),
            point,
            shape_Chw,
            net,
            batches,
            shown,
            first=shard.start,
        )
    uncompressed = cloud.serve(net, batches, edge.features(net, batches)).sums
    # The alternative to a trained split is a network that was trained without the rate term.
    pictures = {str(x): serve_pictures(frames, x, net, batches) for x in qualities}
    first = batches.take(np.arange(shown))
    truths = {task: PICTURES[task].of_truth(first) for task in net.decoders}
    seen = Examples(
        frames.names[:shown],
        np.array(frames.image_NHW3[:shown]),
        truths,
        predictions,
        legends={},
    )
    coders = {title: streams.coder for title, (_, streams) in points.items()}
    evaluation = Evaluation(
        coded, math.prod(shape_Chw), frames.names, uncompressed, pictures, coders
    )
    return evaluation, seen


def serve_streams(
    path: Path,
    coded: Bitstreams,
    point: Point,
    shape_Chw: tuple[int, int, int],
    net: SplitNet,
    batches: Batches,
    shown: int,
    *,
    first: int = 0,
) -> tuple[Coded, dict[str, np.ndarray]]:
    """Return what the bitstreams of one point cost and how they are served, with pictures to show.

    path: where they were read from. first: the place there of the first of them.
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
        features = cloud.decode(streams, shape_Chw, batches.device, first=first)
        served = cloud.serve(net, batches, features, shown=shown)
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
