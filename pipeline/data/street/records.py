"""Constants of the camera and the records that the painters of streets share."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FULL_WIDTH = 2048
FOCAL_FULL_PX = 2262.0
BASELINE_M = 0.209
DISPARITY_AT_1M = FOCAL_FULL_PX * BASELINE_M
"""Disparity of a point one metre away, in pixels of the full width (camera of the release)."""

PARTS, SHADES = 8, 16
"""A texture code is part * SHADES + shade; code 0 lets through what lies behind."""
MOST_DISPARITY = 126
"""The release's matcher searches no further."""
NEAR_M = 3.8
"""Nothing nearer stands upright in a picture, so what does is within the matcher's reach."""

Codes = NDArray[np.uint8]
Rgb = tuple[float, float, float]
Point = tuple[float, float]
"""Lateral offset to the right of the camera and depth in front of it, in metres."""


@dataclass(frozen=True)
class Camera:
    """A camera over flat ground; a small pitch shows as a shift of the horizon."""

    width: int
    height: int
    eye_m: float
    """Height of the lens over the ground."""
    horizon_row: float
    """Row of the horizon, in pixels from the top edge of the image."""

    @property
    def focal_px(self) -> float:
        """Focal length in pixels of this image."""
        return FOCAL_FULL_PX * self.width / FULL_WIDTH


class Paint(NamedTuple):
    """What the parts of a texture look like and are."""

    colours_P3: NDArray[np.float32]
    """RGB 0 to 255 in white light, PARTS rows."""
    labels_P: NDArray[np.uint8]
    """Official label ids."""


class Air(NamedTuple):
    """Light and weather of one scene."""

    sky_S3: NDArray[np.float32]
    """RGB of the sky's shades, clear to pale."""
    haze_3: NDArray[np.float32]
    """RGB that far things fade to."""
    haze_per_m: float
    exposure_3: NDArray[np.float32]
    """Gain of the three colour channels."""
