"""Textures of buildings, fences and walls, put together from bays for each one that is placed."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from pipeline.data.street.records import SHADES, Codes
from pipeline.data.street.sprites import LIT, noise, shifted

PLASTER, PANE, SILL, SHUTTER, BASE, SHOP, ROOF = range(1, 8)
BAY = 40
"""Texels of a bay's width and of a floor's height, about 3 m each."""
STYLES, VARIANTS = 6, 4


@cache
def _bays(style: int) -> Codes:
    """(VARIANTS, BAY, BAY) windows of one style: lit, curtained, dark, shuttered."""
    rng = np.random.default_rng(100 + style)
    left, right = ((12, 28), (9, 31), (14, 26), (3, 37), (7, 33), (11, 29))[style]
    head, foot = ((8, 30), (6, 33), (7, 31), (9, 29), (10, 32), (5, 35))[style]
    bays = np.full((VARIANTS, BAY, BAY), PLASTER * SHADES + LIT, np.uint8)
    for variant, bay in enumerate(bays):
        bay[head - 2 : foot + 2, left - 2 : right + 2] = SILL * SHADES + LIT
        bay[head:foot, left:right] = PANE * SHADES + (5, 8, 11, 3)[variant]
        bay[head : head + 4, left:right] -= 2
        bay[foot : foot + 2, left - 3 : right + 3] = SILL * SHADES + 11
        bay[foot + 2, left - 3 : right + 3] = PLASTER * SHADES + 6
        middle = (left + right) // 2
        if style != 3:
            bay[head:foot, middle] = SILL * SHADES + LIT
            bay[head + 7, left:right] = SILL * SHADES + LIT
        if style in (0, 2):
            for x in (left - 7, right + 2):
                bay[head:foot, x : x + 5] = SHUTTER * SHADES + LIT
                bay[head:foot:3, x : x + 5] -= 2
        if style == 4 and variant in (1, 2):
            bay[foot - 4 : foot + 4, left - 4 : right + 4] = SHUTTER * SHADES + 8
            bay[foot - 4, left - 4 : right + 4] = SHUTTER * SHADES + 12
        if style == 5:
            bay[:3] = SILL * SHADES + 8
        if style == 1 and variant == 3:
            bay[head : head + 14, left:right] = SHUTTER * SHADES + 10
    levels = 0.45 * rng.standard_normal(bays.shape)
    return shifted(bays, levels)


@cache
def _ground_floor() -> Codes:
    """(4, BAY, BAY) ground floors: two shops, a door, a plain window."""
    bays = np.full((4, BAY, BAY), BASE * SHADES + LIT, np.uint8)
    for n in (0, 1):
        bays[n, 4:9] = SHUTTER * SHADES + 9 + n
        bays[n, 10:36, 3:37] = SHOP * SHADES + 8
        bays[n, 14:34:2, 8:30] = SHOP * SHADES + 9 + 2 * n
        bays[n, 10:36, 19:21] = BASE * SHADES + 6
    bays[2, 10:, 12:28] = SILL * SHADES + 8
    bays[2, 13:, 14:26] = SHUTTER * SHADES + 6
    bays[3, 8:30, 10:30] = SILL * SHADES + LIT
    bays[3, 10:28, 12:28] = PANE * SHADES + 6
    bays[:, -3:] = BASE * SHADES + 6
    return shifted(bays, 0.45 * np.random.default_rng(99).standard_normal(bays.shape))


def _joined(bays: Codes) -> Codes:
    """(floors, columns, BAY, BAY) as one texture."""
    floors, columns = bays.shape[:2]
    return bays.transpose(0, 2, 1, 3).reshape(floors * BAY, columns * BAY)


@cache
def facade(floors: int, columns: int, style: int, shops: bool, roof: int) -> Codes:
    """A street front: windows over a ground floor, under so many texels of roof."""
    rng = np.random.default_rng((floors, columns, style, shops, roof))
    upper = _bays(style)[rng.integers(0, VARIANTS, (floors - 1, columns))]
    kinds = rng.integers(0, 2, columns) if shops else np.full(columns, 3)
    kinds[rng.integers(columns)] = 2
    lower = _ground_floor()[kinds][None]
    wall = np.concatenate([_joined(upper), _joined(lower)])
    wall[:2] = SILL * SHADES + 7
    tiles = noise(512, 0.4, 5)[:roof, : wall.shape[1]] + np.arange(roof)[:, None] % 4
    return np.concatenate([_shaded(ROOF, tiles + 8), wall])


@cache
def gable(floors: int, style: int, roof: int) -> Codes:
    """An end wall: nearly blind, with a triangle under the roof."""
    rng = np.random.default_rng((floors, style, roof))
    wall = _shaded(PLASTER, LIT + 0.9 * noise(512, 1.0, 6)[: floors * BAY + roof, : 3 * BAY])
    if rng.random() < 0.6:
        row = roof + BAY * int(rng.integers(floors))
        wall[row : row + BAY, BAY : 2 * BAY] = _bays(style)[0]
    reach = (np.arange(roof)[:, None] + 1) / max(roof, 1) * (1.5 * BAY)
    out = np.abs(np.arange(3 * BAY)[None] - 1.5 * BAY) > reach
    wall[:roof][out] = 0
    return wall


def _shaded(part: int, shade_hw: NDArray[np.floating]) -> Codes:
    return (part * SHADES + np.clip(shade_hw, 1, SHADES - 1)).astype(np.uint8)


@cache
def fences() -> tuple[Codes, ...]:
    """Two metres of fence each: bars, pickets, mesh, boards. Part 2 is what one sees between."""
    bars = np.full((48, 64), 2 * SHADES + 7, np.uint8)
    bars[:, ::8] = SHADES + LIT
    bars[:, 1::8] = SHADES + 7
    bars[4:8] = bars[40:44] = SHADES + LIT
    pickets = np.full((48, 64), 2 * SHADES + 6, np.uint8)
    pickets.reshape(48, 8, 8)[:, :, :5] = SHADES + LIT
    pickets.reshape(48, 8, 8)[:, :, 4] = SHADES + 6
    pickets[:3].reshape(3, 8, 8)[:, :, [0, 4, 5, 6, 7]] = 0
    mesh = np.full((48, 64), 2 * SHADES + 8, np.uint8)
    diagonal = (np.arange(48)[:, None] + np.arange(64)) % 8
    mesh[(diagonal == 0) | (diagonal[:, ::-1] == 0)] = SHADES + LIT
    mesh[:2] = mesh[:, :3] = SHADES + 11
    boards = np.full((48, 64), SHADES + LIT, np.uint8)
    boards[::8] = SHADES + 5
    boards[:, :3] = SHADES + 7
    return bars, pickets, mesh, boards


@cache
def masonry() -> Codes:
    """Four metres of wall with courses, joints and a coping."""
    wall = SHADES + LIT + 1.1 * noise(256, 0.8, 7)[:64, :128]
    for course in range(8):
        wall[course * 8] -= 2.5
        wall[course * 8 : course * 8 + 8, (course % 2) * 8 :: 16] -= 2.5
    wall[:6] = SHADES + 11 + 0.5 * noise(256, 0.8, 7)[:6, :128]
    return np.clip(wall, SHADES + 1, SHADES + 15).astype(np.uint8)
