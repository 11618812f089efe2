"""Which points of a curve anyone would pick.

A curve is a set of points (rate > 0 in any unit, score where more is better) in any order.
"""

import numpy as np
from numpy.typing import ArrayLike


def monotone_envelope(rate: ArrayLike, score: ArrayLike) -> np.ndarray:
    """Return indices, by rising rate, of the points no other point beats (Pareto-optimal ones).

    A point is beaten by one that costs no more and scores no less; of equal points the first stays.
    """
    rate_P, score_P = np.asarray(rate, float), np.asarray(score, float)
    order = np.lexsort((-score_P, rate_P))
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(score_P[order])[:-1]])
    return order[score_P[order] > best_before]


def hull_points(rate: ArrayLike, score: ArrayLike) -> np.ndarray:
    """Return indices, by rising rate, of the points on the upper hull in ln(rate) and score.

    These are the points of `monotone_envelope` above every line between two others. A point below
    such a line is worse than what an interpolated curve promises there: kept, it would make an arm
    look worse because it has more points. Rates are positive; the ends of the envelope stay.
    """
    log_P, score_P = np.log(np.asarray(rate, float)), np.asarray(score, float)
    kept: list[int] = []
    for point in monotone_envelope(rate, score):
        while len(kept) > 1 and not _above(kept[-1], kept[-2], point, log_P, score_P):
            kept.pop()
        kept.append(int(point))
    return np.array(kept, int)


def _above(point: int, left: int, right: int, x_P: np.ndarray, y_P: np.ndarray) -> bool:
    """Return whether a point lies above the line from `left` to `right`."""
    run, rise = x_P[right] - x_P[left], y_P[right] - y_P[left]
    return bool((y_P[point] - y_P[left]) * run > rise * (x_P[point] - x_P[left]))


def beaten_points(rate: ArrayLike, score: ArrayLike) -> list[int]:
    """Return the indices of the points that another point of the same curve beats."""
    kept = set(monotone_envelope(rate, score).tolist())
    return [index for index in range(np.size(rate)) if index not in kept]
