"""What needs no depth test: the ground with its cross section and markings, and the sky."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.data.labels import ID_OF
from pipeline.data.street.canvas import (
    GROUND_BASE,
    GROUND_SHADES,
    SKY_SHADES,
    Canvas,
    band_depths,
)
from pipeline.data.street.layout import Street
from pipeline.data.street.records import DISPARITY_AT_1M, PARTS, Paint
from pipeline.data.street.sprites import noise

ROAD, MARKING, WALK, CURB, GRASS, YARD, PARKING, RAIL = range(PARTS)
REACH_M, BINS_PER_M = 60.0, 20
_BINS = int(2 * REACH_M * BINS_PER_M)
_NOISE = 512
_TEXELS_PER_M = 22.0
_FAR_M = 2000.0
_LONG_M = 30.0
"""A shadow longer than this may bend out of the box of its two ends."""


class Shadow(NamedTuple):
    """A darker rectangle of ground."""

    lateral_m: tuple[float, float]
    depth_m: tuple[float, float]
    light: float


def ground_paint(rng: np.random.Generator, street: Street) -> Paint:
    """Colours and labels of the ground's parts."""
    asphalt = rng.uniform(82, 112)
    slab = rng.uniform(118, 150)
    warm = np.array([1.04, 1.0, 0.95])
    colours = np.stack(
        [
            np.full(3, asphalt) * (1.0, 1.0, 1.02),
            np.full(3, 205.0),
            slab * warm,
            np.full(3, slab * 1.12),
            np.array([92.0, 116, 58]) * rng.uniform(0.85, 1.15),
            np.array([128.0, 112, 92]) * rng.uniform(0.85, 1.1),
            asphalt * np.array([1.12, 1.06, 1.0]),
            np.full(3, asphalt * 0.62),
        ]
    )
    rails = "rail track" if rng.random() < 0.4 else "road"
    yard = "terrain" if street.kind in ("suburb", "outskirts") else "ground"
    bays = "parking" if rng.random() < 0.3 else "road"
    names = ("road", "road", "sidewalk", "sidewalk", "terrain", yard, bays, rails)
    light = 0.9 + 0.2 * street.sun
    return Paint(
        (colours * light).astype(np.float32), np.array([ID_OF[n] for n in names], np.uint8)
    )


def _section(
    street: Street, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Parts and lightness across the street, a row for each case of `_case_of_row`."""
    lateral = (np.arange(_BINS) + 0.5) / BINS_PER_M - REACH_M
    off = np.abs(lateral)
    garden = GRASS if street.kind in ("suburb", "outskirts") else YARD
    plain = np.full(_BINS, garden, np.uint8)
    plain[off < street.edge_m] = WALK
    plain[off < street.half_road_m + street.verge_m] = GRASS
    plain[off < street.half_road_m + 0.18] = CURB
    plain[off < street.half_road_m] = ROAD
    if street.parking_m and rng.random() < 0.5:
        plain[(off < street.half_road_m) & (off > street.half_road_m - street.parking_m)] = PARKING
    light = np.ones(_BINS, np.float32)
    light[np.abs(off - street.half_road_m + 0.15) < 0.12] = 0.8
    light[(plain == WALK) & ((off * 20).astype(int) % 20 == 0)] = 0.82
    for lane in range(street.lanes):
        for track in (-0.75, 0.75):
            at = (lane + 0.5) * street.lane_m + (1.4 if street.tram else 0) + track
            light *= 1 - 0.09 * np.exp(-(((off - at) / 0.22) ** 2)).astype(np.float32)
    if street.tram:
        for rail in (0.55, 1.99):
            plain[np.abs(off - rail) < 0.06] = RAIL
        plain[(off < 0.12) | ((off > 2.3) & (off < 2.5))] = CURB if rng.random() < 0.3 else ROAD
    dashed = plain.copy()
    seams = [0.0] if street.lanes == 1 else [0.0, street.lane_m]
    for seam in seams:
        at = seam + (1.4 if street.tram else 0)
        if rng.random() < 0.85 and not (street.tram and seam == 0):
            dashed[np.abs(off - at) < 0.08] = MARKING
    if rng.random() < 0.4:
        line = np.abs(off - street.half_road_m + street.parking_m + 0.25) < 0.07
        plain[line] = dashed[line] = MARKING
    across = np.where(off < 45, ROAD, garden).astype(np.uint8)
    zebra = plain.copy()
    zebra[(off < street.half_road_m) & ((lateral + REACH_M) % 1.0 < 0.5)] = MARKING
    stop = plain.copy()
    stop[(lateral > 0.1) & (lateral < street.half_road_m - street.parking_m)] = MARKING
    shine = np.stack([light, light, np.ones(_BINS, np.float32), light, light])
    return np.stack([plain, dashed, across, zebra, stop]), shine


def _case_of_row(
    street: Street, depth_h: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.intp]:
    """Which row of `_section` holds at each depth."""
    gap, dash = rng.uniform(3, 8), rng.uniform(3, 6)
    case = np.where((depth_h + rng.uniform(0, 8)) % (gap + dash) < dash, 1, 0)
    start, end = street.crossing
    case[(depth_h > start) & (depth_h < end)] = 2
    if rng.random() < 0.75:
        case[(depth_h > start - 4) & (depth_h < start - 1)] = 3
        case[(depth_h > end + 1) & (depth_h < end + 4)] = 3
        case[(depth_h > start - 5.2) & (depth_h < start - 4.8)] = 4
    return case


def paint_ground(
    canvas: Canvas, street: Street, shadows: list[Shadow], rng: np.random.Generator
) -> None:
    """Paints everything below the horizon with the cross section of the street."""
    view = canvas.camera
    first = int(np.floor(view.horizon_row + 0.5))
    rows = np.arange(first, view.height, dtype=np.float32) + 0.5 - np.float32(view.horizon_row)
    if not len(rows):
        return
    depth_h = np.minimum(view.focal_px * view.eye_m / rows, _FAR_M).astype(np.float32)
    canvas.disparity_HW[first:] = (rows * (DISPARITY_AT_1M / (view.focal_px * view.eye_m)))[:, None]
    offset_w = (np.arange(view.width, dtype=np.float32) + 0.5 - view.width / 2) / view.focal_px
    middle_h = street.middle_m + 0.5 * street.bend_per_m * depth_h**2
    lateral_hw = offset_w * depth_h[:, None] - middle_h[:, None]
    parts, shine = _section(street, rng)
    bins = np.clip((lateral_hw + REACH_M) * BINS_PER_M, 0, _BINS - 1).astype(np.int32)
    bins += (_case_of_row(street, depth_h, rng) * _BINS).astype(np.int32)[:, None]
    grain = noise(_NOISE, 0.85, 1)
    texel = (lateral_hw * _TEXELS_PER_M).astype(np.int32) & (_NOISE - 1)
    texel += ((depth_h * _TEXELS_PER_M).astype(np.int32) & (_NOISE - 1))[:, None] * _NOISE
    contrast = np.float32(0.08) / (1 + depth_h / 40)
    light = grain.ravel().take(texel)
    light *= contrast[:, None]
    light += 1
    light *= shine.ravel().take(bins)
    for shadow in [*shadows, *_house_shadows(street, rng)]:
        _darken(light, lateral_hw, depth_h, shadow)
    band = np.abs(np.log(depth_h[:, None] / band_depths())).argmin(axis=1).astype(np.int32)
    code = np.clip(light * (GROUND_SHADES / 2), 0, GROUND_SHADES - 1).astype(np.int32)
    code += parts.ravel().take(bins).astype(np.int32) * GROUND_SHADES
    code += (GROUND_BASE + band * (PARTS * GROUND_SHADES))[:, None]
    canvas.index_HW[first:] = code


def _house_shadows(street: Street, rng: np.random.Generator) -> list[Shadow]:
    """What the buildings on the sunny side keep dark, but for the crossing."""
    if street.sun < 0.4 or street.kind == "outskirts":
        return []
    reach = rng.uniform(0, 0.9) * (street.edge_m + street.half_road_m)
    end = street.sun_side * street.edge_m
    sides = (end - reach, end) if street.sun_side > 0 else (end, end + reach)
    light = 1 - 0.45 * street.sun
    depths = ((0.0, street.crossing[0] - 2), (street.crossing[1] + 2, 2 * _FAR_M))
    return [Shadow(sides, depth, light) for depth in depths]


def _darken(
    light_hw: NDArray[np.float32],
    lateral_hw: NDArray[np.float32],
    depth_h: NDArray[np.float32],
    shadow: Shadow,
) -> None:
    rows = np.flatnonzero((depth_h > shadow.depth_m[0]) & (depth_h < shadow.depth_m[1]))
    if not len(rows):
        return
    box = slice(int(rows[0]), int(rows[-1]) + 1)
    ends = [lateral_hw[row].searchsorted(shadow.lateral_m) for row in (rows[0], rows[-1])]
    columns = slice(int(min(e[0] for e in ends)), int(max(e[1] for e in ends)))
    if shadow.depth_m[1] - shadow.depth_m[0] > _LONG_M:
        columns = slice(None)
    there = lateral_hw[box, columns]
    inside = (there > shadow.lateral_m[0]) & (there < shadow.lateral_m[1])
    np.multiply(light_hw[box, columns], shadow.light, out=light_hw[box, columns], where=inside)


def paint_sky(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    """Paints the sky above the horizon, clearer at the top, with clouds."""
    view = canvas.camera
    rows = min(int(np.ceil(view.horizon_row)) + 1, view.height)
    if rows <= 0:
        return
    share = np.linspace(0.15, 1, rows, dtype=np.float32)[:, None] * 190
    v = (np.arange(rows) * (420 / rows)).astype(np.intp) + rng.integers(0, 92)
    u = (np.arange(view.width) * (500 / view.width)).astype(np.intp)
    clouds = np.roll(noise(_NOISE, 1.7, 2), rng.integers(_NOISE))[v].take(u, axis=1)
    cover = rng.uniform(10, 60)
    canvas.index_HW[:rows] = np.clip(share + clouds * cover + cover * 0.6, 0, SKY_SHADES - 1)
