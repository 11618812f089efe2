"""How things are called in print, and how many digits their numbers deserve."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline.report.found.table import MEAN
from pipeline.scoring.metrics import SCORES, Print, Score

Row = Mapping[Hashable, Any]
"""A row of a table by column."""


def task_title(task: str) -> str:
    """Return heading of a task."""
    return SCORES[task].title


def part_title(part: str) -> str:
    """Return short name of a task, or of the rate term."""
    return part.capitalize()


def print_of(score: Score) -> Print:
    """Return unit, scale and digits of a score in print."""
    return score.printed


def encoder_title(encoder: str) -> str:
    """Return the name as the paper writes it: Encoder1 for `encoder1`."""
    return encoder[:1].upper() + encoder[1:]


def codec_title(codec: str) -> str:
    """Return a codec point in print: PNG, JPEG-95, `png@5` as PNG 5-bit; `uncompressed` stays."""
    if codec == "uncompressed":
        return codec
    name, own_depth, bits = codec.upper().partition("@")
    return f"{name} {bits}-bit" if own_depth else name


def with_unit(label: str, unit: str) -> str:
    return f"{label} ({unit})" if unit else label


def signed(value: float, digits: int) -> str:
    """Return a number with its sign; zero, and what rounds to it, without one; NaN as `n/a`."""
    if not np.isfinite(value):
        return "n/a"
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


def percent(value: float) -> str:
    """Return a signed share with its sign of per cent; NaN as `n/a`."""
    return f"{signed(value, 2)} %" if np.isfinite(value) else "n/a"


def model_title(row: Row, table: pd.DataFrame) -> str:
    """Return the encoder, with its seed where the table holds several."""
    title = encoder_title(str(row["encoder"]))
    if row["seed"] == MEAN:
        return f"{title}, mean of {row['seeds']}"
    return f"{title}, seed {row['seed']}" if table["seed"].nunique() > 1 else title
