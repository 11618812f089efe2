"""The differentiable rate loss L_r (paper, section 2.2, equations 1 to 5)."""

from functools import cache
from operator import index

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.coding.forms import UNITS, RateForm


def rate_loss(features_BChw: Tensor, prediction: bool = True, transform: bool = True) -> Tensor:
    """Return the mean of `rate_per_image` over the batch: a scalar, in units of the features."""
    return rate_per_image(features_BChw, prediction, transform).mean()


def rate_per_image(
    features_BChw: Tensor, prediction: bool = True, transform: bool = True
) -> Tensor:
    """Return L_r of each image: the mean |DCT coefficient| of the DPCM residuals, equation 5.

    features_BChw: B x C x h x w, floating; half precisions are worked out in float32, autocast
    or not. prediction False leaves out the DPCM (Z = F), transform False the DCT. The derivative
    of |x| at 0 is 1, as in the paper. Returns (B,), in units of the features.
    Raises ValueError on another number of axes.
    """
    if features_BChw.ndim != 4:
        raise ValueError(f"features must be B x C x h x w, not of shape {features_BChw.shape}")
    batch, channels, *size = features_BChw.shape
    # Plain numbers to torch.compile too, also when it makes the other sizes symbols.
    h, w = map(index, size)
    with torch.autocast(features_BChw.device.type, enabled=False):
        features_BChw = _at_least_float32(features_BChw)
        rows, columns = _factors(
            h, w, prediction, transform, features_BChw.dtype, features_BChw.device
        )
        # Channels last, as the convolutions leave them, makes both products large ones.
        left = rows @ features_BChw.permute(0, 2, 3, 1).reshape(batch, h, w * channels)
        coefficients = columns @ left.view(batch * h, columns.shape[1], channels)
        coefficients = coefficients.view(batch, h * w * channels)
        # Twice as fast as torch.where(x >= 0, x, -x), with the same derivative.
        sign = torch.where(coefficients.detach() >= 0, 1.0, -1.0)
        return (coefficients * sign).mean(1)


def to_unit_range(features_BChw: Tensor) -> Tensor:
    """Return (F - min) / (max - min), with each image's own extremes.

    B x C x h x w to the same, at least float32; differentiable, through min and max too. Images
    that are all one value give zeros.
    """
    features_BChw = _at_least_float32(features_BChw)
    low_B111 = features_BChw.amin((1, 2, 3), keepdim=True)
    span_B111 = features_BChw.amax((1, 2, 3), keepdim=True) - low_B111
    # Before the division: a 0/0 masked afterwards still has a NaN for a gradient.
    return (features_BChw - low_B111) / torch.where(span_B111 > 0, span_B111, 1.0)


def to_deviations(features_BChw: Tensor) -> Tensor:
    """Return F / std(F), with each image's own standard deviation.

    B x C x h x w to the same, at least float32; differentiable, through the deviation too. Images
    that are all one value are left as they are.
    """
    features_BChw = _at_least_float32(features_BChw)
    variance_B111 = features_BChw.var((1, 2, 3), correction=0, keepdim=True)
    # Before the root: its gradient at 0 is infinite.
    return features_BChw / torch.where(variance_B111 > 0, variance_B111, 1.0).sqrt()


def in_units(features_BChw: Tensor, unit: str) -> Tensor:
    """Return the features in one of `UNITS`, at least float32. Raises ValueError for another."""
    if unit not in UNITS:
        raise ValueError(f"the unit of L_r is {unit!r}; allowed: {', '.join(UNITS)}")
    if unit == "features":
        return _at_least_float32(features_BChw)
    return (to_unit_range if unit == "levels" else to_deviations)(features_BChw)


def _at_least_float32(features_BChw: Tensor) -> Tensor:
    return features_BChw if features_BChw.dtype == torch.float64 else features_BChw.float()


def rate_in_form(features_BChw: Tensor, form: RateForm) -> Tensor:
    """Return the rate loss of each image, (B,), in one of its forms."""
    return rate_per_image(in_units(features_BChw, form.unit), form.prediction, form.transform)


@torch.compiler.assume_constant_result
def _factors(
    h: int, w: int, prediction: bool, transform: bool, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return `_fold` as two constants of torch.compile's graph: nothing is built in a step."""
    return _fold(h, w, prediction, transform, dtype, device)


@cache
def _fold(
    h: int, w: int, prediction: bool, transform: bool, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return matrices `rows`, (h * n) x h, and `columns`, w x (n * w), that fold equations 1 to 4.

    T = M_h (F D_w + D_h^T F) / 2 M_w^T is a sum of n = 2 products, (M_h / 2) F (D_w M_w^T) and
    (M_h D_h^T / 2) F M_w^T; without prediction n = 1. The left factors are interleaved in `rows`,
    the right ones lie transposed and side by side in `columns`.
    """
    m_h, m_w = (_dct(n) if transform else np.eye(n) for n in (h, w))
    terms = [(m_h, m_w)]
    if prediction:
        terms = [(m_h / 2, m_w @ _difference(w).T), (m_h @ _difference(h).T / 2, m_w)]
    rows = np.stack([left for left, _ in terms], axis=1).reshape(-1, h)
    columns = np.concatenate([right for _, right in terms], axis=1)
    # Kept for good, so it must serve training even when built inside inference_mode.
    with torch.inference_mode(False):
        return (
            torch.from_numpy(rows).to(device, dtype),
            torch.from_numpy(columns).to(device, dtype),
        )


def _dct(n: int) -> NDArray[np.float64]:
    """Return the orthonormal DCT-II matrix M_n of equation 4."""
    # The cosine repeats every 4 n; of small numbers it is more exact.
    quarters = np.outer(np.arange(n), 2 * np.arange(n) + 1) % (4 * n)
    waves = np.cos(np.pi / (2 * n) * quarters)
    return waves * np.sqrt(np.where(np.arange(n) == 0, 1, 2) / n)[:, None]


def _difference(n: int) -> NDArray[np.float64]:
    """Return D_n of equation 1: ones on the diagonal, -1 on the diagonal above it."""
    return np.eye(n) - np.eye(n, k=1)
