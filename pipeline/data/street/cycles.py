"""Textures of two-wheelers, with and without riders."""

from functools import cache

from pipeline.data.street.sprites import (
    FRAME,
    HAIR,
    SKIN,
    TOP,
    TROUSERS,
    WHEEL,
    Dot,
    Pen,
    Sprite,
)


def _cyclist(pen: Pen, hip: Dot, hand: Dot, pedal: Dot) -> None:
    shoulder = (hip[0] + 0.22, hip[1] + 0.5)
    pen.line(TROUSERS, [hip, (hip[0] + 0.33, hip[1] - 0.22), pedal], 0.13)
    pen.line(TOP, [hip, shoulder], 0.27)
    pen.line(TOP, [shoulder, (shoulder[0] + 0.2, shoulder[1] - 0.25), hand], 0.09, 11)
    pen.oval(SKIN, shoulder[0] + 0.1, shoulder[1] + 0.22, 0.09, 0.12)
    pen.oval(HAIR, shoulder[0] + 0.08, shoulder[1] + 0.28, 0.12, 0.08)


@cache
def bicycles(ridden: bool) -> tuple[Sprite, Sprite]:
    """A bicycle from the side and from an end."""
    side = Pen(1.8, 1.85, 80)
    for x in (0.36, 1.42):
        side.ring(WHEEL, x, 0.35, 0.345, 0.06)
        for dx, dy in ((0.0, 0.33), (0.28, 0.17), (0.28, -0.17)):
            side.line(WHEEL, [(x - dx, 0.35 - dy), (x + dx, 0.35 + dy)], 0.012, 12)
    frame = [(0.36, 0.35), (0.62, 0.8), (1.25, 0.85), (0.85, 0.33), (0.36, 0.35)]
    side.line(FRAME, frame, 0.05)
    side.line(FRAME, [(0.85, 0.33), (0.62, 0.95)], 0.05)
    side.line(FRAME, [(1.42, 0.35), (1.22, 1.03), (1.38, 1.06)], 0.05)
    side.oval(WHEEL, 0.6, 0.97, 0.14, 0.04)
    end = Pen(0.7, 1.85, 80)
    end.box(WHEEL, 0.31, 0.0, 0.39, 0.7)
    end.box(FRAME, 0.31, 0.6, 0.39, 1.0)
    end.box(FRAME, 0.22, 0.5, 0.48, 0.75, 7)
    end.box(FRAME, 0.08, 1.0, 0.62, 1.05)
    if ridden:
        _cyclist(side, (0.62, 1.02), (1.36, 1.08), (0.9, 0.25))
        _from_behind(end, 1.0)
    return side.sprite(seed=21), end.sprite(seed=22)


@cache
def motorcycles(ridden: bool) -> tuple[Sprite, Sprite]:
    """A motorcycle from the side and from an end."""
    side = Pen(2.1, 1.85, 80)
    for x in (0.36, 1.72):
        side.disc(WHEEL, x, 0.33, 0.33, 6)
        side.disc(FRAME, x, 0.33, 0.13, 6)
    side.shape(FRAME, [(0.2, 0.75), (0.5, 0.85), (0.9, 0.82), (1.4, 1.0), (1.5, 0.7), (1.2, 0.4),
                       (0.75, 0.35), (0.5, 0.6)])  # fmt: skip
    side.oval(FRAME, 1.15, 0.88, 0.28, 0.14, 11)
    side.box(WHEEL, 0.7, 0.3, 1.25, 0.6, 8)
    side.line(WHEEL, [(1.72, 0.33), (1.42, 1.05), (1.3, 1.12)], 0.07)
    side.shape(FRAME, [(1.4, 0.95), (1.62, 1.0), (1.5, 1.25)], 10)
    end = Pen(0.8, 1.85, 80)
    end.box(WHEEL, 0.31, 0.0, 0.49, 0.66)
    end.oval(FRAME, 0.4, 0.75, 0.2, 0.22)
    end.box(WHEEL, 0.05, 1.0, 0.75, 1.06)
    end.disc(FRAME, 0.4, 0.85, 0.09, 15)
    if ridden:
        _cyclist(side, (0.68, 0.9), (1.36, 1.1), (0.95, 0.35))
        _from_behind(end, 0.9)
    return side.sprite(seed=23), end.sprite(seed=24)


def _from_behind(pen: Pen, seat: float) -> None:
    x = pen.size_m[0] / 2
    for side in (-1, 1):
        pen.line(TROUSERS, [(x + side * 0.1, seat), (x + side * 0.16, 0.35)], 0.13, 8)
        pen.line(TOP, [(x + side * 0.2, seat + 0.48), (x + side * 0.27, seat + 0.1)], 0.1, 8)
    pen.shape(TOP, [(x - 0.17, seat - 0.08), (x + 0.17, seat - 0.08), (x + 0.22, seat + 0.5),
                    (x - 0.22, seat + 0.5)])  # fmt: skip
    pen.oval(SKIN, x, seat + 0.6, 0.08, 0.12)
    pen.oval(HAIR, x, seat + 0.68, 0.11, 0.11)
