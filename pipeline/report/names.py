"""How things are called in print, and how many digits their numbers deserve."""

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipeline.artifacts import ARMS
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


PAPER_FAMILIES = ("png", "jpeg")
PAPER = "_".join(PAPER_FAMILIES)
"""The coders of the paper, whose points make one curve."""
CODER_TITLES = {PAPER: "PNG or JPEG", "klt": "KLT", "table": "range coder", "webp": "WebP"}
"""Of coders whose name in print is not their name in capitals."""
PREFERRED = ("klt", "table", "avif", "webp")
"""The coders that are taken as the best, of features and of pictures. The order is fixed in
advance: a choice by what is found on the test frames would flatter what is chosen."""


class Sender(NamedTuple):
    """What sends a frame: an arm, whose features one family of coders codes, or a picture codec."""

    arm: str
    """Of the network; of a picture, whose whole network then runs in the cloud."""
    coder: str
    """Family of the coder, or `PAPER`."""
    picture: bool = False
    bare: bool = False
    """Whether the bytes of the picture's container are left out."""

    @property
    def title(self) -> str:
        """The sender in print, which also stands for it in every table."""
        coder = coder_title(self.coder)
        if not self.picture:
            model = self.arm == "entropy" and self.coder == "table"
            return "entropy model" if model else f"{self.arm} features, {coder}"
        container = " without container" if self.bare else ""
        return f"picture as {coder}{container}" + ("" if self.arm == ARMS[0] else ", own network")


def preferred(senders: Iterable[Sender]) -> Sender:
    """Return the sender whose coder comes first in `PREFERRED`, or else the first sender."""
    rank = {coder: place for place, coder in enumerate(PREFERRED)}
    return min(senders, key=lambda sender: rank.get(sender.coder, len(rank)))


def family(codec: str) -> str:
    """Return the coder of a point without its number: `jpeg` for `jpeg-90`, `klt` for `klt/1.2`."""
    return re.split("[@/-]", codec, maxsplit=1)[0]


def coder_title(coder: str) -> str:
    """Return a family of coders in print."""
    return CODER_TITLES.get(coder, coder.upper())


def codec_title(codec: str) -> str:
    """Return a point in print: `jpeg-95` as JPEG-95, `png@5` as PNG 5-bit, `klt/1.2` as KLT 1.2."""
    if codec == UNCOMPRESSED:
        return codec
    coder = family(codec)
    rest = codec.removeprefix(coder)
    words = {"@": f" {rest[1:]}-bit", "/": f" {rest[1:]}"}.get(rest[:1], rest)
    return coder_title(coder) + words


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
