"""What speaks against quoting a BD-rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.scoring.trust import Interval, NoRate, ResamplesWithout

QUOTABLE_OVERLAP = 0.5
"""Of the curves, from which on a BD-rate may be quoted."""
QUOTABLE_SPREAD = 0.25
"""Share of a BD-rate by which other methods of interpolation may differ from it."""


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
class NotNearTop:
    """The test does not reach the scores near the anchor's best."""


@dataclass(frozen=True)
class SignNearTop:
    """Near the best scores the effect has the other sign."""

    percent: float
    """The effect there."""


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
class NotCodedAlike:
    """The models, of whichever arm and seed, were coded by different versions of a codec."""

    differences: tuple[str, ...]
    """What differs, each as `png zlib 1.3 / zlib-ng 2.3`, in the order of the models."""


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
    | NotCodedAlike
    | NothingLearned
    | InsideNoise
    | LittleOverlap
    | SignByMethod
    | FarByMethod
    | SignByPoint
    | NotNearTop
    | SignNearTop
    | WithoutInterval
    | WideInterval
)
"""What speaks against quoting a BD-rate."""


def objections(
    percent: float,
    overlap: float,
    by_method: Mapping[str, float | None],
    without: Mapping[str, float | None],
    interval: Interval | None,
    *,
    seeds: int,
    noise: float | None = None,
    near_top: float | None = None,
) -> tuple[Objection, ...]:
    """Return what speaks against quoting a BD-rate; empty if nothing does.

    percent: the number. overlap: of the curves, 0 to 1. by_method: the number by other methods of
    interpolation. without: with one point left out of both curves, by point. interval: None if
    none was asked for. seeds: how many trainings the number is a mean of. noise: how far two
    benchmarks of different seeds lie apart, in per cent without a sign; None if that is not known.
    near_top: the number over the best scores alone, NaN if the test does not reach them; None if
    there is none by its kind.
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
    if near_top is not None and np.isnan(near_top):
        against.append(NotNearTop())
    elif near_top is not None and both_signs([percent, near_top]):
        against.append(SignNearTop(near_top))
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
