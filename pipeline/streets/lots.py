"""What lies behind the sidewalks: houses, fences, gardens and woods, and the far background."""

import numpy as np

from pipeline.streets.placing import Placed, placed
from pipeline.streets.street import Street
from pipeline.streets.textures import (
    STYLES,
    Texture,
    end_wall,
    facade,
    fence,
    masonry,
    thicket,
)

_SHARES = np.cumsum(
    [(0.88, 0.04, 0.05, 0.03), (0.62, 0.12, 0.15, 0.11), (0.12, 0.62, 0.16, 0.10),
     (0.05, 0.20, 0.45, 0.30)], axis=1,
)  # fmt: skip
"""Of houses at the street, houses behind gardens, woods and parks, in each of KINDS; summed up."""
_FAR_M = 150.0

Size = tuple[float, float, float]
"""Metres across the street, up, and along the street."""


def lots(street: Street, rng: np.random.Generator) -> list[Placed]:
    """Draw the lots on both sides of a street at random, and the background that closes it."""
    found = _background(street, rng)
    start, stop = street.crossing[0] - 2.5, street.crossing[1] + 2.5
    for side in (-1, 1):
        z = rng.uniform(1, 4)
        while z < _FAR_M:
            end = z + rng.uniform(9, 22)
            crossed = z < stop and end > start
            end = start if crossed else end
            if end - z > 5:
                found += _lot(street, side, z, end, rng)
            z = stop if crossed else end
    return found


def _lot(street: Street, side: int, z: float, end: float, rng: np.random.Generator) -> list[Placed]:
    """Return what is on one lot, from depth z to depth end."""
    kind, edge = int(np.searchsorted(_SHARES[street.kind], rng.random())), street.edge_m
    if kind == 0:
        return [_house(street, side, edge + 0.6 * int(rng.integers(3)), z, end, rng)]
    found = []
    if kind == 1:
        found.append(_house(street, side, edge + rng.uniform(3, 7), z + 1, end - 1.5, rng))
    else:
        off_m, top = edge + rng.uniform(1, 4), rng.uniform(4, 10)
        found.append(_wood(side, off_m, z, (7.0, top, end - z), rng))
    if kind != 2:
        found.append(_barrier(side, edge, z, end, rng))
    for _ in range(rng.integers(0, 3)):
        at = rng.uniform(max(z, 6), max(end, 7))
        lateral, size = edge + rng.uniform(0.5, 4), rng.uniform(0.6, 1.15)
        found.append(placed(("tree",), side * lateral, at, side, rng, size))
    return found


def _box(
    label: str, side: int, off_m: float, z: float, size_m: Size, front: Texture, flank: Texture
) -> Placed:
    """Return a box whose front begins so far from the road's middle."""
    wide, top, length = size_m
    faces = (
        front._replace(width_m=length, height_m=top),
        flank._replace(width_m=wide, height_m=top),
    )
    return Placed(label, faces, side * (off_m + wide / 2), z, side)


def _house(
    street: Street, side: int, off_m: float, z: float, end: float, rng: np.random.Generator
) -> Placed:
    """Return a house from depth z to depth end."""
    urban = street.kind < 2
    floors = int(rng.integers(4, 8) if urban else rng.integers(2, 4))
    columns = min(max(round((end - z) / rng.uniform(2.6, 3.6)), 3), 7)
    shops, style = bool(urban and rng.random() < 0.6), int(rng.integers(STYLES))
    front, flank = facade(floors, columns, style, shops), end_wall(floors, style)
    size = rng.uniform(9, 18), (floors + 0.5) * rng.uniform(2.7, 3.5), end - z
    return _box("building", side, off_m, z, size, front, flank)


def _wood(side: int, off_m: float, z: float, size_m: Size, rng: np.random.Generator) -> Placed:
    """Return a wood or a hedge, a piece of a thicket that keeps its leaves' shape."""
    leaves = thicket(int(rng.integers(4)))
    columns = min(max(round(size_m[2] / size_m[1] * 128), 64), 512)
    first = int(rng.integers(0, 513 - columns))
    front = leaves._replace(codes_hw=leaves.codes_hw[:, first : first + columns])
    flank = leaves._replace(codes_hw=leaves.codes_hw[:, :128])
    return _box("vegetation", side, off_m, z, size_m, front, flank)


def _barrier(side: int, off_m: float, z: float, end: float, rng: np.random.Generator) -> Placed:
    """Return a fence, a wall or a hedge along the sidewalk."""
    kind, size = rng.random(), (0.2, rng.uniform(0.9, 2.2), end - z)
    if kind > 0.75:
        return _wood(side, off_m, z, (1.5, *size[1:]), rng)
    label, panel = ("fence", fence(int(rng.integers(4)))) if kind < 0.45 else ("wall", masonry())
    panels = np.tile(panel.codes_hw, (1, max(1, round((end - z) / panel.width_m))))
    return _box(label, side, off_m, z, size, panel._replace(codes_hw=panels), panel)


def _background(street: Street, rng: np.random.Generator) -> list[Placed]:
    """Return woods and houses far ahead, and woods behind the lots."""
    found, x = [], -220.0
    while x < 220:
        wide, z, label = rng.uniform(18, 45), rng.uniform(165, 210), "vegetation"
        texture = thicket(int(rng.integers(4)))._replace(height_m=rng.uniform(9, 19))
        if rng.random() < 0.45:
            floors, style = int(rng.integers(2, 6)), int(rng.integers(STYLES))
            label, texture = "building", facade(floors, 7, style, False)
        face = texture._replace(width_m=wide)
        found.append(Placed(label, (face,), x - street.x_at(0, z), z, 1))
        x += wide * 0.9
    for side in (-1, 1):
        off_m = street.edge_m + rng.uniform(22, 30)
        for z in range(5, 165, 32):
            found.append(_wood(side, off_m, z, (5, rng.uniform(5, 10), 32), rng))
    return found
