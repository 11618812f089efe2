"""BD-rate: the average change of rate at equal score, and how far it can be trusted.

Method: Bjontegaard, VCEG-M33, 2001, with a cubic fit of the logarithm of the rate as a function of
the score, as in Alvar and Bajic, ICIP 2019; fits and integrals are the `bjontegaard` package's.
A curve is a set of points (rate > 0 in any unit, score where more is better) in any order.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import bjontegaard
import numpy as np
from numpy.typing import ArrayLike

METHODS = ("cubic", "pchip", "akima")
FEWEST_POINTS = 4
QUOTABLE_OVERLAP = 0.5
QUOTABLE_SPREAD = 0.25  # of the figure, by which other methods of interpolation may differ


@dataclass(frozen=True)
class BDRate:
    """Average change of rate at equal score, test against anchor."""

    percent: float | None
    """Per cent; negative where the test saves bits. None where there is no such figure."""
    overlap: float
    """Shared part of the two score ranges over their union, 0 to 1; 0 if not all are finite."""
    method: str
    reason: str | None
    """Why there is no figure, in words."""


@dataclass(frozen=True)
class BDScore:
    """Average change of score at equal rate (logarithmic rate axis), test against anchor."""

    difference: float | None
    """In the unit of the score; positive where the test is better. None: no such figure."""
    overlap: float
    """Shared part of the two ranges of log rate over their union, 0 to 1."""
    method: str
    reason: str | None


def bd_rate(
    anchor_rate: ArrayLike,
    anchor_score: ArrayLike,
    test_rate: ArrayLike,
    test_score: ArrayLike,
    method: str = "cubic",
) -> BDRate:
    """BD-rate of the test curve against the anchor; all are of shape (P,), P may differ by arm.

    There is no figure, and a reason instead, unless each curve has four points or more, all finite,
    its score rises with its rate, and the score ranges overlap. Equal curves give exactly 0.
    Raises ValueError for an unknown method or a curve whose rates and scores do not pair up.
    """
    anchor = _curve("anchor", anchor_rate, anchor_score)
    test = _curve("test", test_rate, test_score)
    gap, overlap, reason = _average_gap(anchor, test, "score", method)
    return BDRate(None if gap is None else 100 * math.expm1(gap), overlap, method, reason)


def bd_score(
    anchor_rate: ArrayLike,
    anchor_score: ArrayLike,
    test_rate: ArrayLike,
    test_score: ArrayLike,
    method: str = "cubic",
) -> BDScore:
    """Average score difference over the rates both curves reach; arguments, errors as `bd_rate`."""
    anchor = _curve("anchor", anchor_rate, anchor_score)
    test = _curve("test", test_rate, test_score)
    difference, overlap, reason = _average_gap(anchor, test, "rate", method)
    return BDScore(difference, overlap, method, reason)


def monotone_envelope(rate: ArrayLike, score: ArrayLike) -> np.ndarray:
    """Indices, by rising rate, of the points that no other point beats (Pareto-optimal ones).

    A point is beaten by one that costs no more and scores no less; of equal points the first stays.
    """
    rate_P, score_P = np.asarray(rate, float), np.asarray(score, float)
    order = np.lexsort((-score_P, rate_P))
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(score_P[order])[:-1]])
    return order[score_P[order] > best_before]


def envelope_bd_rate(
    anchor_rate: ArrayLike,
    anchor_score: ArrayLike,
    test_rate: ArrayLike,
    test_score: ArrayLike,
    method: str = "cubic",
) -> BDRate:
    """BD-rate between the monotone envelopes: another figure than `bd_rate`, to be named as such.

    It compares what a user would pick of each arm, who never pays more for a worse score; since
    points are left out after looking at the scores, it flatters a noisy curve.
    """
    arms = []
    for arm, rate, score in (
        ("anchor", anchor_rate, anchor_score),
        ("test", test_rate, test_score),
    ):
        curve = _curve(arm, rate, score)
        finite = np.isfinite(curve.rate_P) & np.isfinite(curve.score_P)
        kept = monotone_envelope(*curve[1:]) if finite.all() else slice(None)
        arms += [curve.rate_P[kept], curve.score_P[kept]]
    return bd_rate(arms[0], arms[1], arms[2], arms[3], method)


@dataclass(frozen=True)
class Interval:
    """Bootstrap percentile interval of a BD-rate, in per cent (see `bootstrap`)."""

    percent: float | None
    """The figure itself: all images once, mean over seeds."""
    low: float | None
    high: float | None
    level: float
    """0.95 for a 95 % interval."""
    resamples: int
    failed: int
    """How many of the resamples had no BD-rate."""
    reason: str | None
    """Why there is no interval."""

    @property
    def no_difference_shown(self) -> bool:
        """The interval holds 0."""
        return self.low is not None and self.high is not None and self.low <= 0 <= self.high


@dataclass(frozen=True)
class Diagnostics:
    """How far one BD-rate can be trusted; percents are None where not computable."""

    bd_rate: BDRate
    """The figure in question, by cubic fit."""
    bd_score: BDScore
    envelope: BDRate
    """Between the monotone envelopes."""
    percent_by_method: dict[str, float | None]
    percent_without: dict[str, float | None]
    """Point name -> percent when that point is left out of both curves. With five points, four
    are left, which a cubic goes through exactly: a wide range may be the fit's own."""
    out_of_order: dict[str, tuple[str, ...]]
    """ "anchor", "test" -> names of the points that another point of the curve beats."""
    verdict: str | None
    """Why the figure should not be quoted; None if nothing speaks against it."""

    @property
    def monotone(self) -> bool:
        return not any(self.out_of_order.values())

    @property
    def leave_one_out(self) -> tuple[float, float] | None:
        """Lowest and highest percent with one point left out; None if none is computable."""
        known = [percent for percent in self.percent_without.values() if percent is not None]
        return (min(known), max(known)) if known else None


def diagnose(
    anchor_rate: ArrayLike,
    anchor_score: ArrayLike,
    test_rate: ArrayLike,
    test_score: ArrayLike,
    *,
    points: Sequence[str],
    interval: Interval | None = None,
) -> Diagnostics:
    """What stands behind a BD-rate. `points` names the P points, which pair up between the arms.

    Raises ValueError if the curves and names differ in length.
    """
    curves = _curve("anchor", anchor_rate, anchor_score), _curve("test", test_rate, test_score)
    sizes = [len(curve.rate_P) for curve in curves]
    if set(sizes) != {len(points)}:
        raise ValueError(f"{len(points)} points named, curves have {sizes}: they must be equal")
    four = curves[0].rate_P, curves[0].score_P, curves[1].rate_P, curves[1].score_P
    figure = bd_rate(*four)
    by_method = {method: bd_rate(*four, method).percent for method in METHODS}
    without: dict[str, float | None] = {}
    for i, name in enumerate(points):
        rate_a, score_a, rate_t, score_t = (np.delete(column, i) for column in four)
        without[name] = bd_rate(rate_a, score_a, rate_t, score_t).percent
    return Diagnostics(
        bd_rate=figure,
        bd_score=bd_score(*four),
        envelope=envelope_bd_rate(*four),
        percent_by_method=by_method,
        percent_without=without,
        out_of_order={curve.arm: tuple(points[i] for i in _beaten(curve)) for curve in curves},
        verdict=_verdict(figure, by_method, without, interval),
    )


def objections(
    percent: float,
    overlap: float,
    by_method: Mapping[str, float | None],
    without: Mapping[str, float | None],
    interval: Interval | None,
) -> list[str]:
    """What speaks against quoting a figure, in words; empty if nothing does.

    percent: the figure. overlap: of the curves, 0 to 1. by_method: the figure by other methods of
    interpolation. without: with one point left out of both curves, by point. interval: of the
    figure; None if none was asked for.
    """
    against = []
    if overlap < QUOTABLE_OVERLAP:
        against.append(f"the curves overlap by {100 * overlap:.0f} % only")
    others = [value for value in by_method.values() if value is not None]
    fewer = [value for value in without.values() if value is not None]
    if both_signs([percent, *others]):
        against.append("the methods of interpolation disagree in sign")
    elif any(abs(value - percent) > QUOTABLE_SPREAD * abs(percent) for value in others):
        against.append("the methods of interpolation lie more than a quarter of the effect apart")
    if both_signs([percent, *fewer]):
        against.append("its sign hangs on a single point")
    if interval is None:
        return against
    if interval.low is None or interval.high is None:
        return [*against, f"it has no interval: {interval.reason}"]
    if interval.high - interval.low > abs(percent):
        against.append(
            f"its {100 * interval.level:g} % interval, {interval.low:+.2f} to "
            f"{interval.high:+.2f} %, is wider than the effect"
        )
    return against


def both_signs(values: Sequence[float]) -> bool:
    """Whether some of the values are above 0 and some below; a NaN is neither."""
    return {-1.0, 1.0} <= {float(np.sign(value)) for value in values}


def _verdict(
    figure: BDRate,
    by_method: Mapping[str, float | None],
    without: Mapping[str, float | None],
    interval: Interval | None,
) -> str | None:
    if figure.percent is None:
        return f"not available: {figure.reason}"
    against = objections(figure.percent, figure.overlap, by_method, without, interval)
    return f"do not quote: {'; '.join(against)}" if against else None


class _Curve(NamedTuple):
    arm: str
    rate_P: np.ndarray
    score_P: np.ndarray


def _curve(arm: str, rate: ArrayLike, score: ArrayLike) -> _Curve:
    rate_P, score_P = np.asarray(rate, np.float64), np.asarray(score, np.float64)
    if rate_P.ndim != 1 or rate_P.shape != score_P.shape:
        raise ValueError(
            f"the {arm} curve has rates of shape {rate_P.shape} and scores of shape "
            f"{score_P.shape}: one rate and one score a point are needed"
        )
    return _Curve(arm, rate_P, score_P)


def _average_gap(
    anchor: _Curve, test: _Curve, over: Literal["score", "rate"], method: str
) -> tuple[float | None, float, str | None]:
    """(mean of test minus anchor over the shared range, overlap, reason for there being none).

    Over the score the gap is one of ln(rate); over the rate, taken as ln(rate), one of the score.
    """
    if method not in METHODS:
        raise ValueError(f"unknown BD method {method!r}: choose one of {', '.join(METHODS)}")
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(anchor.rate_P), np.log(test.rate_P)
    scores = anchor.score_P, test.score_P
    bases, values = (scores, logs) if over == "score" else (logs, scores)
    overlap = _overlap(*bases)
    obstacle = _unusable(anchor) or _unusable(test)
    # Equal curves differ by nothing, whatever a fit through them would look like: the control.
    if not obstacle and _equal(anchor, test):
        return 0.0, 1.0, None
    obstacle = obstacle or _disorder(anchor) or _disorder(test)
    obstacle = obstacle or _no_overlap(over, bases, overlap)
    if obstacle:
        return None, overlap, obstacle
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        try:
            gap = _library_gap(bases, values, method)
        except (Warning, ValueError) as problem:
            return None, overlap, f"the {method} fit failed: {problem}"
    # Over the shared range both curves lie between the points, so a larger gap is the fit's own.
    if not abs(gap) <= np.ptp(np.concatenate(values)):
        return None, overlap, f"the {method} fit leaves the range of the points it goes through"
    return gap, overlap, None


def _library_gap(
    bases: tuple[np.ndarray, np.ndarray], values: tuple[np.ndarray, np.ndarray], method: str
) -> float:
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


def _beaten(curve: _Curve) -> list[int]:
    kept = monotone_envelope(curve.rate_P, curve.score_P)
    return sorted(set(range(len(curve.rate_P))) - set(kept.tolist()))


def _equal(anchor: _Curve, test: _Curve) -> bool:
    return np.array_equal(anchor.rate_P, test.rate_P) and np.array_equal(
        anchor.score_P, test.score_P
    )


def _unusable(curve: _Curve) -> str | None:
    """Why the points make no curve at all, or None."""
    rate_P, score_P = curve.rate_P, curve.score_P
    if not (np.isfinite(rate_P).all() and np.isfinite(score_P).all()):
        return f"the {curve.arm} curve has values that are not finite"
    if (rate_P <= 0).any():
        return f"the {curve.arm} curve has rates that are not positive"
    if len(rate_P) < FEWEST_POINTS:
        points = "1 point" if len(rate_P) == 1 else f"{len(rate_P)} points"
        return f"the {curve.arm} curve has {points}, fewer than {FEWEST_POINTS}"
    return None


def _disorder(curve: _Curve) -> str | None:
    """Which points break the rise of the score with the rate, or None."""
    rate_P, score_P = curve.rate_P, curve.score_P
    if beaten := _beaten(curve):
        named = ", ".join(
            f"point {i + 1} (rate {rate_P[i]:.4g}, score {score_P[i]:.4g})" for i in beaten
        )
        return (
            f"the {curve.arm} curve is not monotone: {named} "
            "scores no more than a point of the same or a lower rate"
        )
    return None


def _no_overlap(over: str, bases: tuple[np.ndarray, np.ndarray], overlap: float) -> str | None:
    if overlap > 0:
        return None
    ranges = [f"{base_P.min():.4g} to {base_P.max():.4g}" for base_P in bases]
    unit = "" if over == "score" else " in ln(rate)"
    return f"the {over} ranges do not overlap: anchor {ranges[0]}, test {ranges[1]}{unit}"
