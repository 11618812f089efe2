"""How things are called in print, and how many digits their numbers deserve."""

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.report.found.table import MEAN
from pipeline.scoring.metrics import Score

Row = Mapping[Hashable, Any]
"""A row of a table by column."""

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
    """`png` as PNG, `jpeg-95` as JPEG-95; `uncompressed` stays a word."""
    return codec if codec == "uncompressed" else codec.upper()


def with_unit(label: str, unit: str) -> str:
    return f"{label} ({unit})" if unit else label


def signed(value: float, digits: int) -> str:
    """A number with its sign; zero, and what rounds to it, without one; NaN as `n/a`."""
    if not np.isfinite(value):
        return "n/a"
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


def percent(value: float) -> str:
    """A signed share with its sign of per cent; NaN as `n/a`."""
    return f"{signed(value, 2)} %" if np.isfinite(value) else "n/a"


def model_title(row: Row, table: pd.DataFrame) -> str:
    """The encoder, with its seed where the table holds several."""
    title = encoder_title(str(row["encoder"]))
    if row["seed"] == MEAN:
        return f"{title}, mean of {row['seeds']}"
    return f"{title}, seed {row['seed']}" if table["seed"].nunique() > 1 else title
