"""What there is to see of the models beside their numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.scoring.examples import Examples


@dataclass(frozen=True)
class Tile:
    """The features of one frame as the codecs see them."""

    caption: str
    """Whose it is and how many bytes it costs."""
    levels_HW: np.ndarray
    """Integers: the levels of all channels, laid out as one grey image."""


@dataclass(frozen=True)
class Looks:
    """What there is to see of one encoder, from the models of one seed; all go by arm."""

    histories: Mapping[str, pd.DataFrame]
    """Of the training (see `pipeline.report.charts.training`)."""
    tiles: Mapping[str, Tile]
    """Of the first frame."""
    examples: Mapping[str, Examples]
