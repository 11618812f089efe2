"""The noise of training: how far two benchmarks lie apart that differ in their seed alone."""

from collections.abc import Iterable, Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from pipeline.arms import ARMS
from pipeline.report.found.kinds import Kind
from pipeline.report.found.models import Measured
from pipeline.scoring.metrics import Score
from pipeline.scoring.objections import size_of


def noise_table(
    models: Iterable[Measured], scores: Mapping[str, Score], kinds: Mapping[str, Kind]
) -> pd.DataFrame:
    """Return the BD-rate of every pair of benchmarks of one encoder.

    Returns the columns encoder, task, kind, first, second (their seeds) and percent: the change of
    bits without its sign, so 10 for -9.1 % and for +10 %; NaN where it cannot be computed.
    """
    benchmarks: dict[str, list[Measured]] = {}
    for model in models:
        if model.arm == ARMS[0]:
            benchmarks.setdefault(model.encoder, []).append(model)
    rows = []
    for encoder, seeds in benchmarks.items():
        for first, second in combinations(seeds, 2):
            for task, score in scores.items():
                for name, kind in kinds.items():
                    columns = []
                    for model in (first, second):
                        curve = model.curve(task, kind.points)
                        columns.append(curve.rate_PN.mean(1))
                        columns.append(np.array([score.compute(sums) for sums in curve.sums]))
                    percent = kind.rate(score)(*columns).percent
                    size = np.nan if percent is None else size_of(percent)
                    rows.append((encoder, task, name, first.seed, second.seed, size))
    return pd.DataFrame(rows, columns=["encoder", "task", "kind", "first", "second", "percent"])
