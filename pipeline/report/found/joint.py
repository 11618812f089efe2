"""One bitstream serves all tasks: the rate at which none of them loses too much."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from pipeline.report.found.models import Measured
from pipeline.scoring.metrics import Score, joint_rate


def joint_table(
    models: Iterable[Measured], scores: Mapping[str, Score], *, loss_percent: float
) -> pd.DataFrame:
    """The lowest rate from which on no task loses more than `loss_percent` of its score.

    Against the same model's uncompressed features; models without those are left out. Returns
    columns encoder, arm, seed, bpfe, bpp, kilobytes (NaN where no codec is good enough), limiting
    (the task that sets the rate, or empty), reason (why there is no rate, or why it is a bound).
    """
    rows = []
    for model in models:
        if not model.uncompressed:
            continue
        curves = {task: model.curve(task) for task in scores}
        rate_P = next(iter(curves.values())).rate_PN.mean(1)
        found = joint_rate(
            rate_P,
            {
                task: np.array([scores[task].compute(sums) for sums in curve.sums])
                for task, curve in curves.items()
            },
            {task: score.compute(model.uncompressed[task]) for task, score in scores.items()},
            loss_percent=loss_percent,
        )
        bpfe = np.nan if found.rate is None else found.rate
        bits = bpfe * model.elements
        rows.append(
            {
                **model.key,
                "bpfe": bpfe,
                "bpp": bits / model.pixels,
                "kilobytes": bits / 8000,
                "limiting": found.limiting or "",
                "reason": found.reason or "",
            }
        )
    names = ["encoder", "arm", "seed", "bpfe", "bpp", "kilobytes", "limiting", "reason"]
    return pd.DataFrame(rows, columns=names)


def largest_loss(
    points: pd.DataFrame, uncompressed: pd.DataFrame, scores: Mapping[str, Score]
) -> pd.DataFrame:
    """The table of points with `lost`: per cent that the worst hit task loses at each.

    Against uncompressed features of the same model; below 0 where every task gains.
    """
    names = [score.name for score in scores.values()]
    both = points.merge(uncompressed, on=["encoder", "arm", "seed"], suffixes=("", "_free"))
    lost = pd.DataFrame({name: 100 * (1 - both[name] / both[f"{name}_free"]) for name in names})
    return both[list(points.columns)].assign(lost=lost.max(axis=1))
