"""BD-rate against the published table, the bjontegaard package and cases worked out by hand."""

import csv
import dataclasses
import math
import re
import warnings
from pathlib import Path

import bjontegaard
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scoring.bdrate import (
    METHODS,
    Interval,
    bd_rate,
    bd_score,
    diagnose,
    envelope_bd_rate,
    monotone_envelope,
    objections,
)

ELEMENTS = {"encoder1": 65536, "encoder2": 131072}
TABLE_1 = {
    ("encoder1", "miou"): -7.81,
    ("encoder1", "irmse"): -2.12,
    ("encoder1", "psnr"): -4.37,
    ("encoder2", "miou"): -20.68,
    ("encoder2", "irmse"): -5.15,
    ("encoder2", "psnr"): -6.09,
}
CODECS = ("png", "jpeg-95", "jpeg-90", "jpeg-85", "jpeg-80")
RATE = np.array([6.0, 4.0, 2.5, 1.5, 1.0])
SCORE = np.array([0.56, 0.55, 0.53, 0.50, 0.46])


def published(encoder: str, score: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The authors' operating points: anchor rate and score, test rate and score."""
    columns = []
    with (Path(__file__).parents[1] / "data" / "alvar2019_points.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["encoder"] == encoder]
    for arm in ("benchmark", "proposed"):
        of_arm = [row for row in rows if row["arm"] == arm]
        assert tuple(row["codec"] for row in of_arm) == CODECS
        bits = [8 * int(row["total_bytes"]) / int(row["images"]) for row in of_arm]
        columns.append(np.array(bits) / ELEMENTS[encoder])
        scores = {
            "miou": [float(row["mean_iou"]) for row in of_arm],
            "irmse": [1 / float(row["rmse"]) for row in of_arm],
            "psnr": [float(row["psnr_db"]) for row in of_arm],
        }
        columns.append(np.array(scores[score]))
    return columns[0], columns[1], columns[2], columns[3]


class TestPublished:
    @pytest.mark.parametrize(("encoder", "score"), TABLE_1)
    def test_table_1(self, encoder: str, score: str) -> None:
        found = bd_rate(*published(encoder, score))
        assert found.percent == pytest.approx(TABLE_1[encoder, score], abs=0.005)
        assert found.reason is None

    @pytest.mark.parametrize(("score", "percent"), [("miou", 70), ("irmse", 61)])
    def test_overlap(self, score: str, percent: int) -> None:
        assert round(100 * bd_rate(*published("encoder2", score)).overlap) == percent

    def test_pchip(self) -> None:
        found = bd_rate(*published("encoder2", "irmse"), method="pchip")
        assert found.percent == pytest.approx(-5.91, abs=0.005)

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize(("encoder", "score"), TABLE_1)
    def test_library(self, encoder: str, score: str, method: str) -> None:
        curves = published(encoder, score)
        expected = bjontegaard.bd_rate(*curves, method=method, min_overlap=0)
        assert bd_rate(*curves, method=method).percent == pytest.approx(expected, rel=1e-6)
        expected = bjontegaard.bd_psnr(*curves, method=method, min_overlap=0)
        assert bd_score(*curves, method=method).difference == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize(("score", "percent"), [("miou", -19.30), ("psnr", -4.49)])
    def test_without_png(self, score: str, percent: float) -> None:
        found = diagnose(*published("encoder2", score), points=CODECS)
        assert found.percent_without["png"] == pytest.approx(percent, abs=0.005)
        assert found.monotone
        assert found.leave_one_out is not None
        low, high = found.leave_one_out
        assert low <= found.percent_without["png"] <= high
        assert found.percent_by_method["cubic"] == found.bd_rate.percent == found.envelope.percent
        assert found.verdict is None


class TestByHand:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("share", [0.8, 1.25])
    def test_same_scores_at_a_share_of_the_rate(self, method: str, share: float) -> None:
        found = bd_rate(RATE, SCORE, share * RATE, SCORE, method)
        assert found.percent == pytest.approx(100 * (share - 1))
        assert found.overlap == 1.0

    @pytest.mark.parametrize("method", METHODS)
    def test_identical_curves_give_exactly_zero(self, method: str) -> None:
        assert bd_rate(RATE, SCORE, RATE.copy(), SCORE.copy(), method).percent == 0.0
        assert bd_score(RATE, SCORE, RATE.copy(), SCORE.copy(), method).difference == 0.0

    @pytest.mark.parametrize("method", METHODS)
    def test_a_constant_gain_is_the_bd_score(self, method: str) -> None:
        found = bd_score(RATE, SCORE, RATE, SCORE + 0.03, method)
        assert found.difference == pytest.approx(0.03)

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
        ("rate", "score", "words"),
        [
            (RATE[:3], SCORE[:3], "the test curve has 3 points, fewer than 4"),
            (RATE[:0], SCORE[:0], "the test curve has 0 points, fewer than 4"),
            (RATE, SCORE + 1, "the score ranges do not overlap: anchor 0.46 to 0.56, test 1.46"),
            (RATE, [0.9, 0.8, 0.7, 0.6, 0.56], "the score ranges do not overlap"),
            (RATE, [0.5, math.nan, 0.4, 0.3, 0.2], "the test curve has values that are not finite"),
            (RATE, [math.inf, 0.5, 0.4, 0.3, 0.2], "the test curve has values that are not finite"),
            ([6, 4, math.nan, 2, 1], SCORE, "the test curve has values that are not finite"),
            ([6, 4, 2, 1, 0], SCORE, "the test curve has rates that are not positive"),
            (
                RATE,
                [0.54, 0.55, 0.53, 0.5, 0.46],
                r"monotone: point 1 \(rate 6, score 0.54\) scores",
            ),
            (
                RATE,
                [0.55, 0.55, 0.53, 0.5, 0.46],
                r"monotone: point 1 \(rate 6, score 0.55\) scores",
            ),
            ([6, 6, 3, 2, 1], SCORE, r"monotone: point 2 \(rate 6, score 0.55\) scores"),
            (RATE, np.full(5, 0.5), "test curve is not monotone: point 1.*, point 4"),
        ],
    )
    def test_reason(self, rate: object, score: object, words: str) -> None:
        found = bd_rate(RATE, SCORE, rate, score)  # type: ignore[arg-type]
        assert found.percent is None
        assert found.reason is not None
        assert re.search(words, found.reason)

    def test_the_anchor_is_checked_too(self) -> None:
        found = bd_rate(RATE, SCORE[::-1], RATE, SCORE)
        assert found.reason is not None
        assert found.reason.startswith("the anchor curve is not monotone")

    def test_overlap_is_given_all_the_same(self) -> None:
        score = [0.55, 0.56, 0.53, 0.50, 0.46]
        assert bd_rate(RATE, SCORE, RATE, score).overlap == 1.0

    def test_no_shared_rate(self) -> None:
        found = bd_score(RATE, SCORE, 10 * RATE, SCORE)
        assert (found.difference, found.overlap) == (None, 0.0)
        assert found.reason is not None
        assert found.reason.startswith("the rate ranges do not overlap")

    def test_a_fit_that_runs_away(self) -> None:
        rate = np.array([1.0, 2.0, 3.0, 4.0])
        score = np.array([0.0, 1e-5, 0.5, 2.0])
        found = bd_rate(rate, score, rate, np.linspace(0, 2, 4))
        assert found.percent is None
        assert found.reason is not None
        assert "cubic fit leaves the range" in found.reason

    @given(st.lists(st.tuples(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3)), min_size=8, max_size=8))
    def test_always_a_finite_number_or_a_reason_and_never_a_warning(
        self, points: list[tuple[float, float]]
    ) -> None:
        rate, score = np.array(points).T
        rate[:4].sort(), rate[4:].sort(), score[:4].sort(), score[4:].sort()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for method in METHODS:
                found = bd_rate(rate[:4], score[:4], rate[4:], score[4:], method)
                assert (found.percent is None) != (found.reason is None)
                assert found.percent is None or math.isfinite(found.percent)

    def test_unknown_method(self) -> None:
        with pytest.raises(ValueError, match="unknown BD method 'linear': choose one of cubic"):
            bd_rate(RATE, SCORE, RATE, SCORE, "linear")

    def test_rates_and_scores_that_do_not_pair_up(self) -> None:
        with pytest.raises(ValueError, match="one rate and one score a point"):
            bd_rate(RATE, SCORE, RATE, SCORE[:4])


class TestEnvelope:
    @given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=12))
    def test_keeps_the_points_that_no_other_beats(self, points: list[tuple[int, int]]) -> None:
        expected = {
            (rate, score)
            for rate, score in points
            if not any(r <= rate and s >= score and (r, s) != (rate, score) for r, s in points)
        }
        rates, scores = [r for r, _ in points], [s for _, s in points]
        kept = [points[i] for i in monotone_envelope(rates, scores)]
        assert kept == sorted(expected)

    def test_is_a_figure_of_its_own(self) -> None:
        rate = np.array([9.0, *RATE])
        score = np.array([0.54, *SCORE])
        assert bd_rate(rate, score, 0.8 * rate, score).percent is None
        found = envelope_bd_rate(rate, score, 0.8 * rate, score)
        assert found.percent == pytest.approx(-20)

    def test_has_its_reasons_too(self) -> None:
        found = envelope_bd_rate(RATE, SCORE, RATE, [math.nan, *SCORE[1:]])
        assert found.reason == "the test curve has values that are not finite"
        found = envelope_bd_rate(RATE, SCORE, RATE, SCORE[::-1])
        assert found.reason == "the test curve has 1 point, fewer than 4"


class TestDiagnose:
    interval = Interval(-20.0, -21.0, -19.0, 0.95, 1000, 0, None)

    def test_nothing_against_a_clean_saving(self) -> None:
        found = diagnose(RATE, SCORE, 0.8 * RATE, SCORE, points=CODECS, interval=self.interval)
        assert found.verdict is None
        assert found.leave_one_out == (pytest.approx(-20), pytest.approx(-20))
        assert found.bd_score.difference is not None
        assert found.bd_score.difference > 0

    def test_points_out_of_order_are_named(self) -> None:
        score = [0.545, *SCORE[1:]]
        found = diagnose(RATE, score, 0.8 * RATE, SCORE, points=CODECS)
        assert found.out_of_order == {"anchor": ("png",), "test": ()}
        assert not found.monotone
        assert found.envelope.percent is not None
        assert found.verdict is not None
        assert found.verdict.startswith("not available: the anchor curve is not monotone: point 1")

    def test_little_overlap(self) -> None:
        found = diagnose(RATE, SCORE, 0.8 * RATE, SCORE + 0.06, points=CODECS)
        assert found.verdict == "do not quote: the curves overlap by 25 % only"

    def test_methods_that_disagree_in_sign(self) -> None:
        rate = RATE * np.array([1.2, 0.95, 1.04, 0.95, 1.05])
        found = diagnose(RATE, SCORE, rate, SCORE, points=CODECS)
        percents = [percent for percent in found.percent_by_method.values() if percent is not None]
        assert min(percents) < 0 < max(percents)
        assert found.verdict is not None
        assert "the methods of interpolation disagree in sign" in found.verdict

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"low": -40.0, "high": -19.0}, "95 % interval, -40.00 to -19.00 %, is wider than"),
            ({"low": None, "high": None, "reason": "why"}, "do not quote: it has no interval: why"),
        ],
    )
    def test_interval(self, changes: dict[str, object], words: str) -> None:
        interval = dataclasses.replace(self.interval, **changes)
        found = diagnose(RATE, SCORE, 0.8 * RATE, SCORE, points=CODECS, interval=interval)
        assert found.verdict is not None
        assert words in found.verdict

    @pytest.mark.parametrize(
        ("by_method", "without", "words"),
        [
            ({"pchip": -14.9}, {}, "lie more than a quarter of the effect apart"),
            ({"pchip": 1.0}, {}, "the methods of interpolation disagree in sign"),
            ({"pchip": -20.5}, {"png": 2.0}, "its sign hangs on a single point"),
            ({"pchip": -15.1, "akima": None}, {"png": -3.0}, None),
        ],
    )
    def test_what_other_ways_of_counting_say(
        self, by_method: dict, without: dict, words: str | None
    ) -> None:
        against = objections(-20.0, 0.9, by_method, without, self.interval)
        assert any(words in x for x in against) if words else against == []

    def test_four_points_cannot_lose_one(self) -> None:
        found = diagnose(RATE[1:], SCORE[1:], RATE[1:], SCORE[1:], points=CODECS[1:])
        assert found.bd_rate.percent == 0.0
        assert found.leave_one_out is None
        assert set(found.percent_without.values()) == {None}

    def test_names_must_fit(self) -> None:
        with pytest.raises(ValueError, match="4 points named"):
            diagnose(RATE, SCORE, RATE, SCORE, points=CODECS[1:])


@pytest.mark.parametrize(
    ("low", "high", "holds"),
    [(-3.0, -1.0, False), (-3.0, 1.0, True), (0.0, 0.0, True), (None, None, False)],
)
def test_no_difference_shown(low: float | None, high: float | None, holds: bool) -> None:
    assert Interval(-2.0, low, high, 0.95, 1000, 0, None).no_difference_shown is holds
