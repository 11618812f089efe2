"""Uniform n-bit min-max quantiser of one image's features, and its stand-in for training.

Source: paper, section 2.1. The range travels as two float32 values, so `quantize` works with
exactly those and decoder and encoder agree to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:  # encoding must start without torch
    from torch import Generator, Tensor

Noise = Literal["half-step", "fixed", "none"]

MAX_BITS = 16
_CHUNK = 2**14
"""Features that are quantised at a time."""


@dataclass(frozen=True, eq=False)
class Levels:
    """Quantised features of one image; checked when made, so one that exists can be coded.

    Raises ValueError on a field that breaks the rule beside it.
    """

    levels_Chw: NDArray[np.unsignedinteger]
    """C x h x w, none of them 0; uint8 up to 8 bits, else uint16; every level below 2^bits."""
    low: float
    """What level 0 stands for; a finite float32 value."""
    high: float
    """What level 2^bits - 1 stands for; a finite float32 value, not below `low`."""
    bits: int
    """Depth of the levels, 1 to 16."""

    def __post_init__(self) -> None:
        dtype = level_dtype(self.bits)
        levels = self.levels_Chw
        if levels.ndim != 3 or levels.size == 0 or levels.dtype != dtype:
            raise ValueError(
                f"levels of {self.bits} bits must be a C x h x w array of {dtype} that is not "
                f"empty, not {levels.dtype} of shape {levels.shape}"
            )
        if int(levels.max()) >= 2**self.bits:
            raise ValueError(f"level {levels.max()} does not fit {self.bits} bits")
        with np.errstate(over="ignore"):
            as_header = float(np.float32(self.low)), float(np.float32(self.high))
        if not (np.isfinite(as_header).all() and as_header == (self.low, self.high)):
            raise ValueError(
                f"low {self.low} and high {self.high} must be finite float32 values, "
                "as float(numpy.float32(x)) gives"
            )
        if self.low > self.high:
            raise ValueError(f"low {self.low} must not be above high {self.high}")


def level_dtype(bits: int) -> np.dtype[Any]:
    """Return the smallest of uint8 and uint16 that holds `bits`; ValueError unless 1 to 16."""
    if not 1 <= bits <= MAX_BITS:
        raise ValueError(f"a quantiser has 1 to {MAX_BITS} bits, not {bits}")
    return np.dtype(np.uint8 if bits <= 8 else np.uint16)


def quantize(features_Chw: ArrayLike, bits: int, range_percent: float = 100.0) -> Levels:
    """Return round((F - min) / (max - min) * (2^bits - 1)), min and max over the whole tensor.

    range_percent: per cent of the features inside the range. Below 100, percentiles stand for min
    and max, as many features are clipped at either end, and a few large ones do not stretch the
    range.
    features_Chw: C x h x w, any real dtype. The arithmetic is float64; halves round to even.
    Features that are all equal become level 0. Raises ValueError on NaN or infinity (saying where),
    an empty tensor, a range float32 cannot hold, or bits outside 1 to 16.
    """
    dtype = level_dtype(bits)
    values = np.asarray(features_Chw)
    check_features(values)
    with np.errstate(over="ignore"):
        low, high = (float(np.float32(float(x))) for x in _range(values, range_percent))
    if not np.isfinite((low, high)).all():
        raise ValueError(
            f"features range from {values.min()} to {values.max()}; the range is sent as float32, "
            "which ends at 3.4e38"
        )
    if low == high:
        return Levels(np.zeros(values.shape, dtype), low, high, bits)
    levels_Chw = np.empty(values.shape, dtype)
    # Some channels at a time: float64 arrays of a whole image leave the caches, and the system
    # takes their memory back each time.
    step = max(1, _CHUNK // values[0].size)
    for first in range(0, len(values), step):
        some = slice(first, first + step)
        # At 100 % the clip matters only for float64 features, whose extremes were rounded.
        unit = np.clip((values[some].astype(np.float64) - low) / (high - low), 0, 1)
        levels_Chw[some] = np.rint(unit * (2**bits - 1))
    return Levels(levels_Chw, low, high, bits)


def dequantize(levels: Levels) -> NDArray[np.float32]:
    """Return the features C x h x w, float32, of the levels; exactly low and high at the ends."""
    unit = levels.levels_Chw / (2**levels.bits - 1)
    return (levels.low * (1 - unit) + levels.high * unit).astype(np.float32)


def clipped(features_BChw: Tensor, range_percent: float) -> Tensor:
    """Return the features inside each image's range, the others at its ends.

    range_percent: see `quantize`. The ends are not differentiated, so that no gradient moves them.
    """
    if range_percent == 100:
        return features_BChw
    import torch

    values_BK = features_BChw.detach().float().flatten(1)
    tail = (1 - range_percent / 100) / 2
    # Plain numbers, one at a time: a tensor of both would be copied from the host, which waits.
    low_B111, high_B111 = (
        torch.quantile(values_BK, x, dim=1).to(features_BChw.dtype)[:, None, None, None]
        for x in (tail, 1 - tail)
    )
    return features_BChw.clamp(low_B111, high_B111)


def add_noise(
    features_BChw: Tensor,
    *,
    noise: Noise,
    bits: int = 8,
    amplitude: float = 0.0,
    range_percent: float = 100.0,
    generator: Generator | None = None,
) -> Tensor:
    """Return features plus uniform noise: what stands in for the quantiser while training.

    half-step: within half a step of an n-bit quantiser over each image's own range, which is not
    differentiated (paper, section 2.1). fixed: within +-amplitude, in units of the features (the
    authors' code has 0.002). none: the features themselves. range_percent: see `clipped`, which
    comes first.
    The result has the dtype and memory layout of features_BChw, under autocast too; its gradient is
    that of the features. Leave `generator` out in compiled code. Raises ValueError on an unknown
    noise, bits outside 1 to 16 or a negative amplitude.
    """
    features_BChw = clipped(features_BChw, range_percent)
    if noise == "none":
        return features_BChw
    detached = features_BChw.detach()
    if noise == "half-step":
        level_dtype(bits)
        span_B111 = (
            detached.amax((1, 2, 3), keepdim=True).float()
            - detached.amin((1, 2, 3), keepdim=True).float()
        )
        reach = (0.5 / (2**bits - 1) * span_B111).to(detached.dtype)
        return features_BChw + detached.clone().uniform_(-1, 1, generator=generator) * reach
    if noise == "fixed":
        if not amplitude >= 0:
            raise ValueError(f"the amplitude of fixed noise must be 0 or more, not {amplitude}")
        return features_BChw + detached.clone().uniform_(-amplitude, amplitude, generator=generator)
    raise ValueError(f"noise must be half-step, fixed or none, not {noise!r}")


def round_straight_through(values: Tensor) -> Tensor:
    """Return the nearest whole numbers, with the gradient of the values themselves."""
    return values + (values.round() - values).detach()


def _range(values: NDArray[Any], range_percent: float) -> tuple[float, float]:
    if not 50 < range_percent <= 100:
        raise ValueError(
            f"a range holds more than 50 and up to 100 % of the features, not {range_percent}"
        )
    if range_percent == 100:
        return values.min(), values.max()
    tail = (100 - range_percent) / 2
    low, high = np.percentile(values.astype(np.float64), [tail, 100 - tail])
    return low, high


def check_features(values: NDArray[Any]) -> None:
    """Raise ValueError unless features are C x h x w, not empty and finite."""
    if values.ndim != 3 or values.size == 0:
        raise ValueError(f"features must be C x h x w and not empty, not of shape {values.shape}")
    # A NaN or an infinity is the least or the largest of them.
    if not np.isfinite((values.min(), values.max())).all():
        wrong = np.argwhere(~np.isfinite(values))
        channel, row, column = (int(i) for i in wrong[0])
        raise ValueError(
            f"features must be finite, but {len(wrong)} of {values.size} are not; the first is "
            f"{values[channel, row, column]} at channel {channel}, row {row}, column {column}"
        )
