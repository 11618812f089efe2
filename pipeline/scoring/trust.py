"""What stands behind a BD-rate: its interval, and how much it depends on method and points."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from pipeline.scoring.bdrate import METHODS, BDRate, BDScore, bd_rate, bd_score
from pipeline.scoring.hull import beaten_points
from pipeline.scoring.obstacles import Obstacle


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
class Diagnostics:
    """What stands behind one BD-rate; percents are None where not computable."""

    bd_rate: BDRate
    """The number in question."""
    bd_score: BDScore | None
    """None for a number that is not made by interpolation."""
    percent_by_method: dict[str, float | None]
    percent_without: dict[str, float | None]
    """Point name -> percent when that point is left out of both curves. With five points, four
    are left, which a cubic goes through exactly: a wide range may be the fit's own."""
    percent_near_top: float | None
    """Percent over the best scores alone; None if the test does not reach them, or nobody asked."""
    percent_without_lossless: float | None
    """Percent without the points of lossless codecs."""
    beaten: dict[str, tuple[str, ...]]
    """ "anchor", "test" -> names of the points that another point of the curve beats."""


def diagnose(
    anchor_rate: ArrayLike,
    anchor_score: ArrayLike,
    test_rate: ArrayLike,
    test_score: ArrayLike,
    *,
    points: Sequence[str],
    lossless: Collection[str] = (),
    rate: Callable[..., BDRate],
    method: str | None,
    near_top: Callable[..., BDRate] | None = None,
) -> Diagnostics:
    """Return what stands behind a BD-rate of two curves.

    points: names of the P points, which pair up between the curves. lossless: those of them that
    are of a lossless codec; their far higher rate can weigh heavily in a fit. rate: how the number
    is made of four columns. method: by which `rate` interpolates; None if it does not, so that
    there are no other methods to hold it against and no BD-score. near_top: as `rate`, over the
    best scores alone.
    Raises ValueError if curves and names differ in length.
    """
    four = [np.asarray(x, np.float64) for x in (anchor_rate, anchor_score, test_rate, test_score)]
    sizes = [len(column) for column in four[::2]]
    if set(sizes) != {len(points)}:
        raise ValueError(f"{len(points)} points named, curves have {sizes}: they must be equal")
    lossy_P = np.array([name not in lossless for name in points], bool)
    others = METHODS if method else ()
    return Diagnostics(
        bd_rate=rate(*four),
        bd_score=bd_score(four[0], four[1], four[2], four[3], method) if method else None,
        percent_by_method={x: partial(bd_rate, method=x)(*four).percent for x in others},
        percent_without={
            name: rate(*(np.delete(column, i) for column in four)).percent
            for i, name in enumerate(points)
        },
        percent_near_top=near_top(*four).percent if near_top else None,
        percent_without_lossless=rate(*(column[lossy_P] for column in four)).percent,
        beaten={
            "anchor": tuple(points[i] for i in beaten_points(*four[:2])),
            "test": tuple(points[i] for i in beaten_points(*four[2:])),
        },
    )
