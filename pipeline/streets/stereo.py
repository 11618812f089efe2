"""From the true disparity to what a stereo matcher finds, in the encoding of the release."""

import numpy as np
from numpy.typing import NDArray

from pipeline.streets.camera import FULL_WIDTH
from pipeline.streets.textures import noise

MOST_DISPARITY = 126
"""The release's matcher searches no further, in pixels of the full width."""
_NOISE = 512
_MISSES = ((0.7, 2.4), (1.25, 2.45))
"""Slope of a noise, and the value above which a pixel has no match: fine specks, larger patches."""


def encode_disparity(
    disparity_HW: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Return a true disparity as the release stores it: uint16, round(256 d) + 1, 0 for none.

    disparity_HW is in pixels of the full width, 0 for infinitely far. Four kinds of pixels get
    none: the sky, points nearer than the matcher searches, points that the right camera does not
    see, and random specks and patches.
    """
    code = np.rint(np.minimum(disparity_HW, MOST_DISPARITY) * 256).astype(np.uint16)
    code += 1
    out_of_range = (disparity_HW == 0) | (disparity_HW > MOST_DISPARITY)
    code[out_of_range | unseen(disparity_HW) | _missed(disparity_HW.shape, rng)] = 0
    return code


def unseen(disparity_HW: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return where the right camera does not see what the left one sees.

    A pixel in column u falls on u - d in the right image. It is hidden if something falls on the
    same place that is nearer by at least a pixel of this image's disparity.
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
    for slope, bound in _MISSES:
        v = (np.arange(height) * (_NOISE / 2 / height) + rng.integers(_NOISE)) % _NOISE
        u = (np.arange(width) * (_NOISE / width) + rng.integers(_NOISE)) % _NOISE
        rows = (noise(_NOISE, slope, 3) > bound).take(v.astype(np.intp), axis=0)
        missed |= rows.take(u.astype(np.intp), axis=1)
    return missed
