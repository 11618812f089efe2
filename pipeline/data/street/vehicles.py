"""Textures of vehicles: the side with the front to the right, the rear and the front."""

from functools import cache
from typing import NamedTuple

from pipeline.data.street.sprites import (
    BODY,
    GLASS,
    LAMP,
    PLATE,
    RIM,
    TRIM,
    TYRE,
    Dot,
    Pen,
    Sprite,
)


class Vehicle(NamedTuple):
    """The three faces of a vehicle; its length is the side's width."""

    side: Sprite
    rear: Sprite
    front: Sprite
    waist_m: float = 0.0
    """Height above which the faces stand back, 0 for a plain box."""
    boot_m: float = 0.0
    """How far the rear stands back above the waist."""
    hood_m: float = 0.0
    """How far the front does."""


_HATCH: list[Dot] = [
    (0.0, 0.28), (0.0, 0.75), (0.08, 0.95), (0.5, 1.40), (0.9, 1.48), (2.2, 1.47), (3.05, 0.98),
    (4.0, 0.85), (4.18, 0.6), (4.2, 0.28),
]  # fmt: skip
_SEDAN: list[Dot] = [
    (0.0, 0.28), (0.0, 0.8), (0.1, 1.0), (0.75, 1.03), (1.35, 1.40), (1.75, 1.46), (2.5, 1.44),
    (3.3, 1.0), (4.35, 0.86), (4.58, 0.6), (4.6, 0.28),
]  # fmt: skip
_SUV: list[Dot] = [
    (0.0, 0.34), (0.0, 0.85), (0.06, 1.1), (0.35, 1.62), (0.8, 1.7), (2.6, 1.68), (3.3, 1.15),
    (4.3, 1.02), (4.48, 0.75), (4.5, 0.34),
]  # fmt: skip
_VAN: list[Dot] = [
    (0.0, 0.34), (0.0, 1.85), (0.12, 1.98), (3.5, 1.96), (4.3, 1.18), (4.85, 1.0), (4.98, 0.7),
    (5.0, 0.34),
]  # fmt: skip
_CABINS: list[tuple[list[Dot], float, list[Dot], float, float, float]] = [
    (_HATCH, 1.48, [(0.38, 1.0), (0.66, 1.36), (2.15, 1.39), (2.85, 1.0)], 1.5, 0.2, 1.2),
    (_SEDAN, 1.46, [(0.95, 1.03), (1.4, 1.36), (2.45, 1.37), (3.05, 1.02)], 1.95, 0.8, 1.3),
    (_SUV, 1.70, [(0.3, 1.16), (0.48, 1.55), (2.5, 1.58), (3.05, 1.17)], 1.6, 0.12, 1.2),
    (_VAN, 1.98, [(2.5, 1.25), (2.5, 1.8), (3.4, 1.8), (4.05, 1.22)], 3.2, 0.05, 0.8),
]


@cache
def cars() -> tuple[Vehicle, ...]:
    """Hatchback, saloon, off-roader, van."""
    return tuple(_car(n, *cabin) for n, cabin in enumerate(_CABINS))


def _wheels(pen: Pen, at: list[float], radius: float) -> None:
    for x in at:
        pen.disc(TYRE, x, radius, radius)
        pen.disc(RIM, x, radius, radius * 0.6)


def _car(
    seed: int,
    outline: list[Dot],
    height: float,
    glass: list[Dot],
    pillar: float,
    boot: float,
    hood: float,
) -> Vehicle:
    length, waist = outline[-1][0], glass[0][1]
    pen = Pen(length, height + 0.04, 72)
    pen.shape(BODY, outline)
    pen.box(BODY, 0.03, waist - 0.06, length * 0.72, waist - 0.02, 11)
    pen.shape(GLASS, glass)
    pen.box(BODY, pillar - 0.05, waist, pillar + 0.05, height - 0.09, 8)
    pen.box(TRIM, 0.02, 0.24, length - 0.02, 0.36)
    for x in (pillar, pillar + 1.0):
        pen.box(BODY, x, 0.36, x + 0.025, waist, 5)
    pen.box(LAMP, 0.0, waist - 0.3, 0.14, waist - 0.08, 8)
    pen.box(PLATE, length - 0.25, 0.62, length - 0.05, 0.78, 12)
    _wheels(pen, [0.8, length - 0.85], 0.33)
    rear, front = _rear(seed, height, waist), _front(seed, height, waist)
    return Vehicle(pen.sprite(seed=seed), rear, front, waist - 0.05, boot, hood)


def _end(height: float, waist: float) -> Pen:
    pen = Pen(1.8, height + 0.04, 72)
    for x in (0.1, 1.45):
        pen.box(TYRE, x, 0.0, x + 0.25, 0.4)
    top = height - 0.06
    pen.shape(
        BODY, [(0, 0.28), (0, waist - 0.1), (0.05, waist), (0.2, top), (0.35, height),
               (1.45, height), (1.6, top), (1.75, waist), (1.8, waist - 0.1), (1.8, 0.28)],
    )  # fmt: skip
    pen.shape(
        GLASS, [(0.17, waist + 0.03), (0.3, top - 0.05), (1.5, top - 0.05), (1.63, waist + 0.03)]
    )
    pen.box(TRIM, 0.02, 0.22, 1.78, 0.42)
    return pen


def _rear(seed: int, height: float, waist: float) -> Sprite:
    pen = _end(height, waist)
    for x in (0.02, 1.5):
        pen.box(LAMP, x, waist - 0.28, x + 0.28, waist - 0.08, 11)
    pen.box(BODY, 0.1, waist - 0.36, 1.7, waist - 0.33, 6)
    pen.box(PLATE, 0.64, 0.5, 1.16, 0.62, 12)
    return pen.sprite(seed=seed)


def _front(seed: int, height: float, waist: float) -> Sprite:
    pen = _end(height, waist)
    pen.box(BODY, 0.05, waist - 0.14, 1.75, waist - 0.02, 11)
    pen.box(TRIM, 0.5, 0.5, 1.3, waist - 0.22)
    for x in (0.06, 1.4):
        pen.oval(PLATE, x + 0.17, waist - 0.28, 0.17, 0.09, 13)
    pen.box(PLATE, 0.64, 0.42, 1.16, 0.53, 12)
    return pen.sprite(seed=seed)


def _box_end(width: float, height: float, seed: int, window: float, rear: bool) -> Sprite:
    """The end of a box of a vehicle whose window reaches down to a height (0 for none)."""
    pen = Pen(width, height, 48)
    for x in (0.12, width - 0.45):
        pen.box(TYRE, x, 0, x + 0.33, 0.5)
    pen.box(BODY, 0, 0.4, width, height)
    if window:
        pen.box(GLASS, 0.15, window, width - 0.15, height - 0.55)
        pen.box(TRIM, 0.4, height - 0.45, width - 0.4, height - 0.12, 6)
        pen.box(PLATE, 0.6, height - 0.38, width - 0.9, height - 0.2, 12)
    else:
        pen.box(TRIM, width / 2 - 0.02, 1.0, width / 2 + 0.02, height - 0.1)
        pen.box(BODY, 0.0, height - 0.1, width, height, 6)
    pen.box(TRIM, 0, 0.35, width, 0.8, 8)
    for x in (0.08, width - 0.38):
        pen.box(LAMP if rear else PLATE, x, 0.75, x + 0.3, 1.0, 12)
    pen.box(PLATE, width / 2 - 0.25, 0.5, width / 2 + 0.25, 0.62, 12)
    return pen.sprite(seed=seed)


@cache
def bus() -> Vehicle:
    """A city bus, 12 m."""
    pen = Pen(12, 3.0, 40)
    pen.box(BODY, 0, 0.35, 12, 3.0)
    pen.box(GLASS, 0.3, 1.35, 11.9, 2.55)
    for x in (2.0, 3.6, 5.2, 6.8, 8.4, 10.0):
        pen.box(TRIM, x, 1.35, x + 0.1, 2.55)
    for x in (4.0, 10.2):
        pen.box(GLASS, x, 0.45, x + 1.2, 2.5, 7)
        pen.box(TRIM, x + 0.57, 0.45, x + 0.63, 2.5)
    pen.box(TRIM, 0, 0.3, 12, 0.5, 7)
    pen.box(RIM, 0, 2.7, 12, 2.78, 12)
    _wheels(pen, [2.6, 9.0], 0.48)
    return Vehicle(
        pen.sprite(seed=1), _box_end(2.5, 3.0, 2, 1.6, True), _box_end(2.5, 3.0, 3, 1.1, False)
    )


@cache
def truck() -> Vehicle:
    """A lorry, 8.5 m: a box behind a cab."""
    pen = Pen(8.5, 3.6, 40)
    pen.box(TRIM, 0.1, 0.6, 8.3, 1.0)
    pen.box(BODY, 0, 0.95, 6.3, 3.6)
    pen.box(BODY, 0, 3.45, 6.3, 3.6, 6)
    pen.shape(RIM, [(6.5, 0.5), (6.5, 2.8), (7.8, 2.85), (8.4, 1.7), (8.5, 0.5)])
    pen.shape(GLASS, [(7.0, 1.7), (7.0, 2.5), (7.75, 2.5), (8.2, 1.7)])
    pen.box(LAMP, 1.5, 1.6, 4.8, 2.7, 8)
    _wheels(pen, [1.2, 2.3, 7.3], 0.48)
    return Vehicle(
        pen.sprite(seed=4), _box_end(2.5, 3.6, 5, 0.0, True), _box_end(2.4, 2.9, 6, 1.5, False)
    )


@cache
def tram() -> Vehicle:
    """A tram, 24 m."""
    pen = Pen(24, 3.5, 28)
    pen.box(BODY, 0, 0.3, 24, 3.4)
    pen.box(TRIM, 0, 3.2, 24, 3.5, 8)
    pen.box(GLASS, 0.3, 1.5, 23.7, 2.7)
    for n in range(1, 15):
        pen.box(RIM, n * 1.6, 1.5, n * 1.6 + 0.12, 2.7)
    for x in (3.3, 9.8, 16.3, 20.9):
        pen.box(GLASS, x, 0.5, x + 1.3, 2.7, 7)
    for x in (7.9, 15.9):
        pen.box(TRIM, x, 0.3, x + 0.4, 3.4, 5)
    pen.box(RIM, 0, 0.9, 24, 1.2, 11)
    pen.box(TRIM, 0, 0.1, 24, 0.45, 5)
    return Vehicle(
        pen.sprite(seed=7), _box_end(2.5, 3.5, 8, 1.5, True), _box_end(2.5, 3.5, 9, 1.2, False)
    )
