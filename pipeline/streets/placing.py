"""Place things along a street, and paint them. A thing is flat and faces the camera, or a box."""

from typing import NamedTuple

import numpy as np

from pipeline.streets.canvas import Canvas, Codes, Paint
from pipeline.streets.ground import Shadow
from pipeline.streets.street import Street
from pipeline.streets.textures import Texture, drawn_together, tree
from pipeline.streets.things import CROSSERS, ROWS, THINGS, paints

_WAIST = 0.64
"""Share of a car's height up to which it is as wide and as long as its floor."""
_TUMBLEHOME = 0.2
"""Share of a car's half width by which its windows stand further in than its doors."""


class Placed(NamedTuple):
    """A thing at its place."""

    label: str
    faces: tuple[Texture, ...]
    """What faces the camera; of a box its side, its rear and its front."""
    lateral_m: float
    """Of its middle, from the middle of the road."""
    depth_m: float
    """Of its nearest point."""
    side: int
    """1 on the right of the road, where vehicles drive away from the camera; -1 on the left."""
    size: float = 1.0
    """1 is the size of its textures."""
    set_back_m: tuple[float, float] | None = None
    """How far a car's windows stand behind its rear and its front."""

    @property
    def is_box(self) -> bool:
        """Return whether it takes depth in the street."""
        return len(self.faces) > 1

    @property
    def length_m(self) -> float:
        """Return how much depth it takes."""
        return self.faces[0].width_m * self.size if self.is_box else 0.0

    @property
    def half_width_m(self) -> float:
        """Return half of what it takes across the street."""
        return self.faces[-1].width_m * self.size / 2


def placed(
    names: tuple[str, ...],
    lateral_m: float,
    depth_m: float,
    side: int,
    rng: np.random.Generator,
    size: float = 1.0,
) -> Placed:
    """Return one of the named things of THINGS at a place."""
    label, drawings, set_back_m = THINGS[names[rng.integers(len(names))]]
    faces = drawn_together(drawings) if drawings else (tree(int(rng.integers(8))),)
    return Placed(label, faces, lateral_m, depth_m, side, size, set_back_m)


def place(street: Street, rng: np.random.Generator) -> list[Placed]:
    """Draw the things that stand or move in a street at random."""
    found, lines = [], street.lines_m
    for row in ROWS:
        for side in (-1, 1):
            if row.line not in lines or rng.random() > row.chance[street.kind]:
                continue
            on_road, z = row.line in ("rail", "inner lane", "outer lane"), rng.uniform(*row.start_m)
            while z < row.far_m:
                lateral = side * (lines[row.line] + rng.uniform(*row.offset_m))
                thing = placed(row.things, lateral, z, side, rng, rng.uniform(*row.size))
                if rng.random() < row.fill and (on_road or not street.in_crossing(z, 5)):
                    found.append(thing)
                z += thing.length_m + rng.uniform(*row.gap_m)
    if street.crossing[0] > 60:
        return found
    for names, reach, before, mean in CROSSERS:
        for _ in range(rng.poisson(mean)):
            z, side = street.crossing[0] - rng.uniform(*before), int(rng.choice((-1, 1)))
            found.append(placed(names, rng.uniform(-reach, reach), z, side, rng))
    if rng.random() < 0.75:
        for names, z in (
            (("red light", "green light"), street.crossing[0] - 4.6),
            (("light on arm",), street.crossing[1] + 1),
        ):
            found += [placed(names, side * lines["curb"], z, side, rng) for side in (-1, 1)]
    return found


def shadows_of(street: Street, things: list[Placed]) -> list[Shadow]:
    """Return the shadows under vehicles and at the feet of what stands, where they are seen."""
    found, lean = [], -street.sun_side * street.sun
    for thing in things:
        if thing.depth_m > 70:
            continue
        half = thing.half_width_m if thing.is_box else min(thing.half_width_m, 0.35)
        left, right, z = thing.lateral_m - half, thing.lateral_m + half, thing.depth_m
        sides = (left + min(lean, 0), right + max(lean, 0))
        if thing.is_box:
            depth = (z - 0.2, z + thing.length_m + 0.2)
            found += [Shadow(sides, depth, 0.62), Shadow((left, right), depth, 0.5)]
        else:
            found.append(Shadow(sides, (z - 0.12, z + 0.4), 0.7))
    return found


def paint_things(
    canvas: Canvas, street: Street, things: list[Placed], rng: np.random.Generator
) -> None:
    """Paint things, near to far, in colours drawn at random."""
    for thing in sorted(things, key=lambda thing: thing.depth_m):
        choice = paints(thing.label, thing.faces[-1].parts)
        paint = choice[rng.integers(len(choice))]
        if thing.is_box:
            _paint_box(canvas, street, thing, paint)
            continue
        face, z = thing.faces[0], thing.depth_m
        # A thing thinner than a pixel still has one.
        half = max(thing.half_width_m, 0.51 * z / canvas.camera.focal_px)
        x, top = street.x_at(thing.lateral_m, z), face.height_m * thing.size
        canvas.face((x - half, z), (x + half, z), top, face.codes_hw[:, :: thing.side], paint, 0.97)


def _paint_box(canvas: Canvas, street: Street, box: Placed, paint: Paint) -> None:
    """Paint the side that the camera sees and the nearer end; a car's windows stand back."""
    heading, z, half = box.side, box.depth_m, box.half_width_m
    side, end = box.faces[0], box.faces[1 if heading > 0 else -1]
    inner = -half if street.x_at(box.lateral_m, z) > 0 else half
    light = 1 + 0.15 * street.sun if street.sun_side * inner > 0 else 1 - 0.25 * street.sun
    layers = [(1.0, 0.0, 0.0)]
    if box.set_back_m:
        cabin = (1.0, _TUMBLEHOME, box.set_back_m[heading < 0])
        layers = [(_WAIST, 0.0, 0.0), cabin]
    for share, narrower, deeper in layers:
        across = box.lateral_m + inner * (1 - narrower)
        near, far = ((street.x_at(across, at), at) for at in (z, z + box.length_m))
        start, stop = (near, far)[::heading]
        top, x, at = side.height_m * box.size * share, street.x_at(box.lateral_m, z), z + deeper
        canvas.face(start, stop, top, _lower(side.codes_hw, share), paint, light)
        codes = _lower(end.codes_hw, share)
        canvas.face((x - half, at), (x + half, at), top, codes, paint, 0.95)


def _lower(codes_hw: Codes, share: float) -> Codes:
    """Return the lower rows of a texture."""
    return codes_hw[round(len(codes_hw) * (1 - share)) :]
