"""How things are called in print, and how many digits their numbers deserve."""

from typing import NamedTuple

import numpy as np

from pipeline.scoring.metrics import Score

TASKS = {
    "segmentation": "Semantic segmentation",
    "disparity": "Disparity",
    "reconstruction": "Reconstruction",
}
"""Heading of each task; a task not listed goes by its own name."""


class Print(NamedTuple):
    """How a score is printed: `value * scale`, then the unit."""

    unit: str
    scale: float
    digits: int


PRINTS = {"miou": Print("%", 100, 2), "irmse": Print("1/px", 1, 4), "psnr": Print("dB", 1, 2)}
"""Printing of each score; a score not listed is printed in its own unit, to four digits."""


def task_title(task: str) -> str:
    return TASKS.get(task, task.capitalize())


def part_title(part: str) -> str:
    """Short name of a task, or of the rate term."""
    return part.capitalize()


def print_of(score: Score) -> Print:
    return PRINTS.get(score.name, Print(score.unit, 1, 4))


def encoder_title(encoder: str) -> str:
    """`encoder1` as the paper writes it: Encoder1."""
    return encoder[:1].upper() + encoder[1:]


def codec_title(codec: str) -> str:
    """`png` as PNG, `jpeg-95` as JPEG-95."""
    return codec.upper()


def with_unit(label: str, unit: str) -> str:
    return f"{label} ({unit})" if unit else label


def signed(value: float, digits: int) -> str:
    """A number with its sign; zero, and what rounds to it, without one; NaN as `n/a`."""
    if not np.isfinite(value):
        return "n/a"
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]
