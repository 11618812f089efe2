"""The edge device: picture -> features -> levels -> bitstream.

`encode` starts without torch: a program that only codes features does not wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.coding.bitstream import encode_features, encode_fitted
from pipeline.coding.fitted import Fitted
from pipeline.coding.points import Point
from pipeline.source import in_order

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.nets.split import SplitNet
    from pipeline.source import Source

BATCH = 8
"""Frames at a time, here and in the cloud: on a CPU larger batches leave its caches."""


def features(
    net: SplitNet, batches: Source, frames: NDArray[np.integer] | None = None
) -> Iterator[Tensor]:
    """Yield the features B x C x h x w of frames in order, `BATCH` at a time, as float32.

    frames: their indices; None for all frames.
    The net is in eval mode and lies on the device of the batches.
    """
    import torch

    with torch.no_grad():
        index = np.arange(len(batches)) if frames is None else frames
        for batch in batches.over([index[some] for some in in_order(len(index), BATCH)]):
            yield net.front(batch.image_B3HW)


def encode(
    features_NChw: NDArray[np.floating] | Sequence[NDArray[np.floating]],
    point: Point,
    fitted: Fitted | None = None,
    range_percent: float = 100.0,
) -> list[bytes]:
    """Return one bitstream per image, coded at a point of a curve.

    fitted: what the cloud knows too, of a fitted point. range_percent: per cent of an image's
    features inside the range of the min-max quantiser.
    Raises CodecError if there is no such codec or it cannot hold so many bits, and ValueError if
    features are not finite.
    """
    # Pillow's encoders release the interpreter lock: threads use every core.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(
            threads.map(lambda x: encode_one(x, point, fitted, range_percent), features_NChw)
        )


def encode_one(
    features_Chw: NDArray[np.floating],
    point: Point,
    fitted: Fitted | None = None,
    range_percent: float = 100.0,
) -> bytes:
    """Return the bitstream of one image; see `encode`."""
    if fitted is not None:
        return encode_fitted(features_Chw, fitted, range_percent)
    assert point.bits is not None
    return encode_features(features_Chw, point.bits, point.codec, range_percent)
