"""A family: experiments that differ in one setting of the rate term, against one benchmark.

Each member is an experiment's table of points (see `pipeline.report.found.table`). All members have
the same benchmark models, since a change of the rate term trains none of them again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from pipeline.artifacts import ARMS
from pipeline.report.found.table import POINT, RATES, check_points
from pipeline.scoring.bdrate import BDRate, hull_rate
from pipeline.scoring.bootstrap import mean_percent
from pipeline.scoring.metrics import Score

HULL = "best of all"
"""Stands in the column `member` for the hull of the points of all members."""


class FamilyError(ValueError):
    """Experiments that cannot be compared as a family."""


@dataclass(frozen=True)
class Family:
    """Members over one benchmark."""

    benchmark: pd.DataFrame
    """Points of the benchmark models, which all members share."""
    members: Mapping[str, pd.DataFrame]
    """Name -> points of its proposed models."""
    scores: Mapping[str, Score]
    """Task -> score, of those that all points have."""


def family(points: Mapping[str, pd.DataFrame], scores: Mapping[str, Score]) -> Family:
    """Return the family of these experiments: name -> all its points.

    Raises FamilyError for fewer than two experiments, and if one has other benchmark models, codecs
    or scores than the first.
    """
    if len(points) < 2:
        raise FamilyError(f"{len(points)} experiment given; a family has two or more")
    first, *others = points
    present = check_points(points[first], scores)
    columns = [*POINT, *RATES, *(score.name for score in present.values())]
    benchmark = _arm(points[first], ARMS[0])
    for name in others:
        if check_points(points[name], scores) != present:
            raise FamilyError(f"{name} has other tasks than {first}; a family has the same tasks")
        if not _arm(points[name], ARMS[0])[columns].equals(benchmark[columns]):
            raise FamilyError(
                f"{name} has other benchmark results than {first}; a family differs in settings of "
                "the rate term alone"
            )
    return Family(benchmark, {name: _arm(x, ARMS[1]) for name, x in points.items()}, present)


def family_table(of: Family, *, hull_loss: float) -> pd.DataFrame:
    """Return the change of bits at equal score of each member, on the hull of its points.

    hull_loss: how far below the benchmark's best score a score counts, in per cent of it.

    Returns the columns encoder, task, score, member, seeds, `percent` (mean over seeds, NaN if a
    seed has none), `low` and `high` (the least and the largest of the seeds), and `choosing`: how
    many per cent the best of as many benchmarks of other seeds saves against one of them, NaN with
    one seed. The member `HULL` takes the best of all members at each score.
    """
    rows: list[dict[str, object]] = []
    members = {**of.members, HULL: pd.concat(of.members.values(), ignore_index=True)}
    for encoder, benchmark in of.benchmark.groupby("encoder", sort=False):
        for task, score in of.scores.items():
            rate = partial(hull_rate, averaged=score.averaged, loss_percent=hull_loss)
            chosen = choosing(benchmark, score.name, rate)
            for name, points in members.items():
                of_encoder = points[points["encoder"] == encoder]
                percents = _percents(benchmark, of_encoder, score.name, rate)
                rows.append(
                    {
                        **{"encoder": encoder, "task": task, "score": score.name, "member": name},
                        "seeds": len(percents),
                        "percent": mean_percent(percents),
                        **{"low": min(percents), "high": max(percents)},
                        "choosing": chosen if name == HULL else np.nan,
                    }
                )
    return pd.DataFrame(rows)


def choosing(benchmark: pd.DataFrame, score: str, rate: Callable[..., BDRate]) -> float:
    """Return what a choice among equals seems to save: the hull of all seeds against each, mean.

    The models differ in their seed alone, so every per cent of it is luck. NaN with one seed.
    """
    seeds = [points for _, points in benchmark.groupby("seed", sort=False)]
    if len(seeds) < 2:
        return np.nan
    return mean_percent([_percent(one, benchmark, score, rate) for one in seeds])


def _percents(
    benchmark: pd.DataFrame, points: pd.DataFrame, score: str, rate: Callable[..., BDRate]
) -> Sequence[float]:
    """Return the change of bits of each seed."""
    test = dict(list(points.groupby("seed", sort=False)))
    return [
        _percent(anchor, test[seed], score, rate)
        for seed, anchor in benchmark.groupby("seed", sort=False)
        if seed in test
    ]


def _percent(
    anchor: pd.DataFrame, test: pd.DataFrame, score: str, rate: Callable[..., BDRate]
) -> float:
    columns = [points[name] for points in (anchor, test) for name in ("bpfe", score)]
    percent = rate(*columns).percent
    return np.nan if percent is None else percent


def _arm(points: pd.DataFrame, arm: str) -> pd.DataFrame:
    return points[points["arm"] == arm].reset_index(drop=True)
