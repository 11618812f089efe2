"""What all charts over rate share: units, means over seeds, and the words told at a point."""

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from pipeline.report.charts.record import Axis, Kind, Look, Series
from pipeline.report.text.names import print_of
from pipeline.scoring.hull import monotone_envelope
from pipeline.scoring.metrics import Score

RATES = {
    "bpfe": "bits per feature element",
    "bpp": "bits per pixel",
    "kilobytes": "kB per image",
}
"""Unit of the rate by column of a table of points."""

SHORT = {"bpfe": "bit/element", "bpp": "bit/pixel", "kilobytes": "kB"}


def rate_axis(rate: str) -> Axis:
    """Return the axis of a rate, in the unit of this column."""
    return Axis("Rate", RATES[rate])


def mean_over_seeds(points: pd.DataFrame, by: str, value: str) -> pd.DataFrame:
    """Return every rate that the table has and one value, averaged by the column `by`."""
    known = [name for name in RATES if name in points]
    return points.groupby(by, sort=False)[[*known, value]].mean().reset_index()


def told_rates(row: Mapping[Hashable, Any]) -> str:
    """Return the rate of a point in every unit in which it is known."""
    return ", ".join(f"{row[name]:.3g} {unit}" for name, unit in SHORT.items() if name in row)


def told_score(score: Score, value: float) -> str:
    """Return a score as text, with its name and unit."""
    unit, scale, digits = print_of(score)
    return f"{score.label} {scale * value:.{digits}f} {unit}".strip()


def level(look: Look, rates: pd.Series, value: float, told: str) -> Series:
    """Return a dotted line at one value, as wide as the rates are."""
    ends = (float(rates.min()), float(rates.max()))
    return Series("thin", Look(look.ink, dash="dot"), ends, (value, value), told=(told, told))


def envelope_and_rest(
    look: Look,
    x: tuple[float, ...],
    y: tuple[float, ...],
    *,
    better: tuple[float, ...],
    told: tuple[str, ...],
    tags: tuple[str, ...] = (),
) -> list[Series]:
    """Return a curve through the points that no other beats, and small marks for the others.

    x: rates. better: of each point a value that is larger where the point is better.
    """
    kept = monotone_envelope(x, better).tolist()
    rest = [i for i in range(len(x)) if i not in kept]

    def of(kind: Kind, indices: list[int]) -> Series:
        at_x, at_y = (tuple(column[i] for i in indices) for column in (x, y))
        words, short = (tuple(column[i] for i in indices if column) for column in (told, tags))
        return Series(kind, look, at_x, at_y, tags=short, told=words)

    return [*([of("dots", rest)] if rest else []), of("curve", kept)]


def values(column: pd.Series) -> tuple[float, ...]:
    """Return a column as plain numbers."""
    return tuple(column.astype(float).tolist())


def spans_positive(numbers: tuple[float, ...]) -> bool:
    """Return whether a logarithmic axis can show these numbers: positive, and not all equal."""
    known = [x for x in numbers if math.isfinite(x)]
    return bool(known) and 0 < min(known) < max(known)
