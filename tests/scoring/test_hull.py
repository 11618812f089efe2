"""Which points of a curve anyone would pick, and what lies between: against their definitions."""

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.scoring.bdrate import hull_rate
from pipeline.scoring.hull import Averaged, hull_points, pareto_front
from pipeline.scoring.metrics import SCORES

POINTS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=2, max_size=12)
AVERAGED = {name: SCORES[name].averaged for name in ("reconstruction", "disparity")}
BOTH = pytest.mark.parametrize("averaged", AVERAGED.values(), ids=AVERAGED)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=12))
def test_the_envelope_keeps_the_points_that_no_other_beats(points: list[tuple[int, int]]) -> None:
    expected = {
        (rate, score)
        for rate, score in points
        if not any(r <= rate and s >= score and (r, s) != (rate, score) for r, s in points)
    }
    rates, scores = [r for r, _ in points], [s for _, s in points]
    kept = [points[i] for i in pareto_front(rates, scores)]
    assert kept == sorted(expected)


@BOTH
@given(POINTS)
def test_the_hull_keeps_what_no_mix_of_two_others_beats(
    averaged: Averaged, points: list[tuple[int, int]]
) -> None:
    rates, scores = np.array(points, float).T
    value, best = averaged(scores), pareto_front(rates, scores)

    def above_lines(p: int) -> float:
        """Return how far a point lies above the highest line between two others."""
        return min(
            value[p] - np.interp(rates[p], rates[[a, b]], value[[a, b]])
            for a, b in product(best, best)
            if rates[a] < rates[p] < rates[b]
        )

    inside = best[1:-1]
    # What lies on a line is another test's.
    sure = {int(p) for p in inside if abs(above_lines(p)) > 1e-12}
    found = set(hull_points(rates, scores, averaged).tolist())
    assert found & sure == {p for p in sure if above_lines(p) > 0}
    assert found - set(inside) == {int(best[0]), int(best[-1])}


def cheapest(points: list[tuple[int, int]], scores: np.ndarray, averaged: Averaged) -> np.ndarray:
    """Return the least rate at which a mix of two points, or one of them, has each score."""
    rate = np.full(len(scores), np.inf)
    target = averaged(scores)
    for (r, s), (r2, s2) in product(points, points):
        low, high = averaged(np.array([s, s2], float))
        if low < high:
            share = (target - low) / (high - low)
            inside = (share >= 0) & (share <= 1)
            rate[inside] = np.minimum(rate, r + share * (r2 - r))[inside]
    for r, s in points:
        rate[scores <= s] = np.minimum(rate, r)[scores <= s]
    return rate


@BOTH
@given(POINTS, POINTS, st.sampled_from([100.0, 60.0, 10.0]))
def test_a_hull_rate_is_the_mean_over_what_mixes_cost(
    averaged: Averaged,
    anchor: list[tuple[int, int]],
    test: list[tuple[int, int]],
    max_score_drop: float,
) -> None:
    columns = *np.array(anchor, float).T, *np.array(test, float).T
    found = hull_rate(*columns, averaged=averaged, max_score_drop=max_score_drop)
    assume(found.percent is not None)
    hulls = [[x[i] for i in hull_points(*np.array(x, float).T, averaged)] for x in (anchor, test)]
    low, high = max(x[0][1] for x in hulls), min(x[-1][1] for x in hulls)
    low = max(low, (1 - max_score_drop / 100) * hulls[0][-1][1])
    ends = np.linspace(low, high, 4001)
    middles = (ends[1:] + ends[:-1]) / 2
    logs = [np.log(cheapest(x, middles, averaged)) for x in (anchor, test)]
    expected = 100 * np.expm1((logs[1] - logs[0]).mean())
    assert found.percent == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_scores_too_far_below_the_anchors_best_do_not_count() -> None:
    rate, score = np.array([1.0, 2.0, 3.0]), np.array([0.25, 0.45, 0.5])
    # Half the bits for scores from 0.45 on; below, a mix with 0.9 bits for 0.25.
    half = np.array([0.9, 1.0, 1.5])
    whole = hull_rate(rate, score, half, score).percent
    assert whole is not None
    assert whole > -40
    for max_score_drop in (10.0, 5.0):
        found = hull_rate(rate, score, half, score, max_score_drop=max_score_drop)
        assert (found.percent, found.overlap) == (pytest.approx(-50), 1.0)
    # A test that does not get there has no number.
    low = hull_rate(rate, score, [0.5, 1.0], [0.1, 0.4], max_score_drop=10.0)
    assert "do not overlap: anchor 0.45 to 0.5, test 0.1 to 0.4" in low.why


NEEDED = {
    "disparity": ("disparity_squared_error", "disparity_pixels"),
    "reconstruction": ("image_squared_error", "image_values"),
}


@pytest.mark.parametrize("task", NEEDED)
def test_a_score_knows_what_of_it_is_a_mean_over_images(task: str) -> None:
    """Of two codec points, each used for a part of the images, it is a mix."""
    score, generator = SCORES[task], np.random.default_rng(3)
    errors, count = NEEDED[task]
    counts_N = generator.integers(0, 3, 12) * 31 if task == "disparity" else np.full(12, 231)
    points = [{errors: generator.uniform(1, 100, 12), count: counts_N} for _ in range(2)]
    first_N = generator.random(12) < 0.4
    mixes = [
        {errors: np.where(chosen_N, *(x[errors] for x in points)), count: counts_N}
        for chosen_N in (first_N, ~first_N)
    ]

    def averaged(sums: dict[str, np.ndarray]) -> float:
        return float(score.averaged(np.array(score.compute(sums))))

    assert sum(map(averaged, mixes)) == pytest.approx(sum(map(averaged, points)))
