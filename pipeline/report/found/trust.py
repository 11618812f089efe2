"""How far each BD-rate can be trusted: bootstrap intervals and diagnostics beside it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.artifacts import ARMS
from pipeline.report.found.kinds import Kind
from pipeline.report.found.models import DRAW, Measured, pairs
from pipeline.report.found.table import MEAN, with_means
from pipeline.scoring.bootstrap import CurveSums, bootstrap_bd_rate, mean_percent
from pipeline.scoring.metrics import Score
from pipeline.scoring.objections import (
    NotAlike,
    NotCodedAlike,
    NothingLearned,
    Objection,
    objections,
)
from pipeline.scoring.trust import Diagnostics, Interval, diagnose

ARM = dict(zip(("anchor", "test"), ARMS, strict=True))
"""Curve of a comparison -> the arm it is of."""


def trust_table(
    bd: pd.DataFrame,
    models: Iterable[Measured],
    scores: Mapping[str, Score],
    *,
    kinds: Mapping[str, Kind],
    resamples: int,
    level: float,
    lossless: Collection[str],
    noise: pd.DataFrame,
    trivial: Mapping[str, float],
) -> pd.DataFrame:
    """Return what `bd_table` gives of these models, with means over seeds, and what to think of it.

    `kinds` are those of `bd`. Adds the columns

    - `low`, `high`: ends of the interval, per cent; `no_interval`: a record that says why there is
      none, or None; `no_difference`: whether the interval holds 0;
    - one per method of interpolation, NaN for hulls, which have none; `near_top`: over the best
      scores alone (`NEAR_TOP`), of hulls; `without_lossless`: without the points in `lossless`;
      `left_out_low`, `left_out_high`: range with one point left out of both curves; `bd_score`;
    - `noise`, `near_top_noise`: the largest of `noise_table`, per cent without sign, NaN if not
      known;
    - `beaten_benchmark`, `beaten_proposed`: tuples of the names of the points out of order;
    - `objections`: records that say what speaks against quoting it.

    Where there are several seeds the interval is that of their mean, over images and seeds.
    """
    of_encoder = pairs(models)
    worst = noise.groupby(["encoder", "task", "kind"])[["percent", "near_top"]].max()
    largest = {"noise": worst["percent"], "near_top_noise": worst["near_top"]}
    rows = []
    for row in with_means(bd).to_dict("records"):
        seeds = of_encoder.get(row["encoder"], {})
        of_mean = row["seed"] == MEAN
        judged = list(seeds.values()) if of_mean else [seeds[x] for x in seeds if x == row["seed"]]
        kind, task = kinds[row["kind"]], row["task"]
        score = scores[task]
        final = judged and (of_mean or len(seeds) == 1)
        interval = _interval(judged, task, score, kind, resamples, level) if final else None
        found = [_diagnose(*pair, task, score, kind, lossless) for pair in judged]
        columns: dict[Any, Any] = {**row, **_interval_columns(interval), **_columns(found)}
        of = (row["encoder"], task, row["kind"])
        columns |= {name: noises.get(of, np.nan) for name, noises in largest.items()}
        columns["objections"] = ()
        if np.isfinite(row["percent"]):
            said = _objections(columns, found, interval, hull=kind.method is None)
            columns["objections"] = said + _of_training(judged, task, score, trivial)
        rows.append(columns)
    return pd.DataFrame(rows)


def _objections(
    row: Mapping[Any, Any],
    found: Sequence[Diagnostics],
    interval: Interval | None,
    *,
    hull: bool,
) -> tuple[Objection, ...]:
    """Return what the number itself says against being quoted."""
    return objections(
        row["percent"],
        row["overlap"],
        _means([x.percent_by_method for x in found]),
        _means([x.percent_without for x in found]),
        interval,
        seeds=len(found),
        noise=row["noise"] if np.isfinite(row["noise"]) else None,
        near_top=row["near_top"] if hull else None,
    )


def _interval(
    judged: Sequence[tuple[Measured, Measured]],
    task: str,
    score: Score,
    kind: Kind,
    resamples: int,
    level: float,
) -> Interval:
    """Return the interval of the mean BD-rate of these pairs of models."""
    anchors, tests = ([x[i].curve(task, kind.points) for x in judged] for i in range(2))
    return bootstrap_bd_rate(
        *(anchors, tests, score),
        resamples=resamples,
        level=level,
        seed=DRAW,
        rate=kind.rate(score),
    )


def _of_training(
    judged: Sequence[tuple[Measured, Measured]],
    task: str,
    score: Score,
    trivial: Mapping[str, float],
) -> tuple[Objection, ...]:
    """Return what training and coding themselves say against any comparison of the models."""
    against: list[Objection] = []
    if differences := _differences((a.trained_on, t.trained_on) for a, t in judged):
        against.append(NotAlike(differences))
    if differences := _mixed(model.coders for pair in judged for model in pair):
        against.append(NotCodedAlike(differences))
    if task in trivial and all(anchor.uncompressed for anchor, _ in judged):
        scored = float(np.mean([score.compute(x.uncompressed[task]) for x, _ in judged]))
        if not scored >= score.learned(trivial[task]):
            against.append(NothingLearned(scored, trivial[task]))
    return tuple(against)


def _mixed(coders: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Return each codec that models of either arm were coded with in several versions."""
    found: dict[str, dict[str, None]] = {}
    for of_model in coders:
        for codec, coder in of_model.items():
            found.setdefault(codec, {})[coder] = None
    return tuple(f"{codec} {' / '.join(x)}" for codec, x in found.items() if len(x) > 1)


def _differences(
    judged: Iterable[tuple[Mapping[str, object], Mapping[str, object]]],
) -> tuple[str, ...]:
    """Return each thing that is not the same in both arms, once, as `name benchmark / proposed`."""
    found = {
        f"{key} {value} / {test.get(key, 'unknown')}": None
        for anchor, test in judged
        for key, value in anchor.items()
        if test.get(key) != value
    }
    return tuple(found)


def _diagnose(
    anchor: Measured,
    test: Measured,
    task: str,
    score: Score,
    kind: Kind,
    lossless: Collection[str],
) -> Diagnostics:
    curves = [model.curve(task, kind.points) for model in (anchor, test)]
    four = [column for curve in curves for column in _columns_of(curve, score)]
    return diagnose(
        *four,
        points=kind.points,
        lossless=lossless,
        rate=kind.rate(score),
        method=kind.method,
        near_top=kind.near_top(score),
    )


def _columns_of(curve: CurveSums, score: Score) -> tuple[np.ndarray, np.ndarray]:
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


def _columns(found: Sequence[Diagnostics]) -> dict[str, Any]:
    """Return the diagnostics of one seed, or of several their means."""
    if not found:
        return {}
    left_out = [x for x in _means([x.percent_without for x in found]).values() if x is not None]
    scores = [x.bd_score.difference if x.bd_score else None for x in found]
    (first, *others) = found
    return {
        **{k: _number(x) for k, x in _means([x.percent_by_method for x in found]).items()},
        "near_top": _number(_mean([x.percent_near_top for x in found])),
        "without_lossless": _number(_mean([x.percent_without_lossless for x in found])),
        "left_out_low": min(left_out, default=np.nan),
        "left_out_high": max(left_out, default=np.nan),
        "bd_score": float(np.mean([_number(x) for x in scores])),
        # A mean has no points of its own.
        **({} if others else {f"beaten_{ARM[x]}": first.beaten[x] for x in ARM}),
    }


def _means(of_seeds: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Return the mean over seeds of each entry that all seeds have."""
    keys = of_seeds[0] if of_seeds else ()
    return {key: _mean([percents.get(key) for percents in of_seeds]) for key in keys}


def _mean(percents: Sequence[float | None]) -> float | None:
    known = [percent for percent in percents if percent is not None]
    if len(percents) == 1:
        return percents[0]
    return mean_percent(known) if len(known) == len(percents) else None


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
