"""How the bitstreams of a model are served and scored.

For `stages.evaluate` and `stages.one_gpu`. It starts without pandas and
pydantic, which a compute node may not have.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.arms import ARMS
from pipeline.artifacts import (
    ArtifactError,
    Bitstreams,
    Evaluation,
    ModelName,
    hashes,
    prepared_folder,
    read_streams,
    streams_file,
    weights_file,
)
from pipeline.coding.bitstream import BitstreamError, read_header
from pipeline.coding.points import Point
from pipeline.data.batches import Batches
from pipeline.data.frames import Frames
from pipeline.data.source import in_order
from pipeline.inference import cloud, edge
from pipeline.inference.jpeg import decoded_pictures, jpeg, whole_network
from pipeline.inference.pictures import PICTURES, legend
from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet
from pipeline.scoring.coded import Coded
from pipeline.scoring.examples import Examples
from pipeline.scoring.sums import collect, sums_of


def evaluate(
    name: ModelName,
    net: SplitNet,
    batches: Batches,
    *,
    points: Mapping[str, Point],
    examples: int,
    qualities: Sequence[int],
) -> tuple[Evaluation, Examples]:
    """Return the sums of all frames at every point, and the first frames to look at.

    points: by the names that the bitstreams are filed under. examples: number of frames to look
    at. qualities: of the input picture as JPEG, for the benchmark alone.
    """
    frames, tasks = batches.frames, list(net.decoders)
    shown = min(examples, len(frames.names))
    shape_Chw = features_shape(name, frames)
    coded, predictions, pictures, coders = {}, {}, {}, {}
    for title, point in points.items():
        path = streams_file(name, title)
        streams = read_streams(path)
        coders[title] = streams.coder
        coded[title], predictions[title] = serve_streams(
            path, streams, point, shape_Chw, net, batches, shown
        )
    uncompressed = cloud.serve(net, batches, edge.features(net, batches)).sums
    # The alternative to a trained split is a network that was trained without the rate term.
    for quality in qualities if name.arm == ARMS[0] else ():
        pictures[str(quality)] = serve_pictures(frames, quality, net, batches)
    first = batches.take(np.arange(shown))
    truths = {task: PICTURES[task].of_truth(first) for task in tasks}
    seen = Examples(
        frames.names[:shown],
        np.array(frames.image_NHW3[:shown]),
        truths,
        predictions,
        {task: legend(task, truths, predictions) for task in tasks},
    )
    paths = [streams_file(name, title) for title in points]
    evaluation = Evaluation(
        coded,
        math.prod(shape_Chw),
        frames.names,
        uncompressed,
        pictures,
        coders=coders,
        made_of=hashes([weights_file(name), *paths, *sorted(prepared_folder("val").iterdir())]),
    )
    return evaluation, seen


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
