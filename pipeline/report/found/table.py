"""The report's tables: BD-rates, and the plain comparison at each codec point.

A table of points has one row per (encoder, arm, seed, codec) with the columns `encoder`, `arm`
(benchmark or proposed), `seed`, `codec`, `bpfe` (bits per feature element, all bytes),
`bpfe_payload` (without the header), `kilobytes` (mean per image), and one column per score present
(`miou`, `irmse`, `psnr`: more is better in each).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pipeline.artifacts import ARMS
from pipeline.report.found.kinds import Kind
from pipeline.report.found.obstacles import Missing, NoPoints, SeedsWithout
from pipeline.scoring.bootstrap import mean_percent
from pipeline.scoring.metrics import Score

MEAN = "mean"
"""Stands in the column `seed` for the mean over seeds."""

POINT = ["encoder", "arm", "seed", "codec"]
RATES = ["bpfe", "bpfe_payload", "kilobytes"]


def check_points(points: pd.DataFrame, scores: Mapping[str, Score]) -> dict[str, Score]:
    """Return the scores that a table of points holds, by task.

    Raises ValueError for a table without rows, lacking a column, holding none of the scores, naming
    an arm other than `ARMS`, or giving a point twice.
    """
    missing = [name for name in POINT + RATES if name not in points.columns]
    if missing:
        raise ValueError(f"the table of points lacks {missing}; it has {list(points.columns)}")
    if points.empty:
        raise ValueError("the table of points has no rows: there is nothing to report")
    strange = sorted(set(points["arm"]) - set(ARMS))
    if strange:
        raise ValueError(f"the table of points names the arms {strange}; allowed are {list(ARMS)}")
    twice = points.loc[points.duplicated(POINT), POINT]
    if len(twice):
        raise ValueError(f"the table of points gives {twice.iloc[0].to_dict()} more than once")
    present = {task: score for task, score in scores.items() if score.name in points.columns}
    if not present:
        allowed = [score.name for score in scores.values()]
        raise ValueError(f"the table of points holds no score; expected one or more of {allowed}")
    return present


def bd_table(
    points: pd.DataFrame, scores: Mapping[str, Score], kinds: Mapping[str, Kind]
) -> pd.DataFrame:
    """Return BD-rates of the proposed arm against the benchmark, per encoder, seed, score and kind.

    It has the columns `encoder`, `seed`, `task`, `score`, `kind` (of `KINDS`), `percent` (bits at
    equal score; negative saves; NaN where it cannot be computed), `overlap` (0 to 1, the part of
    the score range that both curves cover), `obstacle` (a record that
    says why percent is NaN, else None).
    Raises ValueError for a table of points that is none (see `check_points`).
    """
    present = check_points(points, scores)
    rows = []
    for (encoder, seed), group in points.groupby(["encoder", "seed"], sort=False):
        anchor, test = (group[group["arm"] == arm] for arm in ARMS)
        for task, score in present.items():
            for name, kind in kinds.items():
                found = _compare(anchor, test, score, kind)
                rows.append((encoder, seed, task, score.name, name, *found))
    columns = ["encoder", "seed", "task", "score", "kind", "percent", "overlap", "obstacle"]
    return pd.DataFrame(rows, columns=columns)


def _compare(
    anchor: pd.DataFrame, test: pd.DataFrame, score: Score, kind: Kind
) -> tuple[float, float, Missing | None]:
    anchor, test = (rows[rows["codec"].isin(kind.points)] for rows in (anchor, test))
    for arm, rows in zip(ARMS, (anchor, test), strict=True):
        if rows.empty:
            return np.nan, 0.0, NoPoints(arm)
    columns = ("bpfe", score.name)
    curves = [rows[column].to_numpy(float) for rows in (anchor, test) for column in columns]
    result = kind.rate(score)(*curves)
    percent = np.nan if result.percent is None else result.percent
    return percent, result.overlap, result.obstacle


def seed_means(bd: pd.DataFrame) -> pd.DataFrame:
    """Return the mean BD-rate over seeds (see `mean_percent`), per encoder, score and kind.

    Returns columns `encoder`, `seed` ("mean"), `task`, `score`, `kind`, `seeds` (how many),
    `percent`, `deviation` (sample standard deviation, NaN for one seed), `overlap` (the smallest),
    `obstacle`. A mean over the seeds that happen to have a number would mislead, so it is NaN as
    soon as one seed has none.
    """
    rows = []
    keys = ["encoder", "task", "score", "kind"]
    for (encoder, task, score, kind), group in bd.groupby(keys, sort=False):
        lacking = group.loc[group["percent"].isna(), "seed"].tolist()
        rows.append(
            {
                **{"encoder": encoder, "seed": MEAN, "task": task, "score": score},
                "kind": kind,
                "seeds": len(group),
                "percent": mean_percent(group["percent"]),
                "deviation": group["percent"].std(skipna=False),
                "overlap": group["overlap"].min(),
                "obstacle": SeedsWithout(tuple(lacking)) if lacking else None,
            }
        )
    return pd.DataFrame(rows)


def with_means(bd: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each encoder, followed by those of its mean if there are several seeds."""
    if bd["seed"].nunique() < 2:
        return bd.assign(seeds=1, deviation=np.nan)
    parts = []
    for _, of_encoder in bd.groupby("encoder", sort=False):
        parts += [of_encoder.assign(seeds=1, deviation=np.nan), seed_means(of_encoder)]
    return pd.concat(parts, ignore_index=True)


def point_table(points: pd.DataFrame, scores: Mapping[str, Score]) -> pd.DataFrame:
    """Return proposed beside benchmark at each codec point that both have.

    Returns columns `encoder`, `seed`, `codec`, `bpfe_benchmark`, `bpfe_proposed`, `bits_percent`
    (100 * (proposed / benchmark - 1)), and for each score `<name>_benchmark`, `<name>_proposed`,
    `<name>_change` (proposed - benchmark, in the score's own unit).
    Raises ValueError for a table of points that is none (see `check_points`).
    """
    names = [score.name for score in check_points(points, scores).values()]
    keys = ["encoder", "seed", "codec"]
    anchor, test = (points.loc[points["arm"] == arm, [*keys, "bpfe", *names]] for arm in ARMS)
    both = anchor.merge(test, on=keys, suffixes=("_benchmark", "_proposed"))
    table = both[[*keys, "bpfe_benchmark", "bpfe_proposed"]].copy()
    table["bits_percent"] = 100 * (both["bpfe_proposed"] / both["bpfe_benchmark"] - 1)
    for name in names:
        table[f"{name}_benchmark"] = both[f"{name}_benchmark"]
        table[f"{name}_proposed"] = both[f"{name}_proposed"]
        table[f"{name}_change"] = both[f"{name}_proposed"] - both[f"{name}_benchmark"]
    return table


Metrics = dict[str, dict[str, dict[str, float | None]]]
"""What it is -> model (`encoder2-0`, of several seeds `encoder2-mean`) -> score -> value."""


def to_metrics(bd: pd.DataFrame) -> Metrics:
    """Return BD-rates in per cent, nested: `{"bd_rate": {"encoder2-0": {"miou": -20.68}}}`.

    None where there is no BD-rate. With several seeds there is also `encoder2-mean`.
    """
    rates: Metrics = {kind: {} for kind in dict.fromkeys(bd["kind"])}
    for row in with_means(bd[bd["seed"] != MEAN]).to_dict("records"):
        model = rates[row["kind"]].setdefault(f"{row['encoder']}-{row['seed']}", {})
        model[row["score"]] = float(row["percent"]) if np.isfinite(row["percent"]) else None
    return rates


def headline_rates(rates: Metrics) -> Metrics:
    """Return the BD-rates that experiments are compared by: of several seeds the mean alone."""
    return {
        kind: {model: x for model, x in models.items() if model.endswith(f"-{MEAN}")} or models
        for kind, models in rates.items()
    }


def headline_scores(points: pd.DataFrame, codec: str, scores: Mapping[str, Score]) -> Metrics:
    """Return bits per element and scores of every model at one codec; of several seeds the mean.

    Returns `{"png": {"encoder2-proposed-0": {"bpfe": 3.98, "miou": 0.16}}}`.
    Raises ValueError for a table of points that is none (see `check_points`).
    """
    columns = ["bpfe", *(score.name for score in check_points(points, scores).values())]
    at_codec = points[points["codec"] == codec]
    models: dict[str, dict[str, float | None]] = {}
    for (encoder, arm), of_model in at_codec.groupby(["encoder", "arm"], sort=False):
        seed = MEAN if len(of_model) > 1 else of_model["seed"].item()
        means = of_model[columns].mean(skipna=False)
        models[f"{encoder}-{arm}-{seed}"] = {
            str(name): float(x) if np.isfinite(x) else None for name, x in means.items()
        }
    return {codec: models}
