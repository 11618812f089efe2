"""A picture plane that is painted with upright faces under a depth test.

Every pixel holds two numbers only, an index into a table of colours and a disparity, so painting
costs two masked copies however rich the surface is; colours, haze and labels are looked up once,
for what is visible in the end.
"""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from pipeline.data.labels import ID_OF
from pipeline.data.street.records import (
    DISPARITY_AT_1M,
    NEAR_M,
    PARTS,
    SHADES,
    Air,
    Camera,
    Codes,
    Paint,
    Point,
)

GROUND_SHADES, GROUND_BANDS, SKY_SHADES = 64, 12, 256
GROUND_BASE = SKY_SHADES
OBJECT_BASE = GROUND_BASE + GROUND_BANDS * PARTS * GROUND_SHADES


class Canvas:
    """Index and disparity of every pixel, and the table the indices point into."""

    def __init__(self, camera: Camera) -> None:
        shape = (camera.height, camera.width)
        self.camera = camera
        self.index_HW = np.zeros(shape, np.int32)
        self.disparity_HW = np.zeros(shape, np.float32)
        """Pixels of the full width; 0 is infinitely far."""
        self._paints: list[Paint] = []
        self._lights: list[float] = []
        self._depths: list[float] = []

    def _register(self, paint: Paint, light: float, depth_m: float) -> int:
        self._paints.append(paint)
        self._lights.append(light)
        self._depths.append(depth_m)
        return OBJECT_BASE + (len(self._paints) - 1) * PARTS * SHADES

    def face(
        self,
        start: Point,
        end: Point,
        bottom_m: float,
        top_m: float,
        codes_hw: Codes,
        paint: Paint,
        light: float = 1.0,
    ) -> None:
        """Paints an upright rectangle from start to end with a texture stretched over it.

        codes_hw's first column lies at start, its last row at the bottom. The part nearer than
        NEAR_M is cut off; what is behind the camera, off the image or hidden changes nothing.
        Painting near things first is fastest.
        """
        (x0, z0), (x1, z1) = start, end
        s0, s1 = 0.0, 1.0
        if max(z0, z1) <= NEAR_M:
            return
        if z0 < NEAR_M:
            s0 = (NEAR_M - z0) / (z1 - z0)
            x0, z0 = x0 + s0 * (x1 - x0), NEAR_M
        elif z1 < NEAR_M:
            s1 = (NEAR_M - z0) / (z1 - z0)
            x1, z1 = x0 + s1 * (x1 - x0), NEAR_M
        focal, centre = self.camera.focal_px, self.camera.width / 2
        u0, u1 = centre + focal * x0 / z0, centre + focal * x1 / z1
        if u0 > u1:
            u0, u1, z0, z1, s0, s1 = u1, u0, z1, z0, s1, s0
        columns = _pixels(u0, u1, self.camera.width)
        nearest = DISPARITY_AT_1M / min(z0, z1)
        rows = self._rows(bottom_m, top_m, nearest)
        behind = self.disparity_HW[rows, columns]
        if not behind.size or behind.min() >= nearest:
            return
        t = np.arange(columns.start, columns.stop, dtype=np.float32)
        t -= u0 - 0.5
        t /= u1 - u0
        disparity_w = DISPARITY_AT_1M / z0 + t * np.float32(DISPARITY_AT_1M * (1 / z1 - 1 / z0))
        s = (s0 / z0 + t * (s1 / z1 - s0 / z0)) * (DISPARITY_AT_1M / disparity_w)
        picked_w = (s * codes_hw.shape[1]).astype(np.int32)
        np.minimum(picked_w, codes_hw.shape[1] - 1, out=picked_w)
        v = np.arange(rows.start, rows.stop, dtype=np.float32)
        v += 0.5
        if z0 == z1:
            codes, seen = self._flat(v, picked_w, bottom_m, top_m, codes_hw, nearest)
        else:
            codes, seen = self._slanted(v, picked_w, bottom_m, top_m, codes_hw, disparity_w)
        seen &= behind < disparity_w
        depth = float(DISPARITY_AT_1M / disparity_w[len(disparity_w) // 2])
        base = self._register(paint, light, depth)
        np.copyto(behind, disparity_w, where=seen)
        np.copyto(self.index_HW[rows, columns], codes.astype(np.int32) + base, where=seen)

    def _row_at(self, height_m: float, disparity: float) -> float:
        """The row of a point so high over the ground, from its disparity in full pixels."""
        scale = self.camera.focal_px / DISPARITY_AT_1M
        return self.camera.horizon_row - (height_m - self.camera.eye_m) * scale * disparity

    def _rows(self, bottom_m: float, top_m: float, nearest: float) -> slice:
        """Rows that a face may reach whose nearest edge has this disparity."""
        eye, horizon = self.camera.eye_m, self.camera.horizon_row
        high = self._row_at(top_m, nearest) if top_m > eye else horizon
        low = self._row_at(bottom_m, nearest) if bottom_m < eye else horizon
        return _pixels(high, low, self.camera.height)

    def _flat(
        self,
        v: NDArray[np.float32],
        picked_w: NDArray[np.int32],
        bottom_m: float,
        top_m: float,
        codes_hw: Codes,
        disparity: float,
    ) -> tuple[Codes, NDArray[np.bool_]]:
        """Texture of a face that has one depth, and where it is not see-through."""
        top = self._row_at(top_m, disparity)
        scale = codes_hw.shape[0] / (self._row_at(bottom_m, disparity) - top)
        picked_h = (v - top) * scale
        inside = (picked_h >= 0) & (picked_h < codes_hw.shape[0])
        codes = codes_hw.take(picked_h.astype(np.intp), axis=0, mode="clip").take(picked_w, axis=1)
        seen = codes != 0
        seen &= inside[:, None]
        return codes, seen

    def _slanted(
        self,
        v: NDArray[np.float32],
        picked_w: NDArray[np.int32],
        bottom_m: float,
        top_m: float,
        codes_hw: Codes,
        disparity_w: NDArray[np.float32],
    ) -> tuple[Codes, NDArray[np.bool_]]:
        """Texture of a face whose depth changes by column, and where it is not see-through."""
        px_per_m = disparity_w * np.float32(self.camera.focal_px / DISPARITY_AT_1M)
        scale_w = codes_hw.shape[0] / (px_per_m * (top_m - bottom_m))
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

    def upright(
        self,
        at: Point,
        width_m: float,
        height_m: float,
        codes_hw: Codes,
        paint: Paint,
        light: float = 1.0,
        bottom_m: float = 0.0,
    ) -> None:
        """Paints a texture that faces the camera, centred at a point and standing at bottom_m."""
        x, z = at
        half = max(width_m / 2, 0.51 * z / self.camera.focal_px)
        self.face(
            (x - half, z), (x + half, z), bottom_m, bottom_m + height_m, codes_hw, paint, light
        )

    def bonnet(self, top_w: NDArray[np.float32], paint: Paint) -> None:
        """Paints the own vehicle below a row per column; a stereo matcher finds nothing there."""
        rows = np.arange(self.camera.height, dtype=np.float32)[:, None] + 0.5
        below = rows - top_w
        shade = np.clip(12 - below * (160.0 / self.camera.height), 3, 12).astype(np.int32)
        inside = below > 0
        base = self._register(paint, 1.0, 1.0) + SHADES
        np.copyto(self.index_HW, shade + base, where=inside)
        np.copyto(self.disparity_HW, 0, where=inside)

    def develop(self, ground: Paint, air: Air) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Colours (H, W, 3) and official labels (H, W) of what is visible."""
        band_gain = (np.arange(GROUND_SHADES, dtype=np.float32) + 0.5) / (GROUND_SHADES / 2)
        ground_colours = ground.colours_P3[:, None] * band_gain[:, None]
        ground_table = _hazed(
            np.broadcast_to(ground_colours, (GROUND_BANDS, PARTS, GROUND_SHADES, 3)),
            band_depths(),
            air,
        )
        shade_gain = (np.arange(SHADES, dtype=np.float32) + 1) / np.float32(10)
        colours = np.array([paint.colours_P3 for paint in self._paints], np.float32)
        colours = colours.reshape(-1, PARTS, 3) * np.array(self._lights, np.float32)[:, None, None]
        depths = np.array(self._depths, np.float32)
        object_table = _hazed(colours[:, :, None] * shade_gain[:, None], depths, air)
        table = np.concatenate([air.sky_S3, ground_table, object_table]) * air.exposure_3
        labels = np.concatenate(
            [
                np.full(SKY_SHADES, ID_OF["sky"], np.uint8),
                np.tile(ground.labels_P.repeat(GROUND_SHADES), GROUND_BANDS),
                np.array([paint.labels_P for paint in self._paints], np.uint8).repeat(SHADES),
            ]
        )
        table_u8 = np.clip(table, 0, 255).astype(np.uint8)
        return table_u8.take(self.index_HW, axis=0), labels.take(self.index_HW)


def band_depths() -> NDArray[np.float32]:
    """Depths in metres that stand for the bands of ground, near to far."""
    return np.geomspace(4, 400, GROUND_BANDS).astype(np.float32)


def _hazed(
    colours: NDArray[np.float32], depths_n: NDArray[np.float32], air: Air
) -> NDArray[np.float32]:
    """Colours (n, parts, shades, 3) seen through each one's depth of air, as rows of RGB."""
    clear = np.exp(-depths_n * air.haze_per_m).reshape(-1, 1, 1, 1)
    return (air.haze_3 + (colours - air.haze_3) * clear).reshape(-1, 3)


def _pixels(low: float, high: float, size: int) -> slice:
    """The pixels whose centres lie from low to high, within the image."""
    first = min(max(ceil(low - 0.5), 0), size)
    return slice(first, min(max(ceil(high - 0.5), first), size))
