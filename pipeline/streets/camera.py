"""The camera of the built-in streets: that of the release, over flat ground."""

from dataclasses import dataclass

FULL_WIDTH = 2048
FOCAL_FULL_PX = 2262.0
BASELINE_M = 0.209
DISPARITY_AT_1M = FOCAL_FULL_PX * BASELINE_M
"""Disparity of a point one metre away, in pixels of the full width."""


@dataclass(frozen=True)
class Camera:
    """A camera over flat ground. A small pitch shows as a shift of the horizon."""

    width: int
    """Of the image, in pixels."""
    height: int
    eye_m: float
    """Height of the lens over the ground."""
    horizon_row: float
    """Row of the horizon, in pixels from the top edge of the image."""

    @property
    def focal_px(self) -> float:
        """Return the focal length in pixels of this image."""
        return FOCAL_FULL_PX * self.width / FULL_WIDTH

    @property
    def px_per_disparity(self) -> float:
        """Return the pixels of this image that one metre covers at a disparity of one pixel."""
        return self.focal_px / DISPARITY_AT_1M
