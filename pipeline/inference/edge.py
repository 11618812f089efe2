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

from pipeline.coding.bitstream import encode_features
from pipeline.source import in_order

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.nets.split import SplitNet
    from pipeline.source import Source

BATCH = 8
"""Frames at a time, here and in the cloud: on a CPU larger batches leave its caches."""


def features(net: SplitNet, batches: Source) -> Iterator[Tensor]:
    """Yield the features B x C x h x w of all frames in order, `BATCH` at a time, as float32.

    The net is in eval mode and lies on the device of the batches.
    """
    import torch

    with torch.no_grad():
        for batch in batches.over(in_order(len(batches), BATCH)):
            yield net.front(batch.image_B3HW)


def encode(
    features_NChw: NDArray[np.floating] | Sequence[NDArray[np.floating]],
    bits: int,
    codec: str,
    range_percent: float = 100.0,
) -> list[bytes]:
    """Return one bitstream per image: quantised to `bits`, tiled, coded by CODECS[codec].

    range_percent: per cent of an image's features inside the quantiser's range.
    Raises CodecError if there is no such codec or it cannot hold so many bits, and ValueError if
    features are not finite.
    """
    # Pillow's encoders release the interpreter lock: threads use every core.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(
            threads.map(lambda x: encode_features(x, bits, codec, range_percent), features_NChw)
        )
