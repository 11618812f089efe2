"""How far each BD-rate can be trusted: bootstrap intervals and diagnostics beside it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pipeline.arms import ARMS
from pipeline.report.found.models import DRAW, Measured, pairs
from pipeline.report.found.table import FIGURES, MEAN, in_arms, with_means
from pipeline.scoring.bdrate import (
    METHODS,
    BDRate,
    Interval,
    diagnose,
    objections,
)
from pipeline.scoring.bootstrap import bootstrap_bd_rate
from pipeline.scoring.metrics import Score

LOSSLESS = "png"
"""The point that is left out to see what hangs on it."""


def trust_table(
    bd: pd.DataFrame,
    models: Iterable[Measured],
    scores: Mapping[str, Score],
    *,
    method: str,
    resamples: int,
    level: float,
) -> pd.DataFrame:
    """What `bd_table` gives of these models, with means over seeds, and the trust it deserves.

    Adds the columns `low`, `high` (of the interval, per cent), `no_interval` (why there is none),
    `no_difference` (the interval holds 0), one per method of interpolation, `without_png`,
    `left_out_low`, `left_out_high` (range with one point left out of both curves), `bd_score`,
    `beaten_benchmark`, `beaten_proposed` (names of the points out of order) and `verdict`.
    Where there are several seeds the interval is that of their mean, over images and seeds.
    """
    of_encoder = pairs(models)
    rows = []
    for row in with_means(bd).to_dict("records"):
        seeds = of_encoder.get(row["encoder"], {})
        score = scores[row["task"]]
        interval = None
        if row["seed"] == MEAN or len(seeds) == 1:
            anchors, tests = (
                [pair[i].curve(row["task"]) for pair in seeds.values()] for i in range(len(ARMS))
            )
            figure = partial(FIGURES[row["figure"]], method=method)
            interval = bootstrap_bd_rate(
                anchors, tests, score, resamples=resamples, level=level, seed=DRAW, figure=figure
            )
        found: dict[Any, Any] = {**row, **_interval_columns(interval)}
        if row["seed"] in seeds:
            found |= _diagnostics(*seeds[row["seed"]], row["task"], score, row, interval)
        else:
            found |= {"verdict": _verdict(row, {}, {}, interval)}
        rows.append(found)
    return pd.DataFrame(rows)


def _interval_columns(interval: Interval | None) -> dict[str, Any]:
    if interval is None:
        return {"low": np.nan, "high": np.nan, "no_interval": "", "no_difference": False}
    return {
        "low": _number(interval.low),
        "high": _number(interval.high),
        "no_interval": in_arms(interval.reason or ""),
        "no_difference": interval.no_difference_shown,
    }


def _diagnostics(
    anchor: Measured,
    test: Measured,
    task: str,
    score: Score,
    row: Mapping[Any, Any],
    interval: Interval | None,
) -> dict[str, Any]:
    codecs = list(anchor.codecs)
    four: list[np.ndarray] = []
    for model in (anchor, test):
        curve = model.curve(task)
        four += [curve.rate_PN.mean(1), np.array([score.compute(sums) for sums in curve.sums])]
    found = diagnose(*four, points=codecs, interval=interval)
    if row["figure"] == "bd_rate":
        by_method, without = found.percent_by_method, found.percent_without
        verdict, bd_score = in_arms(found.verdict or ""), found.bd_score.difference
    else:
        by_method, without = _of_figure(four, codecs, FIGURES[row["figure"]])
        verdict, bd_score = _verdict(row, by_method, without, interval), None
    known = [percent for percent in without.values() if percent is not None]
    return {
        **{method: _number(by_method[method]) for method in METHODS},
        "without_png": _number(without.get(LOSSLESS)),
        "left_out_low": min(known, default=np.nan),
        "left_out_high": max(known, default=np.nan),
        "bd_score": _number(bd_score),
        "beaten_benchmark": ", ".join(found.out_of_order["anchor"]),
        "beaten_proposed": ", ".join(found.out_of_order["test"]),
        "verdict": verdict,
    }


def _of_figure(
    four: Sequence[np.ndarray], codecs: Sequence[str], figure: Callable[..., BDRate]
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Another figure by each method, and (cubic) with each codec left out of both curves."""
    by_method = {method: figure(*four, method).percent for method in METHODS}
    without = {
        codec: figure(*(np.delete(column, i) for column in four)).percent
        for i, codec in enumerate(codecs)
    }
    return by_method, without


def _verdict(
    row: Mapping[Any, Any],
    by_method: Mapping[str, float | None],
    without: Mapping[str, float | None],
    interval: Interval | None,
) -> str:
    """That of `diagnose`, for figures that it does not look at; empty if nothing speaks against
    quoting."""
    if not np.isfinite(row["percent"]):
        return f"not available: {row['reason']}"
    against = objections(row["percent"], row["overlap"], by_method, without, interval)
    return f"do not quote: {'; '.join(against)}" if against else ""


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
