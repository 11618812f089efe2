"""One bitstream serves all tasks: the lowest rate at which none of them loses too much."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.scoring.hull import monotone_envelope


@dataclass(frozen=True)
class Unreached:
    """No point is good enough for all tasks."""

    task: str
    """The task that loses most at the best point."""
    lost: float
    """What it loses there, in per cent of its reference score."""
    allowed: float
    """In per cent."""


@dataclass(frozen=True)
class EveryPoint:
    """Every point is good enough, so the lowest rate is an upper bound."""


@dataclass(frozen=True)
class JointRate:
    """The lowest rate that is good enough for every task."""

    rate: float | None
    """In the unit of the rates given; None if no point is good enough."""
    limiting: str | None
    """The task that loses most just below this rate; None if the lowest rate suffices for all."""
    remark: Unreached | EveryPoint | None


def largest_loss(
    score_P_of: Mapping[str, np.ndarray], reference_of: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the worst hit task loses at each point, and its place among the tasks.

    In per cent of the task's reference score; below 0 where every task gains. A score that is its
    reference has lost nothing, even where both are infinite. Both arguments go by task. Returns
    (P,) float64 and (P,) int.
    """
    lost = []
    for task, score in score_P_of.items():
        score_P, reference = np.asarray(score, np.float64), reference_of[task]
        with np.errstate(divide="ignore", invalid="ignore"):
            share_P = np.where(score_P == reference, 1.0, score_P / reference)
        lost.append(100 * (1 - share_P))
    lost_TP = np.stack(lost)
    return lost_TP.max(0), lost_TP.argmax(0)


def joint_rate(
    rate_P: np.ndarray,
    score_P_of: Mapping[str, np.ndarray],
    reference_of: Mapping[str, float],
    *,
    loss_percent: float,
) -> JointRate:
    """Return the lowest rate at which no task loses more than `loss_percent` of its reference.

    Points that cost more and lose more than another are left out. Between two of the others the
    largest loss is taken as linear in the logarithm of the rate. Points come in any order.
    """
    lost_P, worst_P = largest_loss(score_P_of, reference_of)
    kept = monotone_envelope(rate_P, -lost_P)
    rate, lost, worst = np.asarray(rate_P, np.float64)[kept], lost_P[kept], worst_P[kept]
    tasks = list(score_P_of)
    good = np.flatnonzero(lost <= loss_percent)
    if not len(good):
        best = Unreached(tasks[worst[-1]], float(lost[-1]), loss_percent)
        return JointRate(None, best.task, best)
    if good[0] == 0:
        return JointRate(float(rate[0]), None, EveryPoint())
    below, above = good[0] - 1, good[0]
    share = (lost[below] - loss_percent) / (lost[below] - lost[above])
    log_rate = (1 - share) * np.log(rate[below]) + share * np.log(rate[above])
    return JointRate(float(np.exp(log_rate)), tasks[worst[below]], None)
