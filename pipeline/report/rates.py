"""What to send: for each sender the lowest rate at which no task loses too much."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from pipeline.artifacts import ARMS
from pipeline.report.measured import Measured, by_sender
from pipeline.report.names import Sender
from pipeline.scoring.bootstrap import Curve, rate_interval
from pipeline.scoring.lowest_rate import LowestRate, lowest_rate, task_drops

ALL = "all"
"""Stands in the column `task` for all tasks together."""


def rates_table(
    models: Sequence[Measured], *, max_task_drops: Sequence[float], confidence: float
) -> pd.DataFrame:
    """Return the lowest rate of each sender at which a task, or none of all, loses too much.

    Loss is against the benchmark of the same seed with uncompressed features. Returns the columns
    encoder, seed, sender, task (or `all`), max_task_drop (per cent), bpfe, bpp, kilobytes (NaN if
    no point is good enough), point (the cheapest that is good enough), limiting (the task that sets
    the rate or, without a rate, is in the way; empty if the lowest rate of all suffices, which is
    then an upper bound, or if there is no score); then bits_percent, the change against the first
    sender, the benchmark as in the paper, with low and high, the interval of its mean over seeds
    (the same for each seed). A task without any score is left out of `all`.
    """
    rows = []
    for encoder, senders in by_sender(models).items():
        references = {x.name.seed: x for x, _ in senders[first_sender(senders)]}
        for what, tasks in _task_sets(list(references.values())).items():
            for allowed in max_task_drops:
                found = {
                    sender: {
                        model.name.seed: _lowest(curve, references[model.name.seed], tasks, allowed)
                        for model, curve in seeds
                        if model.name.seed in references
                    }
                    for sender, seeds in senders.items()
                }
                head = {"encoder": encoder, "task": what, "max_task_drop": allowed}
                rows += [head | row for row in _rows(found, references, tasks, confidence)]
    return pd.DataFrame(rows)


def first_sender(senders: Iterable[Sender]) -> Sender:
    """Return the first sender of the benchmark's features, against which all others are told."""
    return next(x for x in senders if x.arm == ARMS[0] and not x.picture)


def _task_sets(references: Sequence[Measured]) -> dict[str, list[str]]:
    """Return all tasks that have a score, then each task alone."""
    tasks = list(references[0].uncompressed)
    scored = [x for x in tasks if all(np.isfinite(y.uncompressed[x][0]) for y in references)]
    return {ALL: scored or tasks, **{task: [task] for task in tasks}}


def _lowest(
    curve: Curve, reference: Measured, tasks: Sequence[str], max_task_drop: float
) -> tuple[LowestRate, str]:
    """Return the lowest rate, and the cheapest point that is good enough (empty if none is)."""
    scores = {task: curve.score_PR_of[task] for task in tasks}
    drop_TPR = task_drops(scores, {task: reference.uncompressed[task] for task in tasks})
    good = np.flatnonzero(drop_TPR[:, :, 0].max(0) <= max_task_drop).tolist()
    cheapest = min(good, key=lambda point: curve.rate_PR[point, 0], default=None)
    lowest = lowest_rate(curve.rate_PR, drop_TPR, max_task_drop=max_task_drop)
    return lowest, "" if cheapest is None else curve.points[cheapest]


def _rows(
    found: Mapping[Sender, Mapping[int, tuple[LowestRate, str]]],
    references: Mapping[int, Measured],
    tasks: Sequence[str],
    confidence: float,
) -> list[dict[str, object]]:
    """Return the rows of one set of tasks and one drop: a row per sender and seed."""
    rows: list[dict[str, object]] = []
    first = first_sender(found)
    for sender, of_seed in found.items():
        with np.errstate(invalid="ignore"):
            logs_SR = np.stack(
                [
                    np.log(x.rate_R / found[first][seed][0].rate_R)
                    for seed, (x, _) in of_seed.items()
                ]
            )
        interval = rate_interval(logs_SR[:, 0], logs_SR[:, 1:], confidence=confidence)
        for (seed, (lowest, point)), logs_R in zip(of_seed.items(), logs_SR, strict=True):
            bits = lowest.rate_R[0] * references[seed].elements
            limiting = int(lowest.limiting_R[0])
            rows.append(
                {
                    **{"seed": seed, "sender": sender.title},
                    "bpfe": lowest.rate_R[0],
                    "bpp": bits / references[seed].pixels,
                    "kilobytes": bits / 8000,
                    "point": point,
                    "limiting": tasks[limiting] if limiting >= 0 else "",
                    "bits_percent": 100 * np.expm1(logs_R[0]),
                    **({} if sender == first else {"low": interval.low, "high": interval.high}),
                }
            )
    return rows
