"""What there is to see of one model: pictures of a few frames, ready to be shown."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Legend = tuple[tuple[str, tuple[int, int, int]], ...]
"""(words, RGB 0 to 255) of each colour that means something in a task's pictures."""


@dataclass(frozen=True)
class Examples:
    """Pictures of B frames of the validation set; every array is RGB uint8, B x H x W x 3."""

    names: tuple[str, ...]
    """Of the frames."""
    image_BHW3: np.ndarray
    """What the edge device saw."""
    truths: Mapping[str, np.ndarray]
    """task -> the truth."""
    predictions: Mapping[str, Mapping[str, np.ndarray]]
    """codec point -> task -> what came out of the decoded bitstream."""
    legends: Mapping[str, Legend]
    """task -> its legend; empty for pictures that need none."""
