"""What a quantiser makes of features: where a rate loss that was fooled would show."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from pipeline.coding.quantizer import Levels


class LevelStatistics(NamedTuple):
    """Means over images of what their levels look like."""

    span: float
    """max - min of the features, in their own unit."""
    deviation: float
    """Standard deviation of the levels, in levels. It falls if a network stretches the range."""
    lowest: float
    """Share of the levels that are 0, from 0 to 1: after a ReLU, the features that are 0."""
    entropy: float
    """Of the levels' histogram, in bits per level: what coding each alone costs at least."""


def level_statistics(images: Iterable[Levels]) -> LevelStatistics:
    """Return the means over images. Raises ValueError if there are none."""
    rows = []
    for levels in images:
        share = np.bincount(levels.levels_Chw.ravel()) / levels.levels_Chw.size
        known = share[share > 0]
        entropy = float(-(known * np.log2(known)).sum())
        span = levels.high - levels.low
        rows.append((span, float(levels.levels_Chw.std()), float(share[0]), entropy))
    if not rows:
        raise ValueError("no images: there is nothing to describe")
    return LevelStatistics(*np.mean(rows, axis=0).tolist())
