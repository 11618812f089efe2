"""How far a BD-rate can be trusted: its interval, and what speaks against quoting it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.scoring.bdrate import (
    METHODS,
    BDRate,
    BDScore,
    bd_rate,
    bd_score,
    beaten_points,
)
from pipeline.scoring.obstacles import (
    Obstacle,
)

QUOTABLE_OVERLAP = 0.5
"""Of the curves, from which on a BD-rate may be quoted."""
QUOTABLE_SPREAD = 0.25
"""Share of a BD-rate by which other methods of interpolation may differ from it."""


@dataclass(frozen=True)
class NoRate:
    """There is no BD-rate on all images, so it has no interval."""

    obstacle: Obstacle


@dataclass(frozen=True)
class ResamplesWithout:
    """Too many of the resamples have no BD-rate."""

    failed: int
    resamples: int


@dataclass(frozen=True)
class Interval:
    """Interval of a BD-rate, in per cent (see `bootstrap`)."""

    percent: float | None
    """The BD-rate itself: all images once, mean over seeds."""
    low: float | None
    high: float | None
    level: float
    """0.95 for a 95 % interval."""
    resamples: int
    failed: int
    """How many of the resamples had no BD-rate."""
    obstacle: NoRate | ResamplesWithout | None
    """Why there is no interval."""

    def wider_than(self, percent: float) -> bool:
        """Return whether there is an interval and it is wider than an effect."""
        if self.low is None or self.high is None:
            return False
        return self.high - self.low > abs(percent)

    @property
    def no_difference_shown(self) -> bool:
        """The interval holds 0."""
        return self.low is not None and self.high is not None and self.low <= 0 <= self.high


@dataclass(frozen=True)
class LittleOverlap:
    """The curves share little of their range of scores."""

    overlap: float


@dataclass(frozen=True)
class SignByMethod:
    """Some methods of interpolation find bits saved, others bits lost."""


@dataclass(frozen=True)
class FarByMethod:
    """Methods of interpolation lie more than `QUOTABLE_SPREAD` of the effect apart."""


@dataclass(frozen=True)
class SignByPoint:
    """With one point left out the effect has the other sign."""


@dataclass(frozen=True)
class WithoutInterval:
    """There is no interval to judge it by."""

    obstacle: NoRate | ResamplesWithout


@dataclass(frozen=True)
class WideInterval:
    """The interval is wider than the effect."""

    interval: Interval


@dataclass(frozen=True)
class OneSeed:
    """It is of one seed, so that nothing is known of the noise of training."""


@dataclass(frozen=True)
class NotAlike:
    """The arms were not trained alike."""

    differences: tuple[str, ...]
    """What differs, each as `precision float32 / bfloat16`: benchmark, then proposed."""


@dataclass(frozen=True)
class NothingLearned:
    """The benchmark scores hardly more than a prediction that knows the training set alone."""

    score: float
    trivial: float
    """What such a prediction scores."""


@dataclass(frozen=True)
class InsideNoise:
    """Two benchmarks that differ in their seed alone differ by as much."""

    percent: float
    """The largest difference of two benchmarks, without its sign."""


Objection = (
    OneSeed
    | NotAlike
    | NothingLearned
    | InsideNoise
    | LittleOverlap
    | SignByMethod
    | FarByMethod
    | SignByPoint
    | WithoutInterval
    | WideInterval
)
"""What speaks against quoting a BD-rate."""


@dataclass(frozen=True)
class Diagnostics:
    """What stands behind one BD-rate; percents are None where not computable."""

    bd_rate: BDRate
    """The number in question."""
    bd_score: BDScore
    percent_by_method: dict[str, float | None]
    percent_without: dict[str, float | None]
    """Point name -> percent when that point is left out of both curves. With five points, four
    are left, which a cubic goes through exactly: a wide range may be the fit's own."""
    percent_without_lossless: float | None
    """Percent without the points of lossless codecs."""
    beaten: dict[str, tuple[str, ...]]
    """ "anchor", "test" -> names of the points that another point of the curve beats."""

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
    lossless: Collection[str] = (),
    rate: Callable[..., BDRate] = bd_rate,
    method: str = "cubic",
    methods: Sequence[str] = METHODS,
) -> Diagnostics:
    """Return what stands behind a BD-rate of two curves.

    points: names of the P points, which pair up between the curves. lossless: those of them that
    are of a lossless codec; their far higher rate can weigh heavily in a fit. rate: how the number
    is made, `bd_rate` or `envelope_bd_rate`. method: of interpolation. methods: those that it is
    held against. Raises ValueError if curves and names differ in length.
    """
    four = [np.asarray(x, np.float64) for x in (anchor_rate, anchor_score, test_rate, test_score)]
    sizes = [len(column) for column in four[::2]]
    if set(sizes) != {len(points)}:
        raise ValueError(f"{len(points)} points named, curves have {sizes}: they must be equal")
    lossy_P = np.array([name not in lossless for name in points], bool)
    return Diagnostics(
        bd_rate=rate(*four, method),
        bd_score=bd_score(four[0], four[1], four[2], four[3], method),
        percent_by_method={other: rate(*four, other).percent for other in methods},
        percent_without={
            name: rate(*(np.delete(column, i) for column in four), method).percent
            for i, name in enumerate(points)
        },
        percent_without_lossless=rate(*(column[lossy_P] for column in four), method).percent,
        beaten={
            "anchor": tuple(points[i] for i in beaten_points(*four[:2])),
            "test": tuple(points[i] for i in beaten_points(*four[2:])),
        },
    )


def objections(
    percent: float,
    overlap: float,
    by_method: Mapping[str, float | None],
    without: Mapping[str, float | None],
    interval: Interval | None,
    *,
    seeds: int,
    noise: float | None = None,
) -> tuple[Objection, ...]:
    """Return what speaks against quoting a BD-rate; empty if nothing does.

    percent: the number. overlap: of the curves, 0 to 1. by_method: the number by other methods of
    interpolation. without: with one point left out of both curves, by point. interval: None if
    none was asked for. seeds: how many trainings the number is a mean of. noise: how far two
    benchmarks of different seeds lie apart, in per cent without a sign; None if that is not known.
    """
    against: list[Objection] = [OneSeed()] if seeds == 1 else []
    if noise is not None and size_of(percent) <= noise:
        against.append(InsideNoise(noise))
    if overlap < QUOTABLE_OVERLAP:
        against.append(LittleOverlap(overlap))
    others = [value for value in by_method.values() if value is not None]
    fewer = [value for value in without.values() if value is not None]
    if both_signs([percent, *others]):
        against.append(SignByMethod())
    elif any(abs(value - percent) > QUOTABLE_SPREAD * abs(percent) for value in others):
        against.append(FarByMethod())
    if both_signs([percent, *fewer]):
        against.append(SignByPoint())
    if interval is not None and interval.obstacle is not None:
        against.append(WithoutInterval(interval.obstacle))
    elif interval is not None and interval.wider_than(percent):
        against.append(WideInterval(interval))
    return tuple(against)


def size_of(percent: float) -> float:
    """Return a change of bits without its direction: -50 % and +100 % are both 100 %."""
    return float(100 * np.expm1(abs(np.log1p(percent / 100))))


def both_signs(values: Sequence[float]) -> bool:
    """Return whether some of the values are above 0 and some below; a NaN is neither."""
    return {-1.0, 1.0} <= {float(np.sign(value)) for value in values}
