"""What speaks against quoting a BD-rate, rule by rule."""

import math
from typing import Any

import pytest

from pipeline.scoring.bootstrap import Interval
from pipeline.scoring.verdict import (
    DO_NOT_QUOTE,
    NO_DIFFERENCE,
    NOT_AVAILABLE,
    QUOTABLE,
    Evidence,
    judge,
    size_of,
)

FIRM: dict[str, Any] = {
    **{"percent": -20.0, "why": "", "overlap": 0.9, "left_out": [-19.0]},
    **{"interval": Interval(-21.0, -19.0), "seeds": 3, "noise": 2.0, "near_best": -18.0},
    "incomparable": [],
}
"""A saving that nothing speaks against."""


def test_nothing_against_a_clean_saving() -> None:
    assert judge(Evidence(**FIRM)).code == QUOTABLE
    clean = {**FIRM, "noise": math.nan, "near_best": None, "left_out": []}
    assert judge(Evidence(**clean)).code == QUOTABLE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seeds": 1}, "one seed says nothing"),
        ({"noise": size_of(-20.0)}, "up to 25.0 %"),
        ({"overlap": 0.49}, "share only 49 %"),
        ({"left_out": [-20.0, 2.0]}, "one point is left out"),
        ({"near_best": 2.0}, "other sign, +2.0 %"),
        ({"near_best": math.nan}, "does not reach"),
        ({"interval": Interval(-40.0, -19.0)}, "-40.00 to -19.00 %, is wider"),
        (
            {"interval": Interval(math.nan, math.nan, "70 of 1000 resamples have no number")},
            "70 of",
        ),
        ({"incomparable": ["the arms were not trained alike: device cpu / cuda"]}, "cpu / cuda"),
    ],
)
def test_each_rule(change: dict[str, Any], said: str) -> None:
    found = judge(Evidence(**{**FIRM, **change}))
    assert found.code == DO_NOT_QUOTE
    assert said in found.sentence.replace("One", "one")
    assert found.sentence.endswith(".")
    # Only one thing speaks against it.
    assert ";" not in found.sentence


@pytest.mark.parametrize(
    "change",
    [
        {"noise": 24.9},
        {"overlap": 0.5},
        {"left_out": [-3.0]},
        {"interval": Interval(-30.0, -10.0)},
    ],
)
def test_what_is_just_good_enough(change: dict[str, Any]) -> None:
    assert judge(Evidence(**{**FIRM, **change})).code == QUOTABLE


def test_an_interval_that_holds_zero_shows_no_difference_whatever_else_there_is() -> None:
    change = {"interval": Interval(-41.0, 1.0), "noise": 50.0, "near_best": 3.0}
    assert judge(Evidence(**{**FIRM, **change})).code == NO_DIFFERENCE
    # Models that cannot be compared do not even show that there is no difference.
    apart = judge(Evidence(**{**FIRM, **change, "incomparable": ["png zlib 1.2 / zlib 1.3"]}))
    assert apart.code == DO_NOT_QUOTE
    assert "zlib 1.2" in apart.sentence


def test_no_number_is_not_available_and_says_why() -> None:
    why = "the proposed curve has 3 points, fewer than 4"
    found = judge(Evidence(**{**FIRM, "percent": math.nan, "why": why, "seeds": 1}))
    assert found == (NOT_AVAILABLE, "The proposed curve has 3 points, fewer than 4.")


@pytest.mark.parametrize(("percent", "size"), [(-50, 100), (100, 100), (-20, 25), (25, 25), (0, 0)])
def test_a_change_and_its_inverse_are_of_one_size(percent: float, size: float) -> None:
    assert size_of(percent) == pytest.approx(size)
