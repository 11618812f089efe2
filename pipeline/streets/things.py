"""The tables of the street: what things there are, what colours they have, where they stand."""

from functools import cache
from typing import NamedTuple

import numpy as np

from pipeline.labels import ID_OF
from pipeline.streets.canvas import PARTS, Paint

_COLOURS = {
    "body": "24262a 24262a d8dadc 969a9e a8acb0 5c6066 283e70 962022 344a3c ac9c82 5884b0",
    "tram": "ce2a28 e2c43c 3c6e46 4678b4", "bus": "e4c446 c42c2c d6d8d6 508cbe",
    "load": "d6d6d2 28508c be3c28 608058", "cab": "7a7c80 d6d6d2 be3c28 28508c",
    "glass": "2e363e", "tyre": "1a1a1c", "rim": "7a7c80", "lamp": "a81a1a", "plate": "c8c8c4",
    "trim": "28282a", "skin": "deb296 c49476 8c6248 604232", "hair": "281e18 604228 3c3836",
    "top": "282a34 3c404e 78282c c4c0ba 345480 5c5246 222224 aa8c60 466248 ce823c 8c3c64",
    "legs": "282a34 3c404e 78282c 345480 5c5246 222224", "bag": "222224 78282c aa8c60",
    "bicycle": "24262a d8dadc 283e70 962022", "motorcycle": "24262a 962022 283e70 ac9c82",
    "spokes": "222224", "wheel": "222224", "pole": "606262 767878 8a8c8a",
    "sign": "e4e4e0", "red": "c42226", "yellow": "eec22a", "blue": "204ea8",
    "case": "2c302e", "off": "3e3a36", "stop": "ff3c2c", "wait": "ffbe28", "go": "3cf082",
    "bin": "3c423e 284634 5c5854 963c28", "leaf": "425c28 38502c 54682e 6c7032 4c6a34 7a6e36",
    "trunk": "4a3c30", "bar": "464a48 967854 aaacaa 785438", "behind": "3e4830",
    "stone": "aca498 96604e bcb8b0", "pane": "5c6876", "sill": "e0ded8 e0ded8 78604e",
    "plaster": "cec0a4 beb096 d6ccb8 b0aca6 a05c48 c6a46e dedad0 a8b09c 968c84 ca967c",
    "shutter": "5c3e2c 365242 782824 3c4660 464648", "base": "78746e 98907e 8a5c4c",
    "shop": "747068", "roof": "844232 6e483c 4e4c50 605a58", "bonnet": "3c3c40 6a6a6e",
}  # fmt: skip
"""RGB colours of each part of a texture; a thing that is placed has one of them."""
_PAINTS = 256
"""Combinations of colours that a kind of thing may have."""
_LABELS = {
    "pole": "pole",
    "bicycle": "bicycle",
    "spokes": "bicycle",
    "motorcycle": "motorcycle",
    "wheel": "motorcycle",
}
"""Labels of the parts that have their own; the others have the label of the thing."""


class Thing(NamedTuple):
    """A kind of thing: one drawing that faces the camera, or a box with three."""

    label: str
    drawings: tuple[str, ...]
    """One, or the side, the rear and the front of a box. A tree has none."""
    set_back_m: tuple[float, float] | None = None
    """How far a car's windows stand behind its rear and its front; None for a plain box."""


_CAR = ("car rear", "car front")
_PEOPLE = ("standing", "walking", "coat")
_SIGNS = ("prohibition", "warning", "crosswalk", "no entry", "priority", "direction")
_LIGHTS = ("red light", "green light", "light on arm")
_FLAT = {
    "car": ("hatchback", "saloon", "van"),
    "person": _PEOPLE,
    "rider": ("rider side", "rider end", "motorcyclist side", "motorcyclist end"),
    "bicycle": ("bicycle side", "bicycle end"),
    "motorcycle": ("motorcycle side",),
    "traffic sign": _SIGNS,
    "traffic light": _LIGHTS,
    "pole": ("lamp",),
    "static": ("bin",),
    "dynamic": ("bag",),
}
THINGS = {
    **{name: Thing(label, (name,)) for label, names in _FLAT.items() for name in names},
    "tree": Thing("vegetation", ()),
    "hatchback car": Thing("car", ("hatchback", *_CAR), (0.2, 1.2)),
    "saloon car": Thing("car", ("saloon", *_CAR), (0.8, 1.3)),
    "van car": Thing("car", ("van", *_CAR), (0.05, 0.8)),
    "truck": Thing("truck", ("truck side", "truck rear", "truck front")),
    "bus": Thing("bus", ("bus side", "bus rear", "bus front")),
    "tram": Thing("train", ("tram side", "tram end", "tram end")),
}


class Row(NamedTuple):
    """Things along a line of the street, on either side of it."""

    line: str
    """A key of `Street.lines_m`; a street without that line has no such row."""
    things: tuple[str, ...]
    """One is drawn for each place."""
    offset_m: tuple[float, float]
    """From the line, away from the middle of the road."""
    start_m: tuple[float, float]
    """Depth of the first place."""
    gap_m: tuple[float, float]
    """Between one thing and the next."""
    chance: tuple[float, float, float, float]
    """Of the row, in each of KINDS."""
    fill: float
    """Share of the places that are taken."""
    far_m: float
    """Nothing stands beyond."""
    size: tuple[float, float] = (0.95, 1.05)
    """1 is the size of the drawing."""


_CARS = ("hatchback car", "saloon car", "hatchback car", "van car")
_ALL = (1.0, 1.0, 1.0, 1.0)
_LANE = (*_CARS, *_CARS, *_CARS, *_CARS, "truck", "bus")
ROWS = (
    Row("rail", ("tram",), (0, 0), (9, 40), (60, 200), _ALL, 0.8, 120, (1, 1)),
    Row("inner lane", _LANE, (-0.2, 0.2), (8, 40), (4, 45), _ALL, 1, 110, (0.95, 1.15)),
    Row("outer lane", _LANE, (-0.2, 0.2), (10, 40), (4, 45), _ALL, 1, 110, (0.95, 1.15)),
    Row("parking", _CARS, (-0.1, 0.1), (4, 14), (0.8, 2), (0.9, 0.9, 0.8, 0), 0.65, 90,
        (0.95, 1.15)),
    Row("gutter", ("rider end",), (-0.5, 0.2), (7, 20), (8, 60), (0.6, 0.6, 0.4, 0.4), 0.7, 45),
    Row("gutter", ("motorcyclist end",), (-1.5, -0.6), (8, 30), (20, 80), (0.2,) * 4, 0.6, 45),
    Row("walk", _PEOPLE, (0, 1.4), (6, 20), (0.2, 11), (1, 1, 0.6, 0.3), 0.8, 50, (0.85, 1.06)),
    Row("walk", _PEOPLE, (0.2, 1.8), (8, 20), (1, 16), (0.8, 0.8, 0.3, 0.1), 0.8, 50, (0.6, 1.05)),
    Row("walk", ("bicycle side", "bicycle side", "bicycle end"), (0, 0.6), (6, 16), (0.6, 16),
        (0.6, 0.6, 0.5, 0.3), 0.9, 35),
    Row("walk", ("motorcycle side",), (0, 0.6), (6, 20), (10, 30), (0.15,) * 4, 0.8, 35),
    Row("curb", ("tree",), (0.2, 0.6), (7, 16), (7, 14), (0.4, 0.8, 0.55, 0.5), 0.85, 110,
        (0.65, 1.05)),
    Row("curb", ("lamp",), (0, 0.3), (8, 24), (18, 30), _ALL, 1, 100, (0.65, 1.05)),
    Row("curb", _SIGNS, (0, 0.4), (9, 26), (9, 26), _ALL, 0.75, 75, (0.85, 1.1)),
    Row("curb", _LIGHTS, (0, 0.2), (9, 40), (40, 60), (0.2, 0.2, 0.1, 0.1), 1, 60),
    Row("edge", ("bin", "bag", "bin"), (-0.3, 0), (7, 30), (4, 40), (0.7,) * 4, 0.6, 40,
        (0.7, 1.3)),
)  # fmt: skip
CROSSERS = (
    (_FLAT["car"], 14.0, (-5.0, -1.5), 0.6),
    (_PEOPLE, 6.0, (1.2, 3.5), 1.5),
    (("rider side", "motorcyclist side"), 4.0, (-3.0, 0.5), 0.3),
)
"""What crosses ahead: things, their largest distance from the middle in metres, how many metres
before the crossing street they are, and how many there are on average."""


@cache
def paints(label: str, parts: tuple[str, ...]) -> tuple[Paint, ...]:
    """Return the paints of a kind of thing, whose parts have colours drawn at random."""
    rng = np.random.default_rng(len(parts))
    labels_P = np.full(PARTS, ID_OF[label], np.uint8)
    colours_NP3 = np.zeros((_PAINTS, PARTS, 3), np.float32)
    for n, part in enumerate(parts, start=1):
        colours = np.array([list(bytes.fromhex(x)) for x in _COLOURS[part].split()])
        gain_N1 = rng.uniform(0.85, 1.15, (_PAINTS, 1))
        colours_NP3[:, n] = colours[rng.integers(len(colours), size=_PAINTS)] * gain_N1
        labels_P[n] = ID_OF[_LABELS.get(part, label)]
    return tuple(Paint(colours_P3, labels_P) for colours_P3 in colours_NP3)
