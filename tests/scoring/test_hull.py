"""Which points of a curve anyone would pick, against their definitions."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scoring.bdrate import hull_rate
from pipeline.scoring.hull import hull_points, monotone_envelope


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=12))
def test_the_envelope_keeps_the_points_that_no_other_beats(points: list[tuple[int, int]]) -> None:
    expected = {
        (rate, score)
        for rate, score in points
        if not any(r <= rate and s >= score and (r, s) != (rate, score) for r, s in points)
    }
    rates, scores = [r for r, _ in points], [s for _, s in points]
    kept = [points[i] for i in monotone_envelope(rates, scores)]
    assert kept == sorted(expected)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=3, max_size=12))
def test_the_hull_keeps_what_lies_above_every_line_between_two_others(
    points: list[tuple[int, int]],
) -> None:
    rates, scores = np.array(points, float).T
    x, best = np.log(rates), monotone_envelope(rates, scores)

    def under_a_line(p: int) -> bool:
        return any(
            scores[p] <= np.interp(x[p], [x[a], x[b]], [scores[a], scores[b]]) + 1e-12
            for a in best
            for b in best
            if x[a] < x[p] < x[b]
        )

    assert hull_points(rates, scores).tolist() == [p for p in best if not under_a_line(p)]


def test_a_point_that_nobody_would_pick_changes_nothing() -> None:
    rate, score = np.array([1.0, 2.0, 4.0, 8.0]), np.array([0.2, 0.4, 0.5, 0.55])
    less = np.array([0.25, 0.35, 0.45, 0.5])
    expected = hull_rate(rate, score, rate, less, "pchip").percent
    # No other point beats it, but the line between its neighbours does.
    more_rate, more_score = np.array([*rate, 3.0]), np.array([*score, 0.41])
    assert hull_rate(more_rate, more_score, rate, less, "pchip").percent == expected
    assert monotone_envelope(more_rate, more_score).tolist() == [0, 1, 4, 2, 3]
    assert hull_points(more_rate, more_score).tolist() == [0, 1, 2, 3]


def test_a_point_on_the_line_between_two_others_is_not_kept() -> None:
    # ln 4 is exactly twice ln 2.
    assert hull_points([1, 2, 4], [0, 1, 2]).tolist() == [0, 2]
