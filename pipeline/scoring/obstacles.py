"""Why two curves have no BD-rate or BD-score, as records; `report.text` puts them in words."""

from dataclasses import dataclass
from typing import Literal

FEWEST_POINTS = 4
"""That a curve needs: a cubic has four coefficients."""
FEWEST_OF_HULL = 2
"""That a hull needs, whose points are joined and not fitted."""

Curve = Literal["anchor", "test"]


@dataclass(frozen=True)
class NotFinite:
    """A curve with values that are not finite."""

    curve: Curve


@dataclass(frozen=True)
class NotPositive:
    """A curve with rates that are not above 0."""

    curve: Curve


@dataclass(frozen=True)
class TooFewPoints:
    """A curve of fewer points than are needed."""

    curve: Curve
    points: int
    needed: int = FEWEST_POINTS


@dataclass(frozen=True)
class BeatenPoint:
    """A point of a curve that another point of it beats."""

    index: int
    """From 0, in the order given."""
    rate: float
    score: float


@dataclass(frozen=True)
class NotMonotone:
    """A curve whose score does not rise with its rate."""

    curve: Curve
    beaten: tuple[BeatenPoint, ...]


@dataclass(frozen=True)
class NoOverlap:
    """Curves that share no range of what the average is taken over."""

    over: Literal["score", "rate"]
    """For a rate the ends of the ranges are natural logarithms."""
    anchor: tuple[float, float]
    test: tuple[float, float]


@dataclass(frozen=True)
class FitFailed:
    """A fit that the library could not make."""

    method: str
    problem: str


@dataclass(frozen=True)
class FitLeavesPoints:
    """A fit that leaves the range of the points it goes through."""

    method: str


Obstacle = (
    NotFinite | NotPositive | TooFewPoints | NotMonotone | NoOverlap | FitFailed | FitLeavesPoints
)
"""Why two curves have no BD-rate or BD-score."""
