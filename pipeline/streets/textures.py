"""Textures: drawings read from text, and surfaces made of noise and of repeated bays.

A texture is an array of codes (see `canvas`): which part of a thing, and how light. The colour of a
part is chosen when the thing is placed, so one texture serves many things.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.streets.canvas import LIT, SHADES, Codes

STYLES = 6
"""Kinds of windows."""
BAY = 40
"""Texels of a bay's width and of a floor's height, about 3 m each."""
_WALL = ("plaster", "pane", "sill", "shutter", "base", "shop", "roof")
_PLASTER, _PANE, _SILL, _SHUTTER, _BASE, _SHOP = (SHADES * n for n in range(1, 7))
_FOLIAGE = ("leaf", "trunk")


class Texture(NamedTuple):
    """A drawn thing."""

    codes_hw: Codes
    parts: tuple[str, ...]
    """Names of parts 1, 2, ... of the codes."""
    width_m: float
    height_m: float


@cache
def noise(size: int, slope: float, seed: int) -> NDArray[np.float32]:
    """Return periodic (size, size) noise of mean 0 and deviation 1; power falls with frequency."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]) * size
    spectrum = np.fft.rfft2(rng.standard_normal((size, size)))
    spectrum *= np.maximum(frequency, 1) ** -slope
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, (size, size))
    return (field / field.std()).astype(np.float32)


def _shaded(part: int, shade_hw: NDArray[np.number]) -> Codes:
    """Return the codes of one part in so many shades."""
    return (part * SHADES + np.clip(shade_hw, 1, SHADES - 1)).astype(np.uint8)


def _grained(codes: Codes, levels: NDArray[np.floating]) -> Codes:
    """Return the same parts, lighter or darker by so many shades."""
    shade = np.clip(codes % SHADES + np.rint(levels).astype(np.int16), 0, SHADES - 1)
    return np.where(codes == 0, 0, codes // SHADES * SHADES + shade).astype(np.uint8)


@cache
def drawings() -> dict[str, list[str]]:
    """Return the size and the strokes of each drawing, as text."""
    text = Path(__file__).with_name("drawings.txt").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, colon, size = line.partition(":")
        if line.startswith("#"):
            continue
        if colon:
            strokes = found[name] = [size]
        else:
            strokes.append(line)
    return found


def drawn(name: str, known: tuple[str, ...] = ()) -> Texture:
    """Return a drawing of drawings.txt as a texture, lighter at the top and with a grain.

    Its parts are numbered on from the known ones, so that several drawings share one paint.
    """
    size, *strokes = drawings()[name]
    width_m, height_m = (float(x) for x in size.split())
    px_per_m, parts = min(90.0, 480 / width_m), list(known)
    image = Image.new("L", (round(width_m * px_per_m), round(height_m * px_per_m)))
    for stroke in strokes:
        part, kind, *words = stroke.split()
        part, _, darker = part.partition("-")
        if part not in parts:
            parts.append(part)
        numbers = [[float(x) * px_per_m for x in word.split(",")] for word in words]
        thick = numbers.pop(0) if kind in ("line", "oval", "ring") else [0.0]
        dots = [(x, image.height - y) for x, y in numbers]
        code = (parts.index(part) + 1) * SHADES + LIT - int(darker or 0)
        _stroke(ImageDraw.Draw(image), kind, dots, thick, code)
    codes = np.array(image)
    grain = np.random.default_rng(len(name)).standard_normal(codes.shape)
    fall = np.linspace(1.2, -1.2, len(codes))[:, None]
    return Texture(_grained(codes, fall + 0.35 * grain), tuple(parts), width_m, height_m)


def _stroke(
    pen: ImageDraw.ImageDraw,
    kind: str,
    dots: list[tuple[float, float]],
    thick: list[float],
    code: int,
) -> None:
    """Draw one stroke; dots and thicknesses are in pixels."""
    if kind == "area":
        pen.polygon(dots, fill=code)
    elif kind == "line":
        pen.line(dots, fill=code, width=max(1, round(thick[0])), joint="curve")
    elif kind == "box":
        for (x0, y0), (x1, y1) in zip(dots[::2], dots[1::2], strict=True):
            pen.rectangle((x0, y1, x1, y0), fill=code)
    else:
        for x, y in dots:
            box = (x - thick[0], y - thick[-1], x + thick[0], y + thick[-1])
            pen.ellipse(box, outline=code, width=4, fill=code if kind == "oval" else None)


@cache
def drawn_together(names: tuple[str, ...]) -> tuple[Texture, ...]:
    """Return several drawings that share one paint, which the last one's parts describe."""
    found: tuple[Texture, ...] = ()
    for name in names:
        found += (drawn(name, found[-1].parts if found else ()),)
    return found


@cache
def tree(seed: int) -> Texture:
    """Return a tree: a ragged crown, lighter above, on a trunk."""
    rng = np.random.default_rng(seed)
    y, x = np.linspace(8, 0, 224)[:, None], np.linspace(-3, 3, 168)[None]
    trunk = (np.abs(x - 0.1 * np.sin(y + seed)) < rng.uniform(0.11, 0.2)) & (y < 4.4)
    middle = rng.uniform(4.7, 5.1)
    radius = np.hypot(x / rng.uniform(1.9, 2.7), (y - middle) / rng.uniform(2.1, 2.9))
    at = int(rng.integers(512 - 224)), int(rng.integers(512 - 168))
    patch = slice(at[0], at[0] + 224), slice(at[1], at[1] + 168)
    coarse, fine = noise(512, 1.5, 4)[patch], noise(512, 0.5, 5)[patch]
    leaves = _shaded(1, 8 + (y - middle) * 0.9 + 1.7 * coarse + 1.4 * fine - x * 0.3)
    crown = radius + 0.13 * coarse + 0.07 * fine < 0.93
    return Texture(np.where(crown, leaves, _shaded(2, 8 * trunk) * trunk), _FOLIAGE, 6, 8)


@cache
def thicket(kind: int) -> Texture:
    """Return one of four walls of leaves, ragged at the top: a hedge, bushes or a wood."""
    patch = slice(128 * kind, 128 * kind + 128)
    coarse, fine = noise(512, 1.5, 4)[patch], noise(512, 0.5, 5)[patch]
    y = np.linspace(1, 0, 128)[:, None]
    rim = 0.8 + 0.11 * coarse[:1] + 0.03 * fine
    leaves = _shaded(1, 6.5 + 4 * y + 1.8 * coarse + 1.4 * fine)
    return Texture(leaves * (y < rim), _FOLIAGE, 40, 10)


@cache
def fence(kind: int) -> Texture:
    """Return a length of fence: bars, pickets, mesh or boards."""
    y, x = np.mgrid[:48, :64]
    slats = (x % 8 < 2, x % 8 < 5, ((x + y) % 8 == 0) | ((x - y) % 8 == 0), y % 8 > 0)[kind]
    rails = (y < 3) | (y > 44) | (x < 3)
    codes = np.where(slats | rails, _shaded(1, LIT - x % 8 // 2), _shaded(2, 7 + 0 * x))
    return Texture(codes, ("bar", "behind"), 2, 1.5)


@cache
def masonry() -> Texture:
    """Return a length of wall with courses, joints and a coping."""
    y, x = np.mgrid[:64, :128]
    joint = (y % 8 == 0) | ((x + y // 8 % 2 * 8) % 16 == 0)
    shade = LIT + 2.0 * (y < 6) - 2.5 * joint + 1.1 * noise(512, 0.85, 1)[:64, :128]
    return Texture(_shaded(1, shade), ("stone",), 4, 2)


def _bays(style: int, count: int, rng: np.random.Generator) -> Codes:
    """Return windows of one style, (count, BAY, BAY): lit, curtained, dark or shuttered."""
    look = np.random.default_rng(100 + style)
    left, head = int(look.integers(3, 14)), int(look.integers(5, 11))
    right, foot = BAY - left, int(look.integers(29, 36))
    crossbar, shutters = look.random(2) < (0.8, 0.4)
    bays = np.full((count, BAY, BAY), _PLASTER + LIT, np.uint8)
    bays[:, head - 2 : foot + 2, left - 2 : right + 2] = _SILL + LIT
    panes = rng.choice((3, 5, 8, 11), (count, 1, 1)).astype(np.uint8)
    bays[:, head:foot, left:right] = _PANE + panes
    if crossbar:
        bays[:, head:foot, BAY // 2] = bays[:, head + 7, left:right] = _SILL + LIT
    if shutters and left > 7:
        for x in (left - 7, right + 2):
            bays[:, head:foot, x : x + 5] = (_SHUTTER + LIT - np.arange(foot - head) % 3)[:, None]
    bays[rng.random(count) < 0.15, head : head + 14, left:right] = _SHUTTER + 10
    bays[:, foot + 2 : foot + 4, left - 3 : right + 3] = _PLASTER + 6
    return bays


def _ground_floor(kinds: NDArray[np.integer]) -> Codes:
    """Return a bay for each kind: 0 and 1 a shop, 2 a door, 3 a window."""
    bays = np.full((4, BAY, BAY), _BASE + LIT, np.uint8)
    for n in (0, 1):
        bays[n, 4:9] = _SHUTTER + 9 + n
        bays[n, 10:36, 3:37] = _SHOP + 8
        bays[n, 14:34:2, 8:30] = _SHOP + 9 + 2 * n
    bays[2, 10:, 12:28] = _SILL + 8
    bays[2, 13:, 14:26] = _SHUTTER + 6
    bays[3, 8:30, 10:30] = _SILL + LIT
    bays[3, 10:28, 12:28] = _PANE + 6
    bays[:, -3:] = _BASE + 6
    return bays[kinds]


def _house(bays: Codes, columns: int) -> Texture:
    """Return bays, row by row, as one wall under a roof."""
    joined = bays.reshape(-1, columns, BAY, BAY).transpose(0, 2, 1, 3).reshape(-1, columns * BAY)
    wall = _grained(joined, 0.6 * noise(512, 0.5, 5)[: len(joined), : columns * BAY])
    tiles = noise(512, 0.5, 5)[: BAY // 2, : columns * BAY] + np.arange(BAY // 2)[:, None] % 4
    height_m = 3.0 * len(bays) / columns + 1.5
    return Texture(np.concatenate([_shaded(7, tiles + 8), wall]), _WALL, 3.0 * columns, height_m)


@cache
def facade(floors: int, columns: int, style: int, shops: bool) -> Texture:
    """Return the front of a house, with a roof of half a floor."""
    rng = np.random.default_rng((floors, columns, style, shops))
    kinds = rng.integers(0, 2, columns) if shops else np.full(columns, 3)
    kinds[rng.integers(columns)] = 2
    return _house(
        np.concatenate([_bays(style, (floors - 1) * columns, rng), _ground_floor(kinds)]), columns
    )


@cache
def end_wall(floors: int, style: int) -> Texture:
    """Return the end wall of a house, nearly blind."""
    rng = np.random.default_rng((floors, style))
    bays = _bays(style, 4 * floors, rng)
    bays[rng.random(len(bays)) < 0.8] = _PLASTER + LIT
    return _house(bays, 4)
