"""From the true disparity to what a stereo matcher would have found, in the release's encoding."""

import numpy as np
from numpy.typing import NDArray

from pipeline.data.street.records import FULL_WIDTH, MOST_DISPARITY
from pipeline.data.street.sprites import noise

_NOISE = 512
_MISSES, _BLOTCHES = 2.25, 2.35
"""Deviations of noise beyond which a pixel has no match: fine specks, larger patches."""


def encode_disparity(
    disparity_HW: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Disparity (H, W) float32 in pixels of the full width, 0 for none, as the release stores it.

    Returns uint16: round(d * 256) + 1, and 0 where the matcher has nothing: in the sky, nearer
    than it searches, where the right camera does not see the point (beyond its left border or
    behind something nearer), and on specks and patches.
    """
    code = np.rint(np.minimum(disparity_HW, MOST_DISPARITY) * 256).astype(np.uint16)
    code += 1
    out_of_range = (disparity_HW == 0) | (disparity_HW > MOST_DISPARITY)
    code[out_of_range | unseen(disparity_HW) | _missed(disparity_HW.shape, rng)] = 0
    return code


def unseen(disparity_HW: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where the right camera has no view of what the left one sees.

    A pixel at column u falls on u - d in the right image. It is hidden when something falls on
    the same place that is nearer by at least a pixel of this image's disparity.
    """
    height, width = disparity_HW.shape
    columns_w = np.arange(width, dtype=np.float32)
    place_HW = np.rint(columns_w - disparity_HW * np.float32(width / FULL_WIDTH)).astype(np.intp)
    outside = place_HW < 0
    np.maximum(place_HW, 0, out=place_HW)
    place_HW += (np.arange(height) * width)[:, None]
    nearest = np.zeros(height * width, np.float32)
    np.maximum.at(nearest, place_HW.ravel(), np.where(outside, 0, disparity_HW).ravel())
    return outside | (nearest.take(place_HW) >= disparity_HW + np.float32(FULL_WIDTH / width))


def _missed(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    height, width = shape
    missed = np.zeros((height, width), bool)
    for slope, bound in ((0.7, _MISSES), (1.25, _BLOTCHES)):
        v = (np.arange(height) * (_NOISE / 2 / height) + rng.integers(_NOISE)) % _NOISE
        u = (np.arange(width) * (_NOISE / width) + rng.integers(_NOISE)) % _NOISE
        rows = (noise(_NOISE, slope, 3) > bound).take(v.astype(np.intp), axis=0)
        missed |= rows.take(u.astype(np.intp), axis=1)
    return missed
