"""The lowest rate that serves all tasks: worked out by hand on a few points."""

import math

import numpy as np
import pytest

from pipeline.scoring.lowest_rate import LowestRate, lowest_rate, task_drops

RATE = np.array([8.0, 4.0, 2.0, 1.0])
Scores = dict[str, list[float]]


def found(
    rate: np.ndarray, scores: Scores, references: dict[str, float], drop: float
) -> LowestRate:
    """Return the lowest rate of one resample."""
    columns = {task: np.array(score)[:, None] for task, score in scores.items()}
    drops = task_drops(columns, {task: np.array([x]) for task, x in references.items()})
    return lowest_rate(rate[:, None], drops, max_task_drop=drop)


def only(of: LowestRate) -> tuple[float, int]:
    return of.rate_R.item(), of.limiting_R.item()


def test_is_the_rate_of_the_most_demanding_task() -> None:
    scores = {"a": [100, 96, 80, 50.0], "b": [10, 9.9, 9.8, 9.7]}
    # 88 lies half way between 96 and 80, hence half way between ln 4 and ln 2.
    expected = (pytest.approx(math.sqrt(8)), 0)
    assert only(found(RATE, scores, {"a": 100, "b": 10}, 12)) == expected
    turned = {task: score[::-1] for task, score in scores.items()}
    assert only(found(RATE[::-1], turned, {"a": 100, "b": 10}, 12)) == expected


def test_the_worst_task_is_found_at_each_point() -> None:
    columns = {"a": np.array([[101.0], [98], [90]]), "b": np.array([[10.2], [9.6], [9.5]])}
    drops = task_drops(columns, {"a": np.array([100.0]), "b": np.array([10.0])})
    np.testing.assert_allclose(drops[..., 0], [[-1, 2, 10], [-2, 4, 5]], atol=1e-12)


def test_says_what_is_in_the_way() -> None:
    scores = {"a": [99, 90, 80, 50.0], "b": [9.0, 9.5, 9.6, 9.7]}
    of = found(RATE, scores, {"a": 100, "b": 10}, 5)
    # At rates 8 and 4 the worst task loses 10 %. Rate 4 is the cheaper one, and there it is "a".
    assert only(of) == (pytest.approx(math.nan, nan_ok=True), 0)
    scores["b"][0] = 9.2
    assert found(RATE, scores, {"a": 100, "b": 10}, 5).limiting_R.item() == 1


def test_says_when_it_is_a_bound_only() -> None:
    assert only(found(RATE, {"a": [99.0] * 4}, {"a": 100}, 5)) == (1.0, -1)
    assert only(found(RATE[:1], {"a": [99.0]}, {"a": 100}, 5)) == (8.0, -1)


def test_a_score_that_is_its_reference_has_lost_nothing() -> None:
    """Even an infinite one, of predictions that are the truth itself, or none at all."""
    columns = {"a": np.array([[np.inf], [np.inf], [40]]), "b": np.zeros((3, 1))}
    drops = task_drops(columns, {"a": np.array([np.inf]), "b": np.zeros(1)})
    assert drops[..., 0].tolist() == [[0, 0, 100], [0, 0, 0]]


def test_a_score_that_does_not_exist_is_not_good_enough() -> None:
    # No task is in the way: the score of one cannot be known.
    nothing = found(RATE, {"a": [math.nan] * 4}, {"a": math.nan}, 5)
    assert only(nothing) == (pytest.approx(math.nan, nan_ok=True), -1)
    # One resample of two has a score.
    score_PR = np.array([[100, math.nan], [80, math.nan]])
    drops = task_drops({"a": score_PR}, {"a": np.array([100, math.nan])})
    rates = lowest_rate(np.array([[4.0, 4], [1, 1]]), drops, max_task_drop=10).rate_R
    assert rates[0] == pytest.approx(2)
    assert math.isnan(rates[1])


def test_many_resamples_at_once_are_each_of_them_alone() -> None:
    generator = np.random.default_rng(0)
    rate_PR = generator.integers(1, 9, (6, 200)).astype(float)
    score_PR = generator.integers(80, 101, (6, 200)).astype(float)
    drops = task_drops({"a": score_PR}, {"a": np.full(200, 100.0)})
    together = lowest_rate(rate_PR, drops, max_task_drop=7)
    for r in range(200):
        expected = _by_definition(rate_PR[:, r], score_PR[:, r], least=93)
        assert together.rate_R[r] == pytest.approx(expected, nan_ok=True)


def _by_definition(rate_P: np.ndarray, score_P: np.ndarray, least: float) -> float:
    """Return the lowest rate on the line through the points that no other dominates."""
    best = sorted(
        {
            (r, s)
            for r, s in zip(rate_P, score_P, strict=True)
            if not any(a <= r and b >= s and (a, b) != (r, s) for a, b in zip(rate_P, score_P))  # noqa: B905
        }
    )
    rates, scores = np.array(best).T
    if scores[-1] < least:
        return math.nan
    return float(np.exp(np.interp(least, scores, np.log(rates))))
