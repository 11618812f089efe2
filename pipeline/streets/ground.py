"""What needs no depth test: the ground with its cross section and markings, and the sky."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.labels import ID_OF
from pipeline.streets.canvas import (
    BANDS_M,
    GROUND_BASE,
    GROUND_SHADES,
    PARTS,
    SKY_SHADES,
    Canvas,
    Paint,
)
from pipeline.streets.street import Street
from pipeline.streets.textures import noise

_ROAD, _MARKING, _WALK, _CURB, _GRASS, _YARD, _PARKING, _RAIL = range(PARTS)
_REACH_M, _BINS_PER_M = 60.0, 20
_BINS = int(2 * _REACH_M * _BINS_PER_M)
_NOISE = 512
_TEXELS_PER_M = 22.0
_FAR_M = 2000.0
_LONG_M = 30.0
"""A shadow longer than this may bend out of the columns between its two ends."""


class Shadow(NamedTuple):
    """A darker rectangle of ground."""

    lateral_m: tuple[float, float]
    """From the road's middle, from left to right."""
    depth_m: tuple[float, float]
    light: float
    """Share of the light that is left."""


def ground_paint(rng: np.random.Generator, street: Street) -> Paint:
    """Draw the colours and the labels of the ground's parts at random."""
    asphalt, slab, green = rng.uniform(82, 112), rng.uniform(118, 150), rng.uniform(0.85, 1.15)
    tints = np.array(
        [(1, 1, 1.02), (1, 1, 1), (1.04, 1, 0.95), (1, 1, 1), (0.79, 1, 0.5), (1.14, 1, 0.82),
         (1.12, 1.06, 1), (1, 1, 1)]
    )  # fmt: skip
    greys = (asphalt, 205, slab, 1.12 * slab, 116 * green, 112 * green, asphalt, 0.62 * asphalt)
    colours_P3 = tints * np.array(greys)[:, None] * (0.9 + 0.2 * street.sun)
    rails = "rail track" if rng.random() < 0.4 else "road"
    yard = "terrain" if street.kind > 1 else "ground"
    bays = "parking" if rng.random() < 0.3 else "road"
    names = ("road", "road", "sidewalk", "sidewalk", "terrain", yard, bays, rails)
    return Paint(colours_P3.astype(np.float32), np.array([ID_OF[n] for n in names], np.uint8))


def _sections(
    street: Street, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return parts and lightness across the street, a row for each case of `_case_of_row`."""
    lateral = (np.arange(_BINS) + 0.5) / _BINS_PER_M - _REACH_M
    off, half_road, garden = np.abs(lateral), street.half_road_m, _YARD - (street.kind > 1)
    road_edge = half_road - street.parking_m
    edges = (road_edge, half_road, half_road + 0.18, half_road + street.verge_m, street.edge_m)
    bays = _PARKING if rng.random() < 0.5 else _ROAD
    parts = np.array([_ROAD, bays, _CURB, _GRASS, _WALK, garden], np.uint8)
    plain = parts[np.searchsorted(np.maximum.accumulate(edges), off, side="right")]
    light = np.ones(_BINS, np.float32)
    light[(plain == _WALK) & ((off * 20).astype(int) % 20 == 0)] = 0.82
    light[np.abs(off - half_road + 0.15) < 0.12] = 0.8
    for lane in range(street.lanes):
        for track in (-0.75, 0.75):
            at = street.tracks_m + (lane + 0.5) * street.lane_m + track
            light *= 1 - 0.09 * np.exp(-(((off - at) / 0.22) ** 2)).astype(np.float32)
    if street.tram:
        plain[(np.abs(off - 0.55) < 0.06) | (np.abs(off - 1.99) < 0.06)] = _RAIL
    if rng.random() < 0.4:
        plain[np.abs(off - road_edge + 0.25) < 0.07] = _MARKING
    dashed, zebra, across = plain.copy(), plain.copy(), np.where(off < 45, _ROAD, garden)
    for lane in range(street.lanes):
        dashed[np.abs(off - street.tracks_m - lane * street.lane_m) < 0.08] = _MARKING
    zebra[(off < half_road) & ((lateral + _REACH_M) % 1.0 < 0.5)] = _MARKING
    parts_of_case = np.stack([plain, dashed, across.astype(np.uint8), zebra])
    return parts_of_case, np.stack([light, light, np.ones_like(light), light])


def _case_of_row(
    street: Street, depth_h: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.int32]:
    """Return which row of `_sections` holds at each depth."""
    gap, dash = rng.uniform(3, 8), rng.uniform(3, 6)
    case = ((depth_h + rng.uniform(0, 8)) % (gap + dash) < dash).astype(np.int32)
    start, end = street.crossing
    case[(depth_h > start) & (depth_h < end)] = 2
    if rng.random() < 0.75:
        case[(depth_h > start - 4) & (depth_h < start - 1)] = 3
        case[(depth_h > end + 1) & (depth_h < end + 4)] = 3
    return case


def paint_ground(
    canvas: Canvas, street: Street, shadows: Iterable[Shadow], rng: np.random.Generator
) -> None:
    """Paint everything below the horizon with the cross section of the street."""
    view = canvas.camera
    first = int(np.floor(view.horizon_row + 0.5))
    rows = np.arange(first, view.height, dtype=np.float32) + 0.5 - np.float32(view.horizon_row)
    if not len(rows):
        return
    depth_h = np.minimum(view.focal_px * view.eye_m / rows, _FAR_M).astype(np.float32)
    canvas.disparity_HW[first:] = (rows / np.float32(view.px_per_disparity * view.eye_m))[:, None]
    offset_w = (np.arange(view.width, dtype=np.float32) + 0.5 - view.width / 2) / view.focal_px
    middle_h = street.middle_m + 0.5 * street.bend_per_m * depth_h**2
    lateral_hw = offset_w * depth_h[:, None] - middle_h[:, None]
    parts, shine = _sections(street, rng)
    bins = np.clip((lateral_hw + _REACH_M) * _BINS_PER_M, 0, _BINS - 1).astype(np.int32)
    bins += _case_of_row(street, depth_h, rng)[:, None] * _BINS
    texel = (lateral_hw * _TEXELS_PER_M).astype(np.int32) & (_NOISE - 1)
    texel += ((depth_h * _TEXELS_PER_M).astype(np.int32) & (_NOISE - 1))[:, None] * _NOISE
    light = noise(_NOISE, 0.85, 1).ravel().take(texel)
    light *= (np.float32(0.08) / (1 + depth_h / 40))[:, None]
    light += 1
    light *= shine.ravel().take(bins)
    for shadow in [*shadows, *_house_shadows(street, rng)]:
        _darken(light, lateral_hw, depth_h, shadow)
    band_h = np.abs(np.log(depth_h[:, None] / BANDS_M)).argmin(axis=1).astype(np.int32)
    code = np.clip(light * (GROUND_SHADES / 2), 0, GROUND_SHADES - 1).astype(np.int32)
    code += parts.ravel().take(bins).astype(np.int32) * GROUND_SHADES
    code += (GROUND_BASE + band_h * (PARTS * GROUND_SHADES))[:, None]
    canvas.index_HW[first:] = code


def _house_shadows(street: Street, rng: np.random.Generator) -> list[Shadow]:
    """Return what the buildings on the sunny side keep dark, except the crossing."""
    if street.sun < 0.4 or street.kind == 3:
        return []
    end = street.sun_side * street.edge_m
    reach = end - street.sun_side * rng.uniform(0, 0.9) * (street.edge_m + street.half_road_m)
    depths = ((0.0, street.crossing[0] - 2), (street.crossing[1] + 2, 2 * _FAR_M))
    return [Shadow((min(end, reach), max(end, reach)), d, 1 - 0.45 * street.sun) for d in depths]


def _darken(
    light_hw: NDArray[np.float32],
    lateral_hw: NDArray[np.float32],
    depth_h: NDArray[np.float32],
    shadow: Shadow,
) -> None:
    """Take light from the ground where a shadow lies."""
    rows = np.flatnonzero((depth_h > shadow.depth_m[0]) & (depth_h < shadow.depth_m[1]))
    if not len(rows):
        return
    box, columns = slice(int(rows[0]), int(rows[-1]) + 1), slice(None)
    if shadow.depth_m[1] - shadow.depth_m[0] < _LONG_M:
        ends = [lateral_hw[row].searchsorted(shadow.lateral_m) for row in (rows[0], rows[-1])]
        columns = slice(int(min(e[0] for e in ends)), int(max(e[1] for e in ends)))
    there = lateral_hw[box, columns]
    inside = (there > shadow.lateral_m[0]) & (there < shadow.lateral_m[1])
    np.multiply(light_hw[box, columns], shadow.light, out=light_hw[box, columns], where=inside)


def paint_sky(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint the sky above the horizon, clearer at the top, with clouds."""
    view = canvas.camera
    rows = min(int(np.ceil(view.horizon_row)) + 1, view.height)
    share = np.linspace(0.15, 1, rows, dtype=np.float32)[:, None] * 190
    v = (np.arange(rows) * (420 / rows)).astype(np.intp) + rng.integers(0, 92)
    u = (np.arange(view.width) * (500 / view.width)).astype(np.intp)
    clouds = np.roll(noise(_NOISE, 1.7, 2), rng.integers(_NOISE))[v].take(u, axis=1)
    cover = rng.uniform(10, 60)
    canvas.index_HW[:rows] = np.clip(share + clouds * cover + cover * 0.6, 0, SKY_SHADES - 1)
