"""One bitstream serves all tasks: the lowest rate at which none of them loses too much.

Everything is computed for R resamples of the images at once.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class LowestRate(NamedTuple):
    """The lowest rate that is good enough for every task, in each of R resamples."""

    rate_R: np.ndarray
    """In the unit of the rates given; NaN if no point is good enough."""
    limiting_R: np.ndarray
    """Index of the task that loses most just below this rate, or at the best point if none is good
    enough; -1 if the lowest rate of all suffices, so that it is an upper bound, and if a score does
    not exist."""


def task_drops(
    score_PR_of: Mapping[str, np.ndarray], reference_R_of: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Return what each task loses at each point, (T, P, R), in per cent of its reference score.

    Below 0 where a task gains. A score that is its reference has lost nothing, even where both are
    infinite. NaN where a score does not exist.
    """
    drops = []
    for task, score_PR in score_PR_of.items():
        reference_R = reference_R_of[task]
        with np.errstate(divide="ignore", invalid="ignore"):
            share_PR = np.where(score_PR == reference_R, 1.0, score_PR / reference_R)
        drops.append(100 * (1 - share_PR))
    return np.stack(drops)


def lowest_rate(rate_PR: np.ndarray, drop_TPR: np.ndarray, *, max_task_drop: float) -> LowestRate:
    """Return the lowest rate at which no task loses more than `max_task_drop` per cent.

    Points that cost more and lose more than another are left out. Between two of the others the
    largest loss is taken as linear in the logarithm of the rate. Points come in any order.
    """
    worst_PR = drop_TPR.argmax(0)
    largest_PR = drop_TPR.max(0)
    largest_PR = np.where(np.isnan(largest_PR), np.inf, largest_PR)
    order_PR = np.lexsort((largest_PR, rate_PR), axis=0)
    rate_PR, largest_PR, worst_PR = (
        np.take_along_axis(x, order_PR, axis=0) for x in (rate_PR, largest_PR, worst_PR)
    )
    best_PR = np.minimum.accumulate(largest_PR, axis=0)
    before_PR = np.concatenate([np.full_like(best_PR[:1], np.inf), best_PR[:-1]])
    # Index of the last point of the Pareto front so far; -1 before the first.
    index_P1 = np.arange(len(rate_PR))[:, None]
    front_PR = np.maximum.accumulate(np.where(largest_PR < before_PR, index_P1, -1), axis=0)
    good_PR = best_PR <= max_task_drop
    above_R = np.where(good_PR.any(0), good_PR.argmax(0), len(rate_PR) - 1)
    below_R = np.where(above_R > 0, _at(front_PR, above_R - 1), -1)

    some_R, between_R = good_PR.any(0), below_R >= 0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        left_R, right_R = _at(largest_PR, below_R), _at(largest_PR, above_R)
        share_R = (left_R - max_task_drop) / (left_R - right_R)
        log_R = (1 - share_R) * np.log(_at(rate_PR, below_R))
        log_R += share_R * np.log(_at(rate_PR, above_R))
        rate_R = np.where(between_R, np.exp(log_R), _at(rate_PR, above_R))
    limiting_R = np.where(between_R, _at(worst_PR, below_R), -1)
    best_R = np.where(front_PR[-1] >= 0, _at(worst_PR, front_PR[-1]), -1)
    return LowestRate(np.where(some_R, rate_R, np.nan), np.where(some_R, limiting_R, best_R))


def _at(value_PR: np.ndarray, index_R: np.ndarray) -> np.ndarray:
    """Return one value of each column; an index of -1 gives the last, which the caller drops."""
    return np.take_along_axis(value_PR, index_R[None], axis=0)[0]
