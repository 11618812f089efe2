"""Textures of the things that stand in a street, drawn once per process.

A texture is an array of codes (see `street.records`): which part of the thing, and how light. What
colour a part has is chosen when the thing is placed, so one shape serves many things.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.data.street.records import SHADES, Codes

LIT = 9
"""The shade at which a part has its own colour."""
BODY, GLASS, TYRE, RIM, LAMP, PLATE, TRIM = range(1, 8)
SKIN, TOP, TROUSERS, HAIR, FRAME, WHEEL, BAG = range(1, 8)
POLE, SIGN, SIGN_RIM, SIGN_MARK, CASE, LAMP_ON, LAMP_OFF = range(1, 8)
LEAVES, TRUNK = 1, 2
ROUND, TRIANGLE, CROSSWALK, NO_ENTRY, WAY, DIAMOND = range(6)

Dot = tuple[float, float]


class Sprite(NamedTuple):
    """A texture and its size."""

    codes_hw: Codes
    width_m: float
    height_m: float


class Pen:
    """Draws parts in metres, x to the right and y up from the lower left corner."""

    def __init__(self, width_m: float, height_m: float, px_per_m: float) -> None:
        self.size_m = (width_m, height_m)
        self.px_per_m = px_per_m
        size = (round(width_m * px_per_m), round(height_m * px_per_m))
        self.image = Image.new("L", size)
        self.draw = ImageDraw.Draw(self.image)

    def _dots(self, dots: Sequence[Dot]) -> list[Dot]:
        return [(x * self.px_per_m, (self.size_m[1] - y) * self.px_per_m) for x, y in dots]

    def shape(self, part: int, dots: Sequence[Dot], shade: int = LIT) -> None:
        """A filled polygon."""
        self.draw.polygon(self._dots(dots), fill=part * SHADES + shade)

    def box(self, part: int, x0: float, y0: float, x1: float, y1: float, shade: int = LIT) -> None:
        """A filled rectangle."""
        self.shape(part, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)], shade)

    def disc(self, part: int, x: float, y: float, radius: float, shade: int = LIT) -> None:
        """A filled circle."""
        self.oval(part, x, y, radius, radius, shade)

    def oval(self, part: int, x: float, y: float, rx: float, ry: float, shade: int = LIT) -> None:
        """A filled ellipse."""
        box = self._dots([(x - rx, y + ry), (x + rx, y - ry)])
        self.draw.ellipse(box, fill=part * SHADES + shade)

    def ring(self, part: int, x: float, y: float, radius: float, thick: float) -> None:
        """A circle that can be seen through."""
        box = self._dots([(x - radius, y + radius), (x + radius, y - radius)])
        width = max(1, round(thick * self.px_per_m))
        self.draw.ellipse(box, outline=part * SHADES + LIT, width=width)

    def line(self, part: int, dots: Sequence[Dot], thick: float, shade: int = LIT) -> None:
        """A stroke through the dots."""
        width = max(1, round(thick * self.px_per_m))
        self.draw.line(self._dots(dots), fill=part * SHADES + shade, width=width, joint="curve")

    def sprite(self, grain: float = 0.35, seed: int = 0) -> Sprite:
        """What was drawn, lighter at the top and with a grain."""
        codes = np.array(self.image)
        rng = np.random.default_rng(seed)
        fall = np.linspace(1.2, -1.2, codes.shape[0])[:, None]
        codes = shifted(codes, fall + grain * rng.standard_normal(codes.shape))
        return Sprite(codes, *self.size_m)


def shifted(codes: Codes, levels: NDArray[np.floating]) -> Codes:
    """The same parts, lighter or darker by so many shades."""
    shade = np.clip(np.rint((codes % SHADES) + levels), 0, SHADES - 1).astype(np.uint8)
    return np.where(codes == 0, 0, codes - codes % SHADES + shade).astype(np.uint8)


def chosen(rng: np.random.Generator, shares: Sequence[float]) -> int:
    """An index drawn with these probabilities, which sum to 1."""
    left = rng.random()
    for index, share in enumerate(shares):
        left -= share
        if left < 0:
            return index
    return len(shares) - 1


@cache
def noise(size: int, slope: float, seed: int) -> NDArray[np.float32]:
    """Periodic (size, size) noise of mean 0 and deviation 1 whose power falls with frequency."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]) * size
    spectrum = np.fft.rfft2(rng.standard_normal((size, size)))
    spectrum *= np.maximum(frequency, 1) ** -slope
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, (size, size))
    return (field / field.std()).astype(np.float32)


@cache
def people() -> tuple[Sprite, ...]:
    """Standing and walking people, from the front and from the side."""
    rng = np.random.default_rng(11)
    return tuple(_person(rng, seed) for seed in range(14))


def _person(rng: np.random.Generator, seed: int) -> Sprite:
    pen = Pen(0.9, 1.82, 96)
    x, stride = 0.45, rng.uniform(0.0, 0.3)
    broad = rng.uniform(0.17, 0.25)
    for side, shade in ((-1, 7), (1, 9)):
        foot = x + side * max(stride, 0.09)
        pen.line(TROUSERS, [(x + side * 0.07, 0.9), (x + side * stride * 0.6, 0.48)], 0.17, shade)
        pen.line(TROUSERS, [(x + side * stride * 0.6, 0.5), (foot, 0.06)], 0.13, shade)
        pen.oval(HAIR, foot + 0.04, 0.045, 0.11, 0.045, 5)
    if rng.random() < 0.3:
        pen.shape(TOP, [(x - broad, 0.85), (x + broad, 0.85), (x + 0.26, 0.5), (x - 0.26, 0.5)], 8)
    for side, shade in ((-1, 7), (1, 10)):
        hand = x + side * rng.uniform(0.2, 0.36)
        pen.line(TOP, [(x + side * broad, 1.42), (hand, 0.95)], 0.11, shade)
        pen.disc(SKIN, hand, 0.9, 0.05)
    pen.shape(
        TOP, [(x - 0.16, 0.82), (x + 0.16, 0.82), (x + broad, 1.46), (x + 0.07, 1.54),
              (x - 0.07, 1.54), (x - broad, 1.46)],
    )  # fmt: skip
    if rng.random() < 0.35:
        pen.oval(BAG, x + 0.3, 0.85, 0.12, 0.17, 8)
    pen.box(SKIN, x - 0.04, 1.5, x + 0.04, 1.6, 7)
    pen.oval(SKIN, x, 1.66, 0.09, 0.12)
    pen.oval(HAIR, x - rng.uniform(0, 0.04), 1.71, 0.1, 0.09, 8)
    return pen.sprite(seed=seed)


@cache
def trees() -> tuple[Sprite, ...]:
    """Crowns on trunks, ragged at the rim, lighter above."""
    rng = np.random.default_rng(12)
    return tuple(_tree(rng, seed) for seed in range(10))


def _tree(rng: np.random.Generator, seed: int) -> Sprite:
    pen = Pen(6, 8, 28)
    lean = rng.uniform(-0.2, 0.2)
    pen.line(TRUNK, [(3, 0), (3 + lean, 3.6)], rng.uniform(0.22, 0.4), 8)
    for side in (-1, 1):
        pen.line(TRUNK, [(3 + lean, 2.4), (3 + side * 1.2, 4.6)], 0.14, 7)
    trunk = np.array(pen.image)
    height, width = trunk.shape
    y = np.linspace(8, 0, height)[:, None]
    x = np.linspace(-3, 3, width)[None]
    middle, tall = rng.uniform(4.7, 5.1), rng.uniform(2.1, 2.9)
    radius = np.hypot(x / rng.uniform(1.9, 2.7), (y - middle) / tall)
    coarse = noise(256, 1.5, 20 + seed)[:height, :width]
    fine = noise(256, 0.5, 40 + seed)[:height, :width]
    crown = radius + 0.13 * coarse + 0.07 * fine < 0.93
    shade = 8 + (y - middle) * 0.9 + 1.7 * coarse + 1.4 * fine - x * 0.3
    leaves = LEAVES * SHADES + np.clip(shade, 1, 15)
    return Sprite(np.where(crown, leaves, trunk).astype(np.uint8), 6, 8)


@cache
def thickets() -> tuple[Codes, ...]:
    """Walls of leaves (hedges, bushes, woods), 128 rows, ragged at the top."""
    found = []
    for seed in range(4):
        coarse, fine = noise(512, 1.4, 60 + seed)[:128], noise(512, 0.6, 70 + seed)[:128]
        y = np.linspace(1, 0, 128)[:, None]
        rim = 0.8 + 0.11 * noise(512, 1.3, 80 + seed)[:1] + 0.03 * fine
        code = LEAVES * SHADES + np.clip(6.5 + 4 * y + 1.8 * coarse + 1.4 * fine, 1, 15)
        found.append(np.where(y < rim, code, 0).astype(np.uint8))
    return tuple(found)


@cache
def signs() -> tuple[Sprite, ...]:
    """Traffic signs without their poles: round, triangular, square, oblong, diamond."""
    found = []
    for kind in range(6):
        wide = 1.6 if kind == WAY else 0.8
        pen = Pen(wide, 0.8, 80)
        if kind == ROUND:
            pen.disc(SIGN_RIM, 0.4, 0.4, 0.39)
            pen.disc(SIGN, 0.4, 0.4, 0.29)
            pen.box(SIGN_MARK, 0.3, 0.3, 0.5, 0.5)
        elif kind == TRIANGLE:
            pen.shape(SIGN_RIM, [(0.01, 0.04), (0.79, 0.04), (0.4, 0.76)])
            pen.shape(SIGN, [(0.15, 0.12), (0.65, 0.12), (0.4, 0.58)])
            pen.box(SIGN_MARK, 0.36, 0.15, 0.44, 0.4)
        elif kind == CROSSWALK:
            pen.box(SIGN_MARK, 0.03, 0.03, 0.77, 0.77)
            pen.shape(SIGN, [(0.2, 0.15), (0.6, 0.15), (0.4, 0.62)])
        elif kind == NO_ENTRY:
            pen.disc(SIGN_RIM, 0.4, 0.4, 0.39)
            pen.box(SIGN, 0.12, 0.33, 0.68, 0.47)
        elif kind == WAY:
            pen.box(SIGN_MARK, 0, 0.1, 1.6, 0.75)
            for y in (0.25, 0.5):
                pen.box(SIGN, 0.15, y, 1.3, y + 0.1)
        else:
            pen.shape(SIGN, [(0.4, 0.01), (0.79, 0.4), (0.4, 0.79), (0.01, 0.4)])
            pen.shape(SIGN_RIM, [(0.4, 0.13), (0.67, 0.4), (0.4, 0.67), (0.13, 0.4)], 10)
        found.append(pen.sprite(seed=kind))
    return tuple(found)


@cache
def traffic_lights() -> tuple[Sprite, ...]:
    """Heads with the red, the yellow or the green lamp on."""
    found = []
    for lit in range(3):
        pen = Pen(0.36, 1.0, 80)
        pen.box(CASE, 0, 0, 0.36, 1.0)
        for lamp in range(3):
            pen.disc(LAMP_ON if lamp == lit else LAMP_OFF, 0.18, 0.82 - 0.32 * lamp, 0.13)
        found.append(pen.sprite(0.3, lit))
    return tuple(found)
