"""BD-rate: the average change of rate at equal score. Whether it may be quoted: `verdict`.

Method: Bjontegaard, VCEG-M33, 2001, with a cubic fit of the logarithm of the rate as a function of
the score, as in Alvar and Bajic, ICIP 2019. The `bjontegaard` package gives the same (see the
tests); it is not used because a bootstrap needs thousands of values, and it loads Matplotlib.
A curve is a set of points (rate > 0 in any unit, score where more is better) in any order.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pipeline.scoring import hull
from pipeline.scoring.hull import Averaged, dominated_points, itself

FEWEST_POINTS = 4
"""That a curve needs: a cubic has four coefficients."""
FEWEST_OF_HULL = 2
"""That a hull needs, whose points are joined and not fitted."""
CURVES = ("anchor", "test")
"""What the curves are called in `BDRate.why`, if the caller has no names for them."""


@dataclass(frozen=True)
class BDRate:
    """Average change of rate at equal score, test against anchor."""

    percent: float | None
    """Per cent; negative where the test saves bits. None if it does not exist."""
    overlap: float
    """Shared part of the two score ranges over their union, 0 to 1; 0 if not all are finite."""
    why: str = ""
    """Why there is no number, in a few words; empty if there is one."""


def bd_rate(
    anchor_rate: ArrayLike,
    anchor_score: ArrayLike,
    test_rate: ArrayLike,
    test_score: ArrayLike,
    *,
    names: tuple[str, str] = CURVES,
) -> BDRate:
    """Return the BD-rate of the test curve against the anchor; all (P,), P may differ by curve.

    There is a number only if each curve has four points or more, all finite, its score rises with
    its rate, and the score ranges overlap. Equal curves give 0.0, however few and in whatever order
    their points are. names: of the two curves, for `BDRate.why`.
    Raises ValueError for a curve whose rates and scores do not pair up.
    """
    anchor = _curve(names[0], anchor_rate, anchor_score)
    test = _curve(names[1], test_rate, test_score)
    return _compare(anchor, test, FEWEST_POINTS, _fitted_gap)


def hull_rate(
    anchor_rate: ArrayLike,
    anchor_score: ArrayLike,
    test_rate: ArrayLike,
    test_score: ArrayLike,
    *,
    averaged: Averaged = itself,
    max_score_drop: float = 100.0,
    names: tuple[str, str] = CURVES,
) -> BDRate:
    """Return the BD-rate between the hulls (see `hull.hull_points`): another number than `bd_rate`.

    It compares what a user would pick of each arm, who never pays more for a worse score; since
    points are left out after looking at the scores, it flatters a noisy curve. Between two points
    the rate is that of a mix of both (see `hull.mean_log_gap`). Two points are enough.

    averaged: see `Averaged`. max_score_drop: scores that lie further than this below the best of
    the anchor do not count, in per cent of it. Scores are positive.
    """
    anchor = _curve(names[0], anchor_rate, anchor_score)
    test = _curve(names[1], test_rate, test_score)
    least = (1 - max_score_drop / 100) * anchor.high
    mixed = partial(hull.mean_log_gap, averaged=averaged)
    anchor, test = _hull(anchor, averaged, least), _hull(test, averaged, least)
    return _compare(anchor, test, FEWEST_OF_HULL, mixed)


class _Curve(NamedTuple):
    name: str
    rate_P: np.ndarray
    score_P: np.ndarray
    low: float
    high: float
    """The range of its scores; NaN if not all are finite."""
    fault: str
    """Which values of the points cannot be used; empty if all can."""


class _NoFit(ValueError):
    """A fit that cannot be used."""


_Pair = tuple[np.ndarray, np.ndarray]
"""A column of the anchor and one of the test."""


def _curve(name: str, rate: ArrayLike, score: ArrayLike) -> _Curve:
    rate_P, score_P = np.asarray(rate, np.float64), np.asarray(score, np.float64)
    if rate_P.ndim != 1 or rate_P.shape != score_P.shape:
        raise ValueError(
            f"the {name} curve has rates of shape {rate_P.shape} and scores of shape "
            f"{score_P.shape}: one rate and one score a point are needed"
        )
    # Plain numbers, since a bootstrap asks for tens of thousands of curves of a few points.
    rates, scores = rate_P.tolist(), score_P.tolist()
    finite = bool(scores) and all(map(math.isfinite, scores))
    low, high = (min(scores), max(scores)) if finite else (math.nan, math.nan)
    fault = ""
    if not all(map(math.isfinite, rates + scores)):
        fault = f"the {name} curve has values that are not finite"
    elif rates and min(rates) <= 0:
        fault = f"the {name} curve has rates of 0 or less"
    return _Curve(name, rate_P, score_P, low, high, fault)


def _hull(curve: _Curve, averaged: Averaged, least: float) -> _Curve:
    if curve.fault or not curve.rate_P.size:
        return curve
    kept = hull.hull_points(curve.rate_P, curve.score_P, averaged)
    part = hull.from_score(curve.rate_P[kept], curve.score_P[kept], least, averaged)
    return _curve(curve.name, *part)


def _compare(
    anchor: _Curve, test: _Curve, fewest: int, mean_gap: Callable[[_Pair, _Pair], float]
) -> BDRate:
    """Return the rate that a mean gap of ln(rate) over the shared scores is."""
    overlap = _overlap(anchor, test)
    why = anchor.fault or test.fault
    if why:
        return BDRate(None, overlap, why)
    # Equal curves differ by nothing, whatever a fit through them would look like: the control.
    if anchor.rate_P.size and _equal(anchor, test):
        return BDRate(0.0, 1.0)
    why = _disorder(anchor, fewest) or _disorder(test, fewest)
    if not why and not overlap:
        ranges = [f"{x.name} {x.low:.4g} to {x.high:.4g}" for x in (anchor, test)]
        why = f"the score ranges do not overlap: {', '.join(ranges)}"
    if why:
        return BDRate(None, overlap, why)
    try:
        logs = np.log(anchor.rate_P), np.log(test.rate_P)
        gap = mean_gap((anchor.score_P, test.score_P), logs)
    except _NoFit as problem:
        return BDRate(None, overlap, str(problem))
    return BDRate(100 * math.expm1(gap), overlap)


def _fitted_gap(scores: _Pair, logs: _Pair) -> float:
    """Return the mean gap of two cubic fits over the shared scores; raise _NoFit if there is none.

    A fit is of ln(rate) as a function of the score.
    """
    # Origin and unit of the score do not change the gap, but they do condition the fit.
    origin, unit = scores[0].min(), np.ptp(scores[0])
    units = [(score_P - origin) / unit for score_P in scores]
    low, high = max(x.min() for x in units), min(x.max() for x in units)
    powers = np.arange(1, 5)
    integrals = []
    for score_P, log_P in zip(units, logs, strict=True):
        powers_P4 = np.vander(score_P, 4, increasing=True)
        coefficients, _, rank, _ = np.linalg.lstsq(powers_P4, log_P, rcond=None)
        if rank < 4:
            raise _NoFit("the scores lie too close together for a cubic fit")
        integrals.append(float(coefficients @ ((high**powers - low**powers) / powers)))
    gap = (integrals[1] - integrals[0]) / (high - low)
    # Over the shared range both curves lie between the points: a larger gap is the fit's own.
    if not abs(gap) <= np.ptp(np.concatenate(logs)):
        raise _NoFit("the cubic fit leaves the range of the points it goes through")
    return gap


def _overlap(anchor: _Curve, test: _Curve) -> float:
    """Return the shared part of two ranges of scores over their union."""
    if math.isnan(anchor.low) or math.isnan(test.low):
        return 0.0
    shared = min(anchor.high, test.high) - max(anchor.low, test.low)
    union = max(anchor.high, test.high) - min(anchor.low, test.low)
    # The average over a sliver of a range would be made of rounding errors.
    return shared / union if shared > 1e-9 * union else 0.0


def _equal(anchor: _Curve, test: _Curve) -> bool:
    return np.array_equal(anchor.rate_P, test.rate_P) and np.array_equal(
        anchor.score_P, test.score_P
    )


def _disorder(curve: _Curve, fewest: int) -> str:
    """Return why the points make no curve to interpolate; empty if they do."""
    points = len(curve.rate_P)
    if points < fewest:
        count = "1 point" if points == 1 else f"{points} points"
        return f"the {curve.name} curve has {count}, fewer than {fewest}"
    lost = [
        f"score {curve.score_P[i]:.4g} at rate {curve.rate_P[i]:.4g}"
        for i in dominated_points(curve.rate_P, curve.score_P)
    ]
    if not lost:
        return ""
    return (
        f"the {curve.name} curve is not monotone: {', '.join(lost)} is no more than a point of the "
        "same or a lower rate scores"
    )
