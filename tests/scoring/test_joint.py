"""The joint rate: worked out by hand on a few points."""

import math

import numpy as np
import pytest
from pipeline.scoring.joint import EveryPoint, Unreached, joint_rate, largest_loss

RATE = np.array([8.0, 4.0, 2.0, 1.0])


def test_is_the_rate_of_the_most_demanding_task() -> None:
    scores = {"a": np.array([100, 96, 80, 50.0]), "b": np.array([10, 9.9, 9.8, 9.7])}
    found = joint_rate(RATE, scores, {"a": 100, "b": 10}, loss_percent=12)
    # 88 lies half way between 96 and 80, hence half way between ln 4 and ln 2.
    assert found.rate == pytest.approx(math.sqrt(8))
    assert (found.limiting, found.remark) == ("a", None)


def test_order_of_the_points_does_not_matter() -> None:
    scores = {"a": np.array([100, 96, 80, 50.0])}
    turned = {"a": scores["a"][::-1]}
    expected = joint_rate(RATE, scores, {"a": 100}, loss_percent=12)
    assert joint_rate(RATE[::-1], turned, {"a": 100}, loss_percent=12) == expected


def test_a_point_that_costs_more_and_loses_more_is_left_out() -> None:
    scores = {"a": np.array([100, 80, 90, 50.0])}
    found = joint_rate(RATE, scores, {"a": 100}, loss_percent=5)
    # Between 90 at rate 2 and 100 at rate 8, half way in the logarithm; 80 at rate 4 is no choice.
    assert found.rate == pytest.approx(4)
    assert found.limiting == "a"


def test_the_worst_task_is_found_at_each_point() -> None:
    scores = {"a": np.array([101.0, 98, 90]), "b": np.array([10.2, 9.6, 9.5])}
    lost_P, worst_P = largest_loss(scores, {"a": 100, "b": 10})
    np.testing.assert_allclose(lost_P, [-1, 4, 10])
    assert worst_P.tolist() == [0, 1, 0]


def test_says_why_there_is_none() -> None:
    scores = {"a": np.array([94, 90, 80, 50.0]), "b": np.array([10.0, 10, 10, 10])}
    found = joint_rate(RATE, scores, {"a": 100, "b": 10}, loss_percent=5)
    assert (found.rate, found.limiting) == (None, "a")
    assert found.remark == Unreached("a", pytest.approx(6), 5)


def test_says_when_it_is_a_bound_only() -> None:
    found = joint_rate(RATE, {"a": np.full(4, 99.0)}, {"a": 100}, loss_percent=5)
    assert (found.rate, found.limiting) == (pytest.approx(1.0), None)
    assert found.remark == EveryPoint()


def test_the_task_that_is_in_the_way_is_that_of_the_best_point() -> None:
    scores = {"a": np.array([99, 90, 80, 50.0]), "b": np.array([9.0, 9.5, 9.6, 9.7])}
    found = joint_rate(RATE, scores, {"a": 100, "b": 10}, loss_percent=5)
    # At rates 8 and 4 the worst task loses 10 %. Rate 4 is the cheaper one, and there it is "a".
    assert (found.rate, found.limiting) == (None, "a")
    scores["b"][0] = 9.2
    found = joint_rate(RATE, scores, {"a": 100, "b": 10}, loss_percent=5)
    assert found.remark == Unreached("b", pytest.approx(8), 5)


def test_a_score_that_is_its_reference_has_lost_nothing() -> None:
    """Even an infinite one, of predictions that are the truth itself, or none at all."""
    scores = {"a": np.array([np.inf, np.inf, 40, 20]), "b": np.array([0.0, 0, 0, 0])}
    lost_P, worst_P = largest_loss(scores, {"a": np.inf, "b": 0.0})
    assert lost_P.tolist() == [0, 0, 100, 100]
    assert worst_P.tolist() == [0, 0, 0, 0]
