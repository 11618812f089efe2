"""The Karhunen-Loève transform: the few directions in which features vary most."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FITTED_FRAMES = 240
"""So many training frames are enough. Their features are 126 MB for Encoder2 at 512x256."""


class Klt(NamedTuple):
    """What was measured over features, all float64."""

    mean_C: NDArray[np.float64]
    basis_CK: NDArray[np.float64]
    """The eigenvectors of the covariance, K = C, that of the largest variance first."""
    variance_K: NDArray[np.float64]
    """The variance along each of them, at least 0."""
    deviation: float
    """The standard deviation of all features together; 1 if they are all one value."""
    least: float
    """The lowest feature."""


def klt_of(batches: Iterable[NDArray[np.floating]]) -> Klt:
    """Return the transform of features that come in batches B x C x h x w; each is seen once."""
    total_C, products_CC = np.zeros(1), np.zeros((1, 1))
    count, least = 0, np.inf
    for features_BChw in batches:
        values_CN = np.moveaxis(features_BChw, 1, 0).reshape(features_BChw.shape[1], -1)
        values_CN = values_CN.astype(np.float64)
        total_C = total_C + values_CN.sum(1)
        products_CC = products_CC + values_CN @ values_CN.T
        count += values_CN.shape[1]
        least = min(least, values_CN.min())
    mean_C = total_C / count
    power = np.trace(products_CC) / (count * len(mean_C)) - mean_C.mean() ** 2
    variance_K, basis_CK = np.linalg.eigh(products_CC / count - np.outer(mean_C, mean_C))
    return Klt(
        mean_C=mean_C,
        basis_CK=basis_CK[:, ::-1],
        variance_K=variance_K[::-1].clip(min=0),
        deviation=float(np.sqrt(max(power, 0))) or 1.0,
        least=float(least),
    )
