"""BD-rate against the published table, the bjontegaard package and cases worked out by hand."""

import math
import warnings

import bjontegaard
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scoring.bdrate import bd_rate, hull_rate
from tests.support.published import TABLE_1, published

RATE = np.array([6.0, 4.0, 2.5, 1.5, 1.0])
SCORE = np.array([0.56, 0.55, 0.53, 0.50, 0.46])


class TestPublished:
    @pytest.mark.parametrize(("encoder", "score"), TABLE_1)
    def test_table_1(self, encoder: str, score: str) -> None:
        found = bd_rate(*published(encoder, score))
        assert found.percent == pytest.approx(TABLE_1[encoder, score], abs=0.005)
        assert not found.why

    @pytest.mark.parametrize(("score", "percent"), [("miou", 70), ("irmse", 61)])
    def test_overlap(self, score: str, percent: int) -> None:
        assert round(100 * bd_rate(*published("encoder2", score)).overlap) == percent

    @pytest.mark.parametrize(("encoder", "score"), TABLE_1)
    def test_library(self, encoder: str, score: str) -> None:
        curves = published(encoder, score)
        expected = bjontegaard.bd_rate(*curves, method="cubic", min_overlap=0)
        assert bd_rate(*curves).percent == pytest.approx(expected, rel=1e-6)


class TestByHand:
    @pytest.mark.parametrize("share", [0.8, 1.25])
    def test_same_scores_at_a_share_of_the_rate(self, share: float) -> None:
        found = bd_rate(RATE, SCORE, share * RATE, SCORE)
        assert found.percent == pytest.approx(100 * (share - 1))
        assert found.overlap == 1.0

    def test_straight_lines(self) -> None:
        # ln(rate) = 2 s against ln(rate) = s - 1; over [1, 3] the mean gap is -(2 + 1) = -3.
        anchor, test = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0])
        found = bd_rate(np.exp(2 * anchor), anchor, np.exp(test - 1), test)
        assert found.percent == pytest.approx(100 * math.expm1(-3))
        assert found.overlap == pytest.approx(2 / 4)

    def test_curves_may_have_different_numbers_of_points(self) -> None:
        score = np.linspace(30, 40, 6)
        rate = np.exp(score / 5)
        assert bd_rate(rate, score, 0.9 * rate[:4], score[:4]).percent == pytest.approx(-10)

    @given(
        order=st.permutations(range(5)),
        unit=st.floats(1e-3, 1e3),
        scale=st.floats(1e-3, 1e3),
        shift=st.floats(-10, 10),
    )
    def test_units_and_order_do_not_matter(
        self, order: list[int], unit: float, scale: float, shift: float
    ) -> None:
        rate_a, score_a, rate_t, score_t = published("encoder2", "irmse")
        other = [
            (unit * rate_a)[order],
            (scale * (100 * score_a + shift))[order],
            unit * rate_t,
            scale * (100 * score_t + shift),
        ]
        assert bd_rate(*other).percent == pytest.approx(-5.15, abs=0.005)


class TestNotAvailable:
    @pytest.mark.parametrize(
        ("rate", "score", "why"),
        [
            (RATE[:3], SCORE[:3], "the test curve has 3 points, fewer than 4"),
            (RATE[:0], SCORE[:0], "the test curve has 0 points, fewer than 4"),
            (RATE, SCORE + 1, "do not overlap: anchor 0.46 to 0.56, test 1.46 to 1.56"),
            (RATE, [0.9, 0.8, 0.7, 0.6, 0.56], "anchor 0.46 to 0.56, test 0.56 to 0.9"),
            (RATE, [0.5, math.nan, 0.4, 0.3, 0.2], "the test curve has values that are not finite"),
            (RATE, [math.inf, 0.5, 0.4, 0.3, 0.2], "the test curve has values that are not finite"),
            ([6, 4, math.nan, 2, 1], SCORE, "the test curve has values that are not finite"),
            ([6, 4, 2, 1, 0], SCORE, "the test curve has rates of 0 or less"),
            (RATE, [0.54, *SCORE[1:]], "the test curve is not monotone: score 0.54 at rate 6 is"),
            (RATE, [0.55, *SCORE[1:]], "the test curve is not monotone: score 0.55 at rate 6 is"),
            ([6, 6, 3, 2, 1], SCORE, "the test curve is not monotone: score 0.55 at rate 6 is"),
        ],
    )
    def test_why(self, rate: object, score: object, why: str) -> None:
        found = bd_rate(RATE, SCORE, rate, score)  # type: ignore[arg-type]
        assert found.percent is None
        assert why in found.why

    def test_the_anchor_is_checked_too_and_has_the_name_it_is_given(self) -> None:
        found = bd_rate(RATE, SCORE[::-1], RATE, SCORE, names=("benchmark", "proposed"))
        assert found.why.startswith("the benchmark curve is not monotone")

    def test_a_fit_that_runs_away(self) -> None:
        rate = np.array([1.0, 2.0, 3.0, 4.0])
        score = np.array([0.0, 1e-5, 0.5, 2.0])
        found = bd_rate(rate, score, rate, np.linspace(0, 2, 4))
        assert found.percent is None
        assert "leaves the range" in found.why

    @given(st.lists(st.tuples(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3)), min_size=8, max_size=8))
    def test_always_a_finite_number_or_a_reason_and_never_a_warning(
        self, points: list[tuple[float, float]]
    ) -> None:
        rate, score = np.array(points).T
        rate[:4].sort(), rate[4:].sort(), score[:4].sort(), score[4:].sort()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = bd_rate(rate[:4], score[:4], rate[4:], score[4:])
        assert (found.percent is None) == bool(found.why)
        assert found.percent is None or math.isfinite(found.percent)

    def test_rates_and_scores_that_do_not_pair_up(self) -> None:
        with pytest.raises(ValueError, match="one rate and one score a point"):
            bd_rate(RATE, SCORE, RATE, SCORE[:4])


class TestHull:
    def test_is_a_number_of_its_own(self) -> None:
        rate = np.array([9.0, *RATE])
        score = np.array([0.54, *SCORE])
        assert bd_rate(rate, score, 0.8 * rate, score).percent is None
        found = hull_rate(rate, score, 0.8 * rate, score)
        assert found.percent == pytest.approx(-20)

    def test_two_points_are_enough(self) -> None:
        assert hull_rate([2, 4], [1, 2], [1.6, 3.2], [1, 2]).percent == pytest.approx(-20)
        alone = hull_rate([2], [1], [1.6, 3.2], [1, 2])
        assert alone.why == "the anchor curve has 1 point, fewer than 2"

    def test_by_hand(self) -> None:
        # Rates 1 + s and 2 over scores from 0 to 1: the mean of ln(1 + s) is 2 ln 2 - 1.
        found = hull_rate([1, 2], [0, 1], [2, 2 * (1 + 1e-12)], [0, 1])
        assert found.percent == pytest.approx(100 * math.expm1(math.log(2) - (2 * math.log(2) - 1)))
        assert found.overlap == 1.0


@pytest.mark.parametrize("compute", [bd_rate, hull_rate])
@pytest.mark.parametrize(
    ("rate", "score"),
    [([2.0], [0.5]), ([1.0, 2.0], [0.3, 0.5]), ([1.0, 2.0, 3.0, 4.0], [0.5, 0.3, 0.4, 0.2])],
)
def test_equal_curves_differ_by_nothing_whatever_they_look_like(compute, rate, score) -> None:
    found = compute(rate, score, rate, score)
    assert (found.percent, found.overlap, found.why) == (0.0, 1.0, "")
