"""How far each BD-rate can be trusted: bootstrap intervals and diagnostics beside it."""

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pipeline.arms import ARMS
from pipeline.report.found.models import DRAW, Measured, pairs
from pipeline.report.found.table import KINDS, MEAN, with_means
from pipeline.scoring.bdrate import METHODS
from pipeline.scoring.bootstrap import bootstrap_bd_rate
from pipeline.scoring.metrics import Score
from pipeline.scoring.trust import Diagnostics, Interval, Objection, diagnose, objections


def trust_table(
    bd: pd.DataFrame,
    models: Iterable[Measured],
    scores: Mapping[str, Score],
    *,
    method: str,
    resamples: int,
    level: float,
    lossless: Collection[str],
) -> pd.DataFrame:
    """Return what `bd_table` gives of these models, with means over seeds, and what to think of it.

    Adds the columns `low`, `high` (of the interval, per cent), `no_interval` (a record that says
    why there is none, or None), `no_difference` (the interval holds 0), one per method of
    interpolation, `without_lossless` (without the points of the codecs in `lossless`),
    `left_out_low`, `left_out_high` (range with one point left out of both curves), `bd_score`,
    `beaten_benchmark`, `beaten_proposed` (tuples of the names of the points out of order) and
    `objections` (records that say what speaks against quoting it).
    Where there are several seeds the interval is that of their mean, over images and seeds.
    """
    of_encoder = pairs(models)
    rows = []
    for row in with_means(bd).to_dict("records"):
        seeds = of_encoder.get(row["encoder"], {})
        score = scores[row["task"]]
        rate = KINDS[row["kind"]]
        interval = None
        if row["seed"] == MEAN or len(seeds) == 1:
            anchors, tests = (
                [pair[i].curve(row["task"]) for pair in seeds.values()] for i in range(len(ARMS))
            )
            interval = bootstrap_bd_rate(
                anchors,
                tests,
                score,
                resamples=resamples,
                level=level,
                seed=DRAW,
                rate=partial(rate, method=method),
            )
        found = None
        if row["seed"] in seeds:
            anchor, test = seeds[row["seed"]]
            four = (*_curve(anchor, row["task"], score), *_curve(test, row["task"], score))
            found = diagnose(*four, points=list(anchor.codecs), lossless=lossless, rate=rate)
        against: tuple[Objection, ...] = ()
        if np.isfinite(row["percent"]):
            against = objections(
                row["percent"],
                row["overlap"],
                found.percent_by_method if found else {},
                found.percent_without if found else {},
                interval,
            )
        columns: dict[Any, Any] = {**row, **_interval_columns(interval), **_columns(found)}
        rows.append({**columns, "objections": against})
    return pd.DataFrame(rows)


def _curve(model: Measured, task: str, score: Score) -> tuple[np.ndarray, np.ndarray]:
    curve = model.curve(task)
    return curve.rate_PN.mean(1), np.array([score.compute(sums) for sums in curve.sums])


def _interval_columns(interval: Interval | None) -> dict[str, Any]:
    if interval is None:
        return {"low": np.nan, "high": np.nan, "no_interval": None, "no_difference": False}
    return {
        "low": _number(interval.low),
        "high": _number(interval.high),
        "no_interval": interval.obstacle,
        "no_difference": interval.no_difference_shown,
    }


def _columns(found: Diagnostics | None) -> dict[str, Any]:
    if found is None:
        return {}
    low, high = found.leave_one_out or (None, None)
    return {
        **{method: _number(found.percent_by_method[method]) for method in METHODS},
        "without_lossless": _number(found.percent_without_lossless),
        "left_out_low": _number(low),
        "left_out_high": _number(high),
        "bd_score": _number(found.bd_score.difference),
        "beaten_benchmark": found.beaten["anchor"],
        "beaten_proposed": found.beaten["test"],
    }


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
