"""A picture plane on which upright faces are painted under a depth test.

Each pixel holds two numbers: an index into a table of colours, and a disparity. So painting costs
two masked copies, whatever the surface looks like. Colours, haze and labels are looked up once, for
what is visible in the end.
"""

from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.labels import ID_OF
from pipeline.streets.camera import DISPARITY_AT_1M, Camera

PARTS, SHADES = 8, 16
"""A texture code is part * SHADES + shade. Code 0 is transparent."""
LIT = 9
"""The shade in which a part has its own colour."""
SKY_SHADES, GROUND_SHADES = 256, 64
BANDS_M = np.geomspace(4, 400, 12, dtype=np.float32)
"""Depths at which the haze over the ground is computed."""
GROUND_BASE = SKY_SHADES
OBJECT_BASE = GROUND_BASE + len(BANDS_M) * PARTS * GROUND_SHADES
NEAR_M = 3.8
"""Nothing upright is painted nearer. At 3.8 m the disparity is 124 px, just within the stereo
matcher's range."""

Codes = NDArray[np.uint8]
Point = tuple[float, float]
"""Metres to the right of the camera and in front of it."""


class Paint(NamedTuple):
    """The colour and the label of each part of a texture."""

    colours_P3: NDArray[np.float32]
    """RGB, 0 to 255, in white light; PARTS rows."""
    labels_P: NDArray[np.uint8]
    """Official label ids."""


class Air(NamedTuple):
    """The light and the weather of one scene."""

    sky_S3: NDArray[np.float32]
    """RGB of the sky's shades, from clear to pale."""
    haze_3: NDArray[np.float32]
    """RGB to which far things fade."""
    haze_per_m: float
    """Share of the light that a metre of air takes."""
    exposure_3: NDArray[np.float32]
    """Gain of each colour channel."""


class Canvas:
    """The index and the disparity of each pixel, and the table to which the indices point."""

    def __init__(self, camera: Camera) -> None:
        shape = (camera.height, camera.width)
        self.camera = camera
        self.index_HW = np.zeros(shape, np.int32)
        self.disparity_HW = np.zeros(shape, np.float32)
        """Pixels of the full width; 0 is infinitely far."""
        self._focal_px = camera.focal_px
        self._px_per_disparity = camera.px_per_disparity
        self._painted: list[tuple[Paint, float, float]] = []

    def register(self, paint: Paint, light: float, depth_m: float) -> int:
        """Return the index at which the codes of a new face begin."""
        self._painted.append((paint, light, depth_m))
        return OBJECT_BASE + (len(self._painted) - 1) * PARTS * SHADES

    def face(
        self,
        start: Point,
        end: Point,
        top_m: float,
        codes_hw: Codes,
        paint: Paint,
        light: float = 1.0,
    ) -> None:
        """Paint an upright rectangle from start to end, with a texture stretched over it.

        It stands on the ground. The first column of codes_hw lies at start, its last row at the
        bottom. The part nearer than NEAR_M is cut off. The order of painting changes nothing; near
        things first is fastest.
        """
        if max(start[1], end[1]) <= NEAR_M:
            return
        (u0, d0, s0), (u1, d1, s1) = self._ends(start, end)
        columns = _pixels(u0, u1, self.camera.width)
        nearest, farthest = max(d0, d1), min(d0, d1)
        highest = self._row(top_m, nearest if top_m > self.camera.eye_m else farthest)
        rows = _pixels(highest, self._row(0, nearest), self.camera.height)
        behind = self.disparity_HW[rows, columns]
        if not behind.size or behind.min() >= nearest:
            return
        # Disparity, and the share of the face times disparity, are linear in the column.
        t = np.arange(columns.start, columns.stop, dtype=np.float32) + np.float32(0.5 - u0)
        t /= np.float32(u1 - u0)
        disparity_w: NDArray[np.float32] = t * np.float32(d1 - d0) + np.float32(d0)
        share_w = (s0 * d0 + t * (s1 * d1 - s0 * d0)) / disparity_w
        picked_w = (share_w * codes_hw.shape[1]).astype(np.int32)
        np.minimum(picked_w, codes_hw.shape[1] - 1, out=picked_w)
        v = np.arange(rows.start, rows.stop, dtype=np.float32) + np.float32(0.5)
        if d0 == d1:
            top, bottom = self._row(top_m, d0), self._row(0, d0)
            picked_h = ((v - top) * (len(codes_hw) / (bottom - top))).astype(np.intp)
            codes = codes_hw.take(picked_h, axis=0, mode="clip").take(picked_w, axis=1)
            seen = codes != 0
        else:
            codes, seen = self._slanted(v, disparity_w, top_m, codes_hw, picked_w)
        seen &= behind < disparity_w
        base = self.register(paint, light, DISPARITY_AT_1M / float(disparity_w[len(t) // 2]))
        np.copyto(behind, disparity_w, where=seen)
        np.copyto(self.index_HW[rows, columns], codes.astype(np.int32) + base, where=seen)

    def _ends(self, start: Point, end: Point) -> list[tuple[float, float, float]]:
        """Return column, disparity and share of the face at its left and its right end."""
        ends = []
        for (x, z), (other_x, other_z), share in ((start, end, 0.0), (end, start, 1.0)):
            if z < NEAR_M:
                cut = (NEAR_M - z) / (other_z - z)
                x, z, share = x + cut * (other_x - x), NEAR_M, abs(share - cut)
            column = self.camera.width / 2 + self._focal_px * x / z
            ends.append((column, DISPARITY_AT_1M / z, share))
        return ends if ends[0][0] <= ends[1][0] else ends[::-1]

    def _row(self, height_m: float, disparity: float) -> float:
        """Return the row of a point at a height over the ground."""
        px_per_m = self._px_per_disparity * disparity
        return self.camera.horizon_row - (height_m - self.camera.eye_m) * px_per_m

    def _slanted(
        self,
        v: NDArray[np.float32],
        disparity_w: NDArray[np.float32],
        top_m: float,
        codes_hw: Codes,
        picked_w: NDArray[np.int32],
    ) -> tuple[Codes, NDArray[np.bool_]]:
        """Return the codes of a face whose depth changes by column, and where they are seen."""
        px_per_m = disparity_w * np.float32(self._px_per_disparity)
        scale_w = codes_hw.shape[0] / (px_per_m * top_m)
        top_w = self.camera.horizon_row - px_per_m * (top_m - self.camera.eye_m)
        picked_hw = v[:, None] * scale_w
        picked_hw -= top_w * scale_w
        seen = picked_hw >= 0
        seen &= picked_hw < codes_hw.shape[0]
        flat = picked_hw.astype(np.int32)
        flat *= codes_hw.shape[1]
        flat += picked_w
        codes = codes_hw.ravel().take(flat, mode="clip")
        seen &= codes != 0
        return codes, seen

    def develop(self, ground: Paint, air: Air) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the colours (H, W, 3) and the official labels (H, W) of what is visible."""
        ground_gain = (np.arange(GROUND_SHADES, dtype=np.float32) + 0.5) / (GROUND_SHADES / 2)
        ground_BPS3 = np.tile(
            ground.colours_P3[:, None] * ground_gain[:, None], (len(BANDS_M), 1, 1, 1)
        )
        gain = (np.arange(SHADES, dtype=np.float32) + 1) / np.float32(LIT + 1)
        colours_NP3 = np.array([x.colours_P3 * light for x, light, _ in self._painted], np.float32)
        colours_NPS3 = colours_NP3.reshape(-1, PARTS, 1, 3) * gain[:, None]
        depth_N = np.array([depth for *_, depth in self._painted], np.float32)
        tables = [air.sky_S3, _hazed(ground_BPS3, BANDS_M, air), _hazed(colours_NPS3, depth_N, air)]
        labels = [
            np.full(SKY_SHADES, ID_OF["sky"], np.uint8),
            np.tile(ground.labels_P.repeat(GROUND_SHADES), len(BANDS_M)),
            np.array([x.labels_P for x, *_ in self._painted], np.uint8).repeat(SHADES),
        ]
        table = np.clip(np.concatenate(tables) * air.exposure_3, 0, 255).astype(np.uint8)
        return table.take(self.index_HW, axis=0), np.concatenate(labels).take(self.index_HW)


def _hazed(
    colours_NPS3: NDArray[np.float32], depth_N: NDArray[np.float32], air: Air
) -> NDArray[np.float32]:
    """Return the colours as rows of RGB, each seen through its depth of air."""
    clear = np.exp(-depth_N * np.float32(air.haze_per_m)).reshape(-1, 1, 1, 1)
    return (air.haze_3 + (colours_NPS3 - air.haze_3) * clear).reshape(-1, 3)


def _pixels(low: float, high: float, size: int) -> slice:
    """Return the pixels of the image whose centres lie from low to high."""
    first = min(max(ceil(low - 0.5), 0), size)
    return slice(first, min(max(ceil(high - 0.5), first), size))
