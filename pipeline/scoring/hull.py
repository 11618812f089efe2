"""Which points of a curve anyone would pick, and what lies between them.

A curve is a set of points (rate > 0 in any unit, score where more is better) in any order.

A user who needs a rate between two points codes a part of the images at the one and the rest at the
other. That mixes the rates, and whatever else is a mean over images, in straight lines. So a hull
is convex in the rate and in what a score averages, which `Averaged` computes from the score: PSNR
itself, but of IRMSE the negative RMSE. A hull in the logarithm of the rate, or in IRMSE itself,
would promise rates that no mix of two points has.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

Averaged = Callable[[np.ndarray], np.ndarray]
"""Scores of any shape -> a rising function of them that is a mean over images."""

NODES_X, WEIGHTS_X = np.polynomial.legendre.leggauss(32)
"""Of a quadrature between two knots. Where a rate rises tenfold and a score twelvefold, the error
of ln(rate) is below 1e-7; where the rate rises a hundredfold, below 1e-4."""


def itself(score: np.ndarray) -> np.ndarray:
    """Return the score: it is a mean over images, or nearly one."""
    return score


def pareto_front(rate: ArrayLike, score: ArrayLike) -> np.ndarray:
    """Return indices, by rising rate, of the points that no other point dominates.

    A point is dominated by one that costs no more and scores no less; of equal points the first
    stays.
    """
    rate_P, score_P = np.asarray(rate, float), np.asarray(score, float)
    order = np.lexsort((-score_P, rate_P))
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(score_P[order])[:-1]])
    return order[score_P[order] > best_before]


def hull_points(rate: ArrayLike, score: ArrayLike, averaged: Averaged = itself) -> np.ndarray:
    """Return indices, by rising rate, of the points on the upper hull.

    These are the points of `pareto_front` that no mix of two others dominates. A point below the
    line between two others costs more than their mix: kept, it would make an arm look worse because
    it has more points. The ends of the front stay.
    """
    # Plain numbers: a resampled report asks for tens of thousands of hulls of a few points.
    x, y = (np.asarray(values, float).tolist() for values in (rate, averaged(np.asarray(score))))
    kept: list[int] = []
    for point in pareto_front(rate, score).tolist():
        while len(kept) > 1 and not _above(kept[-1], kept[-2], point, x, y):
            kept.pop()
        kept.append(point)
    return np.array(kept, int)


def _above(point: int, left: int, right: int, x: list[float], y: list[float]) -> bool:
    """Return whether a point lies above the line from `left` to `right`."""
    run, rise = x[right] - x[left], y[right] - y[left]
    return (y[point] - y[left]) * run > rise * (x[point] - x[left])


def from_score(
    rate_P: np.ndarray, score_P: np.ndarray, least: float, averaged: Averaged = itself
) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of a hull, (rates, scores), of scores of `least` and more.

    It begins with the mix that has this score. A hull that reaches no larger one is left as it is.
    """
    above = score_P > least
    if above.all() or not above.any():
        return rate_P, score_P
    rate = np.interp(averaged(np.array(least)), averaged(score_P), rate_P)
    return np.append(rate, rate_P[above]), np.append(least, score_P[above])


def mean_log_gap(
    scores: tuple[np.ndarray, np.ndarray],
    logs: tuple[np.ndarray, np.ndarray],
    *,
    averaged: Averaged = itself,
) -> float:
    """Return the mean of ln(rate) of the second hull minus that of the first.

    Of each hull come its scores and its ln(rate), both rising. Between two points the rate itself
    is linear in what the score averages. The mean is over the scores that both hulls reach, as in
    a BD-rate; there must be some.
    """
    low, high = max(x[0] for x in scores), min(x[-1] for x in scores)
    knots_K = np.unique(np.clip(np.concatenate(scores), low, high))
    halves_K1 = np.diff(knots_K)[:, None] / 2
    score_KX = knots_K[:-1, None] + halves_K1 * (1 + NODES_X)
    first_KX, second_KX = (
        np.log(np.interp(averaged(score_KX), averaged(score_P), np.exp(log_P)))
        for score_P, log_P in zip(scores, logs, strict=True)
    )
    return float(((second_KX - first_KX) * WEIGHTS_X * halves_K1).sum() / (high - low))


def dominated_points(rate: ArrayLike, score: ArrayLike) -> list[int]:
    """Return the indices of the points that another point of the same curve dominates."""
    kept = set(pareto_front(rate, score).tolist())
    return [index for index in range(np.size(rate)) if index not in kept]
