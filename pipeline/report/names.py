"""How things are called in print, and how many digits their numbers deserve."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.scoring.metrics import Score

MEAN = "mean"
"""Stands in the column `seed` for the mean over seeds."""
UNCOMPRESSED = "uncompressed"
"""Stands in the column `codec` for float features, which are neither quantised nor coded."""
MISSING = "not available"
"""Stands for a score or a rate that does not exist."""
Row = Mapping[Hashable, Any]
"""A row of a table by column."""


def encoder_title(encoder: str) -> str:
    """Return the name as the paper writes it: Encoder1 for `encoder1`."""
    return encoder[:1].upper() + encoder[1:]


def codec_title(codec: str) -> str:
    """Return a point in print: `png` as PNG, `jpeg-95` as JPEG-95, `png@5` as PNG 5-bit."""
    if codec == UNCOMPRESSED:
        return codec
    name, own_depth, bits = codec.upper().partition("@")
    return f"{name} {bits}-bit" if own_depth else name


def sender_title(sender: str, arms: Sequence[str]) -> str:
    """Return what is sent: the features of an arm, or the picture by its codec."""
    return f"{sender} features" if sender in arms else f"picture as {sender.upper()}"


def point_title(sender: str, codec: str) -> str:
    """Return a point of a sender in print; sender: as `sender_title` gives it."""
    title = codec_title(codec)
    return f"picture as {title}" if sender.startswith("picture as ") else f"{sender}, {title}"


def family(codec: str) -> str:
    """Return the codec of a point without its number: `jpeg` for `jpeg-90`."""
    return codec.partition("@")[0].partition("-")[0]


def score_title(score: Score) -> str:
    """Return a score with its unit in print: IRMSE (1/px)."""
    return f"{score.label} ({score.printed.unit})" if score.printed.unit else score.label


def printed(score: Score, value: float) -> str:
    """Return the value of a score in its unit of print, without the unit."""
    known = np.isfinite(value)
    return f"{score.printed.scale * value:.{score.printed.digits}f}" if known else MISSING


def changed(score: Score, value: float) -> str:
    """Return the change of a score in its unit of print, without the unit."""
    return signed(score.printed.scale * value, score.printed.digits)


def signed(value: float, digits: int) -> str:
    """Return a number with its sign; zero, and what rounds to it, without one."""
    if not np.isfinite(value):
        return MISSING
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


def percent(value: float, digits: int = 2) -> str:
    """Return a signed share with its sign of per cent."""
    return f"{signed(value, digits)} %" if np.isfinite(value) else MISSING


def listed(items: Sequence[str]) -> str:
    """Return items as a sentence lists them: "a, b and c"."""
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))
