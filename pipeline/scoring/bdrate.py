"""BD-rate: the average change of rate at equal score. How far it can be trusted: `trust`.

Method: Bjontegaard, VCEG-M33, 2001, with a cubic fit of the logarithm of the rate as a function of
the score, as in Alvar and Bajic, ICIP 2019; fits and integrals are the `bjontegaard` package's.
A curve is a set of points (rate > 0 in any unit, score where more is better) in any order.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import bjontegaard
import numpy as np
from numpy.typing import ArrayLike

from pipeline.scoring import hull
from pipeline.scoring.hull import Averaged, beaten_points, itself
from pipeline.scoring.obstacles import (
    FEWEST_OF_HULL,
    FEWEST_POINTS,
    BeatenPoint,
    Curve,
    FitFailed,
    FitLeavesPoints,
    NoOverlap,
    NotFinite,
    NotMonotone,
    NotPositive,
    Obstacle,
    TooFewPoints,
)

METHODS = ("cubic", "pchip", "akima")


@dataclass(frozen=True)
class BDRate:
    """Average change of rate at equal score, test against anchor."""

    percent: float | None
    """Per cent; negative where the test saves bits. None if there is an obstacle."""
    overlap: float
    """Shared part of the two score ranges over their union, 0 to 1; 0 if not all are finite."""
    obstacle: Obstacle | None


@dataclass(frozen=True)
class BDScore:
    """Average change of score at equal rate (logarithmic rate axis), test against anchor."""

    difference: float | None
    """In the unit of the score; positive where the test is better. None if there is an obstacle."""
    overlap: float
    """Shared part of the two ranges of log rate over their union, 0 to 1."""
    obstacle: Obstacle | None


def bd_rate(
    anchor_rate: ArrayLike,
    anchor_score: ArrayLike,
    test_rate: ArrayLike,
    test_score: ArrayLike,
    method: str = "cubic",
) -> BDRate:
    """Return the BD-rate of the test curve against the anchor; all (P,), P may differ by arm.

    There is no number, and an obstacle instead, unless each curve has four points or more, all
    finite, its score rises with its rate, and the score ranges overlap. Equal curves give 0.0,
    however few and in whatever order their points are.
    Raises ValueError for an unknown method or a curve whose rates and scores do not pair up.
    """
    anchor = _curve("anchor", anchor_rate, anchor_score)
    test = _curve("test", test_rate, test_score)
    return _bd_rate(anchor, test, FEWEST_POINTS, _fitted(method))


def bd_score(
    anchor_rate: ArrayLike,
    anchor_score: ArrayLike,
    test_rate: ArrayLike,
    test_score: ArrayLike,
    method: str = "cubic",
) -> BDScore:
    """Return the mean score difference over the rates both curves reach; else as `bd_rate`."""
    anchor = _curve("anchor", anchor_rate, anchor_score)
    test = _curve("test", test_rate, test_score)
    return BDScore(*_average_gap(anchor, test, "rate", FEWEST_POINTS, _fitted(method)))


def hull_rate(
    anchor_rate: ArrayLike,
    anchor_score: ArrayLike,
    test_rate: ArrayLike,
    test_score: ArrayLike,
    *,
    averaged: Averaged = itself,
    loss_percent: float = 100.0,
) -> BDRate:
    """Return the BD-rate between the hulls (see `hull.hull_points`): another number than `bd_rate`.

    It compares what a user would pick of each arm, who never pays more for a worse score; since
    points are left out after looking at the scores, it flatters a noisy curve. Between two points
    the rate is that of a mix of both (see `hull.mean_log_gap`). Two points are enough.

    averaged: see `Averaged`. loss_percent: scores that lie further than this below the best of the
    anchor do not count. Scores are positive.
    """
    anchor = _curve("anchor", anchor_rate, anchor_score)
    best = anchor.score_P.max(initial=0.0, where=np.isfinite(anchor.score_P))
    least = (1 - loss_percent / 100) * best
    anchor = _hull(anchor, averaged, least)
    test = _hull(_curve("test", test_rate, test_score), averaged, least)
    mixed = partial(hull.mean_log_gap, averaged=averaged)
    return _bd_rate(anchor, test, FEWEST_OF_HULL, mixed)


class _Curve(NamedTuple):
    name: Curve
    rate_P: np.ndarray
    score_P: np.ndarray


_Pair = tuple[np.ndarray, np.ndarray]
"""A column of the anchor and one of the test."""
_Average = Callable[[_Pair, _Pair], float | Obstacle]
"""(scores, ln(rates)) or, for a BD-score, the other way round -> the mean gap of the second."""


def _hull(curve: _Curve, averaged: Averaged, least: float) -> _Curve:
    if _unusable(curve):
        return curve
    kept = hull.hull_points(*curve[1:], averaged)
    return _Curve(
        curve.name, *hull.from_score(curve.rate_P[kept], curve.score_P[kept], least, averaged)
    )


def _bd_rate(anchor: _Curve, test: _Curve, fewest: int, average: _Average) -> BDRate:
    gap, overlap, obstacle = _average_gap(anchor, test, "score", fewest, average)
    return BDRate(None if gap is None else 100 * math.expm1(gap), overlap, obstacle)


def _curve(name: Curve, rate: ArrayLike, score: ArrayLike) -> _Curve:
    rate_P, score_P = np.asarray(rate, np.float64), np.asarray(score, np.float64)
    if rate_P.ndim != 1 or rate_P.shape != score_P.shape:
        raise ValueError(
            f"the {name} curve has rates of shape {rate_P.shape} and scores of shape "
            f"{score_P.shape}: one rate and one score a point are needed"
        )
    return _Curve(name, rate_P, score_P)


def _average_gap(
    anchor: _Curve, test: _Curve, over: Literal["score", "rate"], fewest: int, average: _Average
) -> tuple[float | None, float, Obstacle | None]:
    """Return (mean of test minus anchor over the shared range, overlap, why there is none).

    Over the score the gap is one of ln(rate); over the rate, taken as ln(rate), one of the score.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(anchor.rate_P), np.log(test.rate_P)
    scores = anchor.score_P, test.score_P
    bases, values = (scores, logs) if over == "score" else (logs, scores)
    overlap = _overlap(*bases)
    obstacle: Obstacle | None = _unusable(anchor) or _unusable(test)
    # Equal curves differ by nothing, whatever a fit through them would look like: the control.
    if not obstacle and anchor.rate_P.size and _equal(anchor, test):
        return 0.0, 1.0, None
    obstacle = obstacle or _disorder(anchor, fewest) or _disorder(test, fewest)
    obstacle = obstacle or _no_overlap(over, bases, overlap)
    if obstacle:
        return None, overlap, obstacle
    gap = average(bases, values)
    return (gap, overlap, None) if isinstance(gap, float) else (None, overlap, gap)


def _fitted(method: str) -> _Average:
    """Return the average of the library's fits. Raises ValueError for an unknown method."""
    if method not in METHODS:
        raise ValueError(f"unknown BD method {method!r}: choose one of {', '.join(METHODS)}")

    def average(bases: _Pair, values: _Pair) -> float | Obstacle:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            warnings.simplefilter("error", RuntimeWarning)
            try:
                gap = _library_gap(bases, values, method)
            except (Warning, ValueError) as problem:
                return FitFailed(method, str(problem))
        # Over the shared range both curves lie between the points: a larger gap is the fit's own.
        return gap if abs(gap) <= np.ptp(np.concatenate(values)) else FitLeavesPoints(method)

    return average


def _library_gap(bases: _Pair, values: _Pair, method: str) -> float:
    # Origin and unit of the base do not change the gap, but they do condition the cubic fit.
    origin, unit = bases[0].min(), np.ptp(bases[0])
    curves = []
    for base_P, value_P in zip(bases, values, strict=True):
        order = np.argsort(base_P)
        curves += [(base_P[order] - origin) / unit, value_P[order]]
    gap = bjontegaard.bd_linear(*curves, method, require_matching_points=False, min_overlap=0)
    return float(gap)


def _overlap(anchor_P: np.ndarray, test_P: np.ndarray) -> float:
    if not (len(anchor_P) and len(test_P) and np.isfinite([*anchor_P, *test_P]).all()):
        return 0.0
    shared = min(anchor_P.max(), test_P.max()) - max(anchor_P.min(), test_P.min())
    union = max(anchor_P.max(), test_P.max()) - min(anchor_P.min(), test_P.min())
    # The average over a sliver of a range would be made of rounding errors.
    return float(shared / union) if shared > 1e-9 * union else 0.0


def _equal(anchor: _Curve, test: _Curve) -> bool:
    return np.array_equal(anchor.rate_P, test.rate_P) and np.array_equal(
        anchor.score_P, test.score_P
    )


def _unusable(curve: _Curve) -> NotFinite | NotPositive | None:
    """Return which values of the points cannot be used."""
    if not (np.isfinite(curve.rate_P).all() and np.isfinite(curve.score_P).all()):
        return NotFinite(curve.name)
    return NotPositive(curve.name) if (curve.rate_P <= 0).any() else None


def _disorder(curve: _Curve, fewest: int) -> TooFewPoints | NotMonotone | None:
    """Return why the points make no curve to interpolate."""
    if len(curve.rate_P) < fewest:
        return TooFewPoints(curve.name, len(curve.rate_P), fewest)
    rate_P, score_P = curve.rate_P, curve.score_P
    beaten = tuple(
        BeatenPoint(i, float(rate_P[i]), float(score_P[i])) for i in beaten_points(rate_P, score_P)
    )
    return NotMonotone(curve.name, beaten) if beaten else None


def _no_overlap(
    over: Literal["score", "rate"], bases: tuple[np.ndarray, np.ndarray], overlap: float
) -> NoOverlap | None:
    if overlap > 0:
        return None
    anchor, test = ((float(base_P.min()), float(base_P.max())) for base_P in bases)
    return NoOverlap(over, anchor, test)
