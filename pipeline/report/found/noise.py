"""The noise of training: how far two benchmarks lie apart that differ in their seed alone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from pipeline.artifacts import ARMS
from pipeline.report.found.kinds import Kind
from pipeline.report.found.models import Measured
from pipeline.scoring.bdrate import BDRate
from pipeline.scoring.metrics import Score
from pipeline.scoring.objections import size_of


def noise_table(
    models: Iterable[Measured], scores: Mapping[str, Score], kinds: Mapping[str, Kind]
) -> pd.DataFrame:
    """Return the BD-rate of every pair of benchmarks of one encoder.

    Returns the columns encoder, task, kind, first, second (their seeds), `percent`: the change of
    bits without its sign, so 10 for -9.1 % and for +10 %, NaN where it cannot be computed; and
    `near_top`: the same over the best scores alone, NaN for what is no hull.
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
                    of = (encoder, task, name, first.seed, second.seed)
                    near_top = kind.near_top(score)
                    sizes = _size(kind.rate(score), columns), _size(near_top, columns)
                    rows.append((*of, *sizes))
    names = ["encoder", "task", "kind", "first", "second", "percent", "near_top"]
    return pd.DataFrame(rows, columns=names)


def _size(rate: Callable[..., BDRate] | None, columns: Sequence[np.ndarray]) -> float:
    """Return the larger of both directions: a hull counts scores from the best of its anchor."""
    if rate is None:
        return np.nan
    found = rate(*columns).percent, rate(*columns[2:], *columns[:2]).percent
    return max((size_of(x) for x in found if x is not None), default=np.nan)
