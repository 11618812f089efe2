"""The proposed arm against the benchmark: BD-rates with their verdicts, and changes at a point.

The arms are paired within seed and image.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import permutations
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.artifacts import ARMS
from pipeline.report.measured import Measured
from pipeline.report.names import MEAN
from pipeline.scoring.bdrate import BDRate, bd_rate, hull_rate
from pipeline.scoring.bootstrap import Interval, bd_interval, effect_interval, mean_percent
from pipeline.scoring.metrics import SCORES, Score
from pipeline.scoring.repeats import repeated_effect
from pipeline.scoring.verdict import Evidence, judge, size_of

HULL, PAPER = "hull_bd_rate", "bd_rate"
NEAR_BEST = 0.2
"""Share of the range of scores, from the benchmark's best down, over which a hull's number is given
once more. Most of the range lies where more is lost than many a user would accept."""

Pair = tuple[Measured, Measured]
"""Benchmark and proposed of one seed."""
Rate = Callable[..., BDRate]
"""Makes the number of rates and scores of the anchor, then of the test."""


class Kind(NamedTuple):
    """One way to make a BD-rate."""

    points: tuple[str, ...] | None
    """Those of the curve; None for all."""
    rate: Callable[[Score, float], Rate]
    """Takes the share of the range of scores, from the benchmark's best down, that counts."""


def kinds(*, bd_points: Sequence[str], max_score_drop: float) -> dict[str, Kind]:
    """Return the ways to make a BD-rate by name.

    `HULL`: between the hulls of all points, over scores that lie at most `max_score_drop` per cent
    below the benchmark's best; what codec and quantiser do best for each arm. `PAPER`: a cubic fit
    over the points fixed in advance; it exists only if each curve's score rises with its rate.
    """

    def between_hulls(score: Score, share: float) -> Rate:
        drop = share * max_score_drop
        return partial(hull_rate, averaged=score.averaged, max_score_drop=drop, names=ARMS)

    return {
        HULL: Kind(None, between_hulls),
        PAPER: Kind(tuple(bd_points), lambda *_: partial(bd_rate, names=ARMS)),
    }


def pairs(models: Iterable[Measured]) -> dict[str, dict[int, Pair]]:
    """Return encoder -> seed -> (benchmark, proposed), for the seeds that have both."""
    found: dict[str, dict[int, dict[str, Measured]]] = {}
    for model in models:
        of_seed = found.setdefault(model.name.encoder, {}).setdefault(model.name.seed, {})
        of_seed[model.name.arm] = model
    return {
        encoder: {s: (x[ARMS[0]], x[ARMS[1]]) for s, x in seeds.items() if set(x) >= set(ARMS)}
        for encoder, seeds in found.items()
    }


def bd_table(
    models: Sequence[Measured], kinds: Mapping[str, Kind], *, confidence: float
) -> pd.DataFrame:
    """Return the BD-rate of each encoder, seed, task and kind; of several seeds the mean too.

    Returns the columns encoder, seed (or `mean`), task, score, kind, seeds, percent (below 0 saves
    bits; NaN if there is none), overlap, low and high (of the interval, of the mean or of the only
    seed), near_best, noise (see `_noise`), verdict and reason (see `scoring.verdict`).
    """
    rows = []
    for encoder, of_seed in pairs(models).items():
        groups = {str(seed): [pair] for seed, pair in of_seed.items()}
        if len(groups) > 1:
            groups[MEAN] = list(of_seed.values())
        benchmarks = [benchmark for benchmark, _ in of_seed.values()]
        noises = {
            (task, name): _noise(benchmarks, task, kind)
            for task in benchmarks[0].uncompressed
            for name, kind in kinds.items()
        }
        for seed, judged in groups.items():
            final = len(judged) == len(of_seed)
            for (task, name), noise in noises.items():
                head = {"encoder": encoder, "seed": seed, "task": task}
                head |= {"score": SCORES[task].name, "kind": name}
                row = _bd_row(judged, task, kinds[name], noise, confidence if final else None)
                rows.append(head | row)
    return pd.DataFrame(rows)


def _bd_row(
    judged: Sequence[Pair], task: str, kind: Kind, noise: float, confidence: float | None
) -> dict[str, object]:
    """Return one row without its key; confidence: None where no interval is wanted."""
    score = SCORES[task]
    rate = kind.rate(score, 1)
    curves = [[model.coded.of(task, kind.points) for model in pair] for pair in judged]
    found = [rate(*_whole(of_pair)) for of_pair in curves]
    percent = _mean([x.percent for x in found])
    interval = None
    if confidence is not None:
        anchors, tests = zip(*curves, strict=True)
        interval = bd_interval(anchors, tests, rate, confidence=confidence)
    near_best = None
    if kind.points is None:
        near_best = _mean([kind.rate(score, NEAR_BEST)(*_whole(x)).percent for x in curves])
    points = len(curves[0][0][0])
    left_out = [_mean([_without(i, x, rate) for x in curves]) for i in range(points)]
    why = next((x.why for x in found if x.why), "")
    verdict = judge(
        Evidence(
            percent=percent,
            why=why if len(found) == 1 else f"a seed has no number: {why}",
            overlap=min(x.overlap for x in found),
            left_out=[x for x in left_out if np.isfinite(x)],
            interval=interval,
            seeds=len(judged),
            noise=noise,
            near_best=near_best,
            incomparable=_incomparable(judged, task),
        )
    )
    return {
        "seeds": len(judged),
        "percent": percent,
        "overlap": min(x.overlap for x in found),
        "low": interval.low if interval else np.nan,
        "high": interval.high if interval else np.nan,
        "near_best": np.nan if near_best is None else near_best,
        "noise": noise,
        "verdict": verdict.code,
        "reason": verdict.sentence,
    }


def _whole(curves: Iterable[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    """Return rates and scores of each curve over all images, (P,)."""
    return [column_PR[:, 0] for curve in curves for column_PR in curve]


def _without(
    point: int, curves: Sequence[tuple[np.ndarray, np.ndarray]], rate: Rate
) -> float | None:
    """Return the number with one point left out of both curves, if both have it."""
    columns = _whole(curves)
    if any(point >= len(column) for column in columns):
        return None
    return rate(*(np.delete(column, point) for column in columns)).percent


def _mean(percents: Sequence[float | None]) -> float:
    """Return the mean over seeds of BD-rates; NaN if a seed has none."""
    values = np.array(percents, float)
    # Of one seed the number itself, to the last digit.
    return float(values[0]) if len(values) == 1 else mean_percent(values)


def _incomparable(judged: Sequence[Pair], task: str) -> list[str]:
    """Return what training and coding themselves say against any comparison of the models."""
    against = []
    differing = {
        f"{key} {value} / {proposed.runtime.get(key, 'unknown')}": None
        for benchmark, proposed in judged
        for key, value in benchmark.runtime.items()
        if proposed.runtime.get(key) != value
    }
    if differing:
        against.append(f"the arms were not trained alike: {', '.join(differing)}")
    coders: dict[str, dict[str, None]] = {}
    for pair in judged:
        for model in pair:
            for codec, coder in model.coders.items():
                coders.setdefault(codec, {})[coder] = None
    mixed = [f"{codec} {' / '.join(x)}" for codec, x in coders.items() if len(x) > 1]
    if mixed:
        against.append(f"the models were not coded alike: {', '.join(mixed)}")
    floor = judged[0][0].floor.get(task)
    if floor is not None:
        scored = float(np.mean([benchmark.uncompressed[task][0] for benchmark, _ in judged]))
        if not scored >= SCORES[task].learned(floor):
            against.append(
                f"the benchmark has learned too little: it scores {scored:.3g}, a prediction that "
                f"knows the training set alone {floor:.3g}"
            )
    return against


def _noise(benchmarks: Sequence[Measured], task: str, kind: Kind) -> float:
    """Return the noise of training: the largest BD-rate between two benchmarks, without its sign.

    So 10 for -9.1 % and for +10 %; NaN if no two have one. Both directions count: a hull takes its
    range of scores from the best of its anchor.
    """
    rate, sizes = kind.rate(SCORES[task], 1), []
    for anchor, test in permutations(benchmarks, 2):
        found = rate(*_whole(x.coded.of(task, kind.points) for x in (anchor, test))).percent
        if found is not None:
            sizes.append(size_of(found))
    return max(sizes, default=np.nan)


def changes_table(models: Sequence[Measured], *, confidence: float) -> pd.DataFrame:
    """Return the change of bits and scores at each point that both arms have, mean over seeds.

    Returns a row per encoder and point with the columns encoder, codec, seeds, bits_percent,
    bits_low and bits_high (its interval); for each score `<name>_change` and `<name>_bound`, in the
    score's own unit. The change is above `<name>_bound` with this confidence, one-sided. Of one
    seed the bounds are NaN: nothing is known of the noise of training.
    """
    rows = []
    for encoder, of_seed in pairs(models).items():
        judged = list(of_seed.values())
        shared = [set(model.coded.points) for pair in judged for model in pair]
        for codec in judged[0][0].coded.points if judged else ():
            if all(codec in points for points in shared):
                row = _changes_row(judged, codec, confidence)
                rows.append({"encoder": encoder, "codec": codec, "seeds": len(judged)} | row)
    return pd.DataFrame(rows)


def _changes_row(judged: Sequence[Pair], codec: str, confidence: float) -> dict[str, float]:
    def differences(task: str, of_scores: bool) -> np.ndarray:
        """Return proposed minus benchmark of ln(rate) or of a score, seeds x (1 + R)."""
        rows = []
        for pair in judged:
            curves = [model.coded.of(task, [codec])[of_scores][0] for model in pair]
            # Two infinite scores, of predictions that are the truth itself, have no difference.
            with np.errstate(invalid="ignore"):
                rows.append(curves[1] - curves[0] if of_scores else np.log(curves[1] / curves[0]))
        return np.stack(rows)

    tasks = list(judged[0][0].uncompressed)
    bits_SR = differences(tasks[0], False)
    several = len(judged) > 1
    ends = effect_interval(bits_SR[:, 0], bits_SR[:, 1:], confidence) if several else None
    interval = Interval(*(ends or (np.nan, np.nan)))
    row = {
        "bits_percent": float(100 * np.expm1(bits_SR[:, 0].mean())),
        "bits_low": float(100 * np.expm1(interval.low)),
        "bits_high": float(100 * np.expm1(interval.high)),
    }
    for task in tasks:
        change_SR = differences(task, True)
        bound = np.nan
        if several and np.isfinite(change_SR).all():
            bound = repeated_effect(change_SR[:, 0], change_SR[:, 1:]).at_least(confidence)
        name = SCORES[task].name
        row |= {f"{name}_change": float(change_SR[:, 0].mean()), f"{name}_bound": bound}
    return row
