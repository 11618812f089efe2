"""What coded features, uncoded features and coded pictures cost, and how they are served.

Each function takes all frames at one point. So the memory of a whole evaluation is that of one
point, however many there are.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline.artifacts import Coded, Sums
from pipeline.coding.bitstream import BitstreamError, read_header
from pipeline.coding.fitted import Fitted
from pipeline.coding.pictures import container_bytes, decode_picture
from pipeline.coding.points import Point
from pipeline.data.batches import Batches
from pipeline.data.frames import Frames, disparity_px
from pipeline.inference import cloud, edge
from pipeline.nets.split import SplitNet
from pipeline.scoring.floor import constant_predictors
from pipeline.scoring.sums import collect, sums_of
from pipeline.source import evenly, in_order

FLOOR_FRAMES = 256
"""So many training frames say what a constant prediction needs to know."""


def serve_streams(
    net: SplitNet,
    batches: Batches,
    streams: Sequence[bytes],
    point: Point,
    shape_Chw: tuple[int, ...],
    fitted: Fitted | None = None,
    *,
    shown: int,
) -> tuple[Coded, dict[str, np.ndarray]]:
    """Return what the bitstreams of all frames cost and how they are served, with pictures to show.

    streams: one for each frame of `batches`, in order, coded at `point`. shape_Chw: of the net's
    features. fitted: what the edge coded them with, at a fitted point. shown: number of frames
    whose predictions are wanted as pictures; they come by task.
    Raises BitstreamError for a bitstream that is damaged or of another point or shape.
    """
    headers = [read_header(stream, fitted) for stream in streams]
    for index, header in enumerate(headers):
        if (header.codec, header.bits) != (point.codec, point.bits):
            raise BitstreamError(
                f"bitstream {index} is coded by {header.codec} at {header.bits} bits, not by "
                f"{point.codec} at {point.bits} bits"
            )
    features = cloud.decode(streams, shape_Chw, batches.device, fitted)
    served = cloud.serve(net, batches, features, shown=shown)
    header_N = np.array([header.size for header in headers], np.int64)
    size_N = np.array([len(stream) for stream in streams], np.int64)
    return Coded(header_N, size_N - header_N, served.sums), served.pictures


def serve_uncoded(net: SplitNet, batches: Batches) -> Mapping[str, Sums]:
    """Return how the float features of all frames are served, neither quantised nor coded."""
    return cloud.serve(net, batches, edge.features(net, batches)).sums


def serve_pictures(net: SplitNet, batches: Batches, coded: Sequence[bytes]) -> Coded:
    """Return what coded input pictures cost, and how the whole network serves them.

    coded: one for each frame of `batches`, in order. The header is the container of the file.
    Nobody reconstructs a picture that has arrived: the decoded picture itself is scored.
    Raises PictureError for one that cannot be decoded.
    """
    with torch.no_grad():
        features = map(net.front, _decoded(coded, batches.device))
        sums = dict(cloud.serve(net, batches, features).sums)
    if "reconstruction" in sums:
        arrived = ({"reconstruction": x} for x in _decoded(coded, batches.device))
        truths = batches.over(in_order(len(coded), edge.BATCH))
        sums |= collect(map(sums_of, arrived, truths), len(coded))
    size_N = np.array([len(data) for data in coded], np.int64)
    header_N = np.array([container_bytes(data) for data in coded], np.int64)
    return Coded(header_N, size_N - header_N, sums)


def serve_nothing(train: Frames, tasks: Sequence[str], batches: Batches) -> Mapping[str, Sums]:
    """Return how all frames are served by a prediction that knows the training set alone."""
    some = evenly(len(train.names), FLOOR_FRAMES)
    encoded_NHW = train.disparity_NHW
    disparity_NHW = None if encoded_NHW is None else disparity_px(encoded_NHW[some])
    predictor_of = constant_predictors(train.image_NHW3[some], train.label_NHW[some], disparity_NHW)
    served = (
        sums_of({task: predictor_of[task](truth) for task in tasks if task in predictor_of}, truth)
        for truth in batches.over(in_order(len(batches), edge.BATCH))
    )
    return collect(served, len(batches))


def _decoded(coded: Sequence[bytes], device: torch.device) -> Iterator[Tensor]:
    """Yield coded pictures as B x 3 x H x W float32 in 0 to 1, a batch at a time."""
    for some in in_order(len(coded), edge.BATCH):
        image_BHW3 = torch.from_numpy(np.stack([decode_picture(coded[i]) for i in some])).to(device)
        yield image_BHW3.permute(0, 3, 1, 2).float() / 255
