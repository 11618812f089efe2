"""What stands behind a BD-rate, and what speaks against quoting it."""

import math
from functools import partial

import numpy as np
import pytest
from pipeline.scoring.objections import (
    FarByMethod,
    InsideNoise,
    LittleOverlap,
    NotNearTop,
    Objection,
    OneSeed,
    SignByMethod,
    SignByPoint,
    SignNearTop,
    WideInterval,
    WithoutInterval,
    both_signs,
    objections,
    size_of,
)
from pipeline.scoring.obstacles import (
    NotMonotone,
    TooFewPoints,
)
from pipeline.scoring.trust import Diagnostics, Interval, NoRate, ResamplesWithout, diagnose

from pipeline.scoring.bdrate import (
    METHODS,
    bd_rate,
    hull_rate,
)
from tests.support.published import CODECS, published

RATE = np.array([6.0, 4.0, 2.5, 1.5, 1.0])
SCORE = np.array([0.56, 0.55, 0.53, 0.50, 0.46])
by_cubic = partial(diagnose, rate=bd_rate, method="cubic")
FIRM = Interval(-20.0, -21.0, -19.0, 0.95, 1000, 0, None)


def against(found: Diagnostics, interval: Interval | None = None) -> tuple[Objection, ...]:
    assert found.bd_rate.percent is not None
    return objections(
        found.bd_rate.percent,
        found.bd_rate.overlap,
        found.percent_by_method,
        found.percent_without,
        interval,
        seeds=3,
    )


def test_one_seed_supports_no_claim() -> None:
    assert objections(-20.0, 0.9, {}, {}, FIRM, seeds=1) == (OneSeed(),)


@pytest.mark.parametrize(("score", "percent"), [("miou", -19.30), ("psnr", -4.49)])
def test_the_paper_without_png(score: str, percent: float) -> None:
    found = by_cubic(*published("encoder2", score), points=CODECS)
    assert found.percent_without["png"] == pytest.approx(percent, abs=0.005)
    assert found.beaten == {"anchor": (), "test": ()}
    assert found.percent_by_method["cubic"] == found.bd_rate.percent
    assert against(found) == ()


def test_nothing_against_a_clean_saving() -> None:
    found = by_cubic(RATE, SCORE, 0.8 * RATE, SCORE, points=CODECS)
    assert against(found, FIRM) == ()
    assert found.percent_without == dict.fromkeys(CODECS, pytest.approx(-20))
    assert found.bd_score.difference is not None
    assert found.bd_score.difference > 0


@pytest.mark.parametrize("rate", [bd_rate, hull_rate])
def test_one_diagnosis_serves_both_rates(rate) -> None:
    score = [0.545, *SCORE[1:]]
    method = "cubic" if rate is bd_rate else None
    found = diagnose(RATE, score, 0.8 * RATE, SCORE, points=CODECS, rate=rate, method=method)
    assert found.beaten == {"anchor": ("png",), "test": ()}
    assert found.bd_rate == rate(RATE, score, 0.8 * RATE, SCORE)
    left = rate(RATE[:-1], score[:-1], 0.8 * RATE[:-1], SCORE[:-1]).percent
    assert found.percent_without["jpeg-80"] == left
    assert isinstance(found.bd_rate.obstacle, NotMonotone) == (rate is bd_rate)
    # A hull is not interpolated.
    assert set(found.percent_by_method) == (set(METHODS) if rate is bd_rate else set())
    assert (found.bd_score is None) == (rate is hull_rate)


def test_little_overlap() -> None:
    found = by_cubic(RATE, SCORE, 0.8 * RATE, SCORE + 0.06, points=CODECS)
    assert against(found) == (LittleOverlap(pytest.approx(0.25)),)


def test_methods_that_disagree_in_sign() -> None:
    rate = RATE * np.array([1.2, 0.95, 1.04, 0.95, 1.05])
    found = by_cubic(RATE, SCORE, rate, SCORE, points=CODECS)
    percents = [percent for percent in found.percent_by_method.values() if percent is not None]
    assert min(percents) < 0 < max(percents)
    assert SignByMethod() in against(found)


WIDE = Interval(-20.0, -40.0, -19.0, 0.95, 1000, 0, None)
NONE = Interval(-20.0, None, None, 0.95, 1000, 70, ResamplesWithout(70, 1000))


@pytest.mark.parametrize(
    ("interval", "objection"),
    [(WIDE, WideInterval(WIDE)), (NONE, WithoutInterval(ResamplesWithout(70, 1000)))],
)
def test_an_interval_that_speaks_against(interval: Interval, objection: Objection) -> None:
    found = by_cubic(RATE, SCORE, 0.8 * RATE, SCORE, points=CODECS)
    assert against(found, interval) == (objection,)


@pytest.mark.parametrize(
    ("by_method", "without", "expected"),
    [
        ({"pchip": -14.9}, {}, (FarByMethod(),)),
        ({"pchip": 1.0}, {}, (SignByMethod(),)),
        ({"pchip": -20.5}, {"png": 2.0}, (SignByPoint(),)),
        ({"pchip": -15.1, "akima": None}, {"png": -3.0}, ()),
    ],
)
def test_what_other_ways_of_counting_say(
    by_method: dict, without: dict, expected: tuple[Objection, ...]
) -> None:
    assert objections(-20.0, 0.9, by_method, without, FIRM, seeds=3) == expected


@pytest.mark.parametrize(
    ("near_top", "expected"),
    [(-3.0, ()), (None, ()), (2.0, (SignNearTop(2.0),)), (math.nan, (NotNearTop(),))],
)
def test_what_the_best_scores_say(near_top: float | None, expected: tuple[Objection, ...]) -> None:
    assert objections(-20.0, 0.9, {}, {}, FIRM, seeds=3, near_top=near_top) == expected


def test_four_points_cannot_lose_one() -> None:
    found = by_cubic(RATE[1:], SCORE[1:], 0.8 * RATE[1:], SCORE[1:], points=CODECS[1:])
    assert found.bd_rate.percent == pytest.approx(-20)
    assert set(found.percent_without.values()) == {None}


def test_the_lossless_points_are_left_out() -> None:
    rate = RATE * [0.5, 0.8, 0.8, 0.8, 0.8]
    found = by_cubic(RATE, SCORE, rate, SCORE, points=CODECS, lossless=CODECS[:1])
    assert found.percent_without_lossless == pytest.approx(-20)
    assert found.bd_rate.percent != pytest.approx(-20, abs=0.5)


def test_names_must_fit() -> None:
    with pytest.raises(ValueError, match="4 points named"):
        by_cubic(RATE, SCORE, RATE, SCORE, points=CODECS[1:])


@pytest.mark.parametrize(
    ("low", "high", "holds"),
    [(-3.0, -1.0, False), (-3.0, 1.0, True), (0.0, 0.0, True), (None, None, False)],
)
def test_no_difference_shown(low: float | None, high: float | None, holds: bool) -> None:
    obstacle = None if low is not None else NoRate(TooFewPoints("test", 3))
    assert Interval(-2.0, low, high, 0.95, 1000, 0, obstacle).no_difference_shown is holds


@pytest.mark.parametrize(("percent", "size"), [(-50, 100), (100, 100), (-20, 25), (25, 25), (0, 0)])
def test_a_change_and_its_inverse_are_of_one_size(percent: float, size: float) -> None:
    assert size_of(percent) == pytest.approx(size)


def test_an_effect_that_training_alone_makes_supports_no_claim() -> None:
    def against_noise(noise: float | None) -> tuple[Objection, ...]:
        return objections(-20.0, 0.9, {}, {}, FIRM, seeds=3, noise=noise)

    as_large = size_of(-20.0)
    assert against_noise(as_large) == (InsideNoise(as_large),)
    assert against_noise(24.9) == against_noise(None) == ()
    assert against_noise(25.1) == (InsideNoise(25.1),)


@pytest.mark.parametrize(
    ("low", "high", "wider"),
    [(-3.0, -0.9, True), (-3.0, -1.0, False), (-2.0, -1.0, False), (None, None, False)],
)
def test_an_interval_is_wider_than_an_effect(
    low: float | None, high: float | None, wider: bool
) -> None:
    assert Interval(-2.0, low, high, 0.95, 1000, 0, None).wider_than(-2.0) is wider


@pytest.mark.parametrize(
    ("values", "both"),
    [([-1.0, 2.0], True), ([1.0, 2.0], False), ([-1.0, -2.0], False), ([0.0, math.nan], False)],
)
def test_some_above_zero_and_some_below(values: list[float], both: bool) -> None:
    assert both_signs(values) is both
