"""Senders against each other at equal score, with a verdict, and changes at a point.

Two senders are paired within seed and image.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import permutations
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.artifacts import ARMS, PICTURE_ARM
from pipeline.report.measured import Measured, Sent, by_sender
from pipeline.report.names import MEAN, PAPER, Sender, preferred
from pipeline.scoring.bdrate import BDRate, bd_rate, hull_rate
from pipeline.scoring.bootstrap import Curve, Interval, bd_interval, effect_interval, mean_percent
from pipeline.scoring.metrics import SCORES
from pipeline.scoring.repeats import repeated_effect
from pipeline.scoring.verdict import Evidence, judge, size_of

HULL, CUBIC = "hull_bd_rate", "bd_rate"
NEAR_BEST = 0.2
"""Share of the range of scores, from the anchor's best down, over which a hull's number is given
once more. Most of the range lies where more is lost than many a user would accept."""

Pair = tuple[Sent, Sent]
"""Anchor and test of one seed."""


class Contrast(NamedTuple):
    """Two senders that are compared at equal score, and how."""

    kind: str
    """Names it in bd_rate.json."""
    anchor: Sender
    test: Sender
    max_score_drop: float
    """Of a hull: scores count that lie at most so many per cent below the anchor's best."""
    points: tuple[str, ...] | None = None
    """Of a cubic fit: those it goes through. None is the hull of all points."""

    def rate(self, task: str, *columns: np.ndarray, share: float = 1) -> BDRate:
        """Return the change of bits from rates and scores of the anchor, then of the test.

        share: of the range of scores that counts, from the anchor's best down.
        """
        names = self.anchor.title, self.test.title
        if self.points is not None:
            return bd_rate(*columns, names=names)
        drop = share * self.max_score_drop
        averaged = SCORES[task].averaged
        return hull_rate(*columns, averaged=averaged, max_score_drop=drop, names=names)


def contrasts(
    senders: Iterable[Sender], *, bd_points: Sequence[str], max_score_drop: float
) -> list[Contrast]:
    """Return what is compared of one encoder.

    Proposed against benchmark: with the paper's coders between the hulls and by the paper's cubic
    fit (over points fixed in advance; it exists only if each curve's score rises with its rate),
    then with the best coder between the hulls. The entropy model against the benchmark as in the
    paper, against the benchmark with the best coder, and against the best picture: served by the
    benchmark, and by a network of its own if there is one.
    """
    known, benchmark, proposed = list(senders), *(Sender(arm, PAPER) for arm in ARMS[:2])
    of_arm: dict[tuple[str, bool], list[Sender]] = {}
    for sender in known:
        of_arm.setdefault((sender.arm, sender.picture), []).append(sender)
    best = {of: preferred(some) for of, some in of_arm.items()}
    wanted = [(HULL, benchmark, proposed), (CUBIC, benchmark, proposed)]
    rivals = {PAPER: benchmark}
    if (ARMS[0], False) in best:
        coder = best[ARMS[0], False].coder
        rivals[coder] = Sender(ARMS[0], coder)
        if coder != PAPER:
            wanted.append((f"{HULL}_{coder}", rivals[coder], Sender(ARMS[1], coder)))
    for arm, mark in ((ARMS[0], ""), (PICTURE_ARM, "_own")):
        if (arm, True) in best:
            picture = best[arm, True]
            bare = picture._replace(bare=True)
            rivals[picture.coder + mark] = bare if bare in known else picture
    if ("entropy", False) in best:
        entropy = best["entropy", False]
        wanted += [(f"entropy_{coder}", rival, entropy) for coder, rival in rivals.items()]
    return [
        Contrast(*of, max_score_drop, tuple(bd_points) if of[0] == CUBIC else None)
        for of in wanted
        if set(of[1:]) <= set(known)
    ]


def paired(
    senders: Mapping[Sender, Sequence[Sent]], anchor: Sender, test: Sender
) -> dict[int, Pair]:
    """Return seed -> both senders, for the seeds that have both."""
    tests = {model.name.seed: (model, curve) for model, curve in senders[test]}
    anchors = {model.name.seed: (model, curve) for model, curve in senders[anchor]}
    return {seed: (x, tests[seed]) for seed, x in anchors.items() if seed in tests}


def bd_table(
    models: Sequence[Measured],
    *,
    bd_points: Sequence[str],
    max_score_drop: float,
    confidence: float,
) -> pd.DataFrame:
    """Return the change of bits at equal score of each encoder, contrast, seed and task.

    Returns the columns encoder, seed (of several seeds the mean too, `mean`), task, score, kind,
    anchor, test, seeds, percent (below 0 the test saves bits; NaN if there is none), overlap, low
    and high (of the interval, of the mean or of the only seed), near_best, noise (see `_noise`),
    verdict and reason (see `scoring.verdict`).
    """
    rows = []
    for encoder, senders in by_sender(models).items():
        for of in contrasts(senders, bd_points=bd_points, max_score_drop=max_score_drop):
            of_seed = paired(senders, of.anchor, of.test)
            groups = {str(seed): [pair] for seed, pair in of_seed.items()}
            if len(groups) > 1:
                groups[MEAN] = list(of_seed.values())
            for task in models[0].uncompressed:
                noise = _noise([curve for _, curve in senders[of.anchor]], task, of)
                for seed, judged in groups.items():
                    head = {"encoder": encoder, "seed": seed, "task": task}
                    head |= {"score": SCORES[task].name, "kind": of.kind}
                    head |= {"anchor": of.anchor.title, "test": of.test.title}
                    final = len(judged) == len(of_seed)
                    row = _bd_row(judged, task, of, noise, confidence if final else None)
                    rows.append(head | row)
    return pd.DataFrame(rows)


def _bd_row(
    judged: Sequence[Pair], task: str, of: Contrast, noise: float, confidence: float | None
) -> dict[str, object]:
    """Return one row without its key; confidence: None where no interval is wanted."""
    rate = partial(of.rate, task)
    curves = [[curve.of(task, of.points) for _, curve in pair] for pair in judged]
    found = [rate(*_whole(of_pair)) for of_pair in curves]
    percent = _mean([x.percent for x in found])
    interval = None
    if confidence is not None:
        anchors, tests = zip(*curves, strict=True)
        interval = bd_interval(anchors, tests, rate, confidence=confidence)
    near_best = None
    if of.points is None:
        near_best = _mean([rate(*_whole(x), share=NEAR_BEST).percent for x in curves])
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
    point: int, curves: Sequence[tuple[np.ndarray, np.ndarray]], rate: Callable[..., BDRate]
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
        f"{key} {value} / {test.runtime.get(key, 'unknown')}": None
        for (anchor, _), (test, _) in judged
        for key, value in anchor.runtime.items()
        if test.runtime.get(key) != value
    }
    if differing:
        against.append(f"the arms were not trained alike: {', '.join(differing)}")
    coders: dict[str, dict[str, None]] = {}
    for pair in judged:
        for model, _ in pair:
            for codec, coder in model.coders.items():
                coders.setdefault(codec, {})[coder] = None
    mixed = [f"{codec} {' / '.join(x)}" for codec, x in coders.items() if len(x) > 1]
    if mixed:
        against.append(f"the models were not coded alike: {', '.join(mixed)}")
    floor = judged[0][0][0].floor.get(task)
    if floor is not None:
        scored = float(np.mean([anchor.uncompressed[task][0] for (anchor, _), _ in judged]))
        if not scored >= SCORES[task].learned(floor):
            against.append(
                f"the benchmark has learned too little: it scores {scored:.3g}, a prediction that "
                f"knows the training set alone {floor:.3g}"
            )
    return against


def _noise(anchors: Sequence[Curve], task: str, of: Contrast) -> float:
    """Return the noise of training: the largest change between two seeds of the anchor, unsigned.

    So 10 for -9.1 % and for +10 %; NaN if no two have one. Both directions count: a hull takes its
    range of scores from the best of its anchor.
    """
    sizes = []
    for pair in permutations(anchors, 2):
        found = of.rate(task, *_whole(x.of(task, of.points) for x in pair)).percent
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
    for encoder, senders in by_sender(models).items():
        for anchor in (x for x in senders if x.arm == ARMS[0] and not x.picture):
            test = anchor._replace(arm=ARMS[1])
            judged = list(paired(senders, anchor, test).values()) if test in senders else []
            for codec in judged[0][0][1].points if judged else ():
                if all(codec in curve.points for pair in judged for _, curve in pair):
                    row = _changes_row(judged, codec, confidence)
                    rows.append({"encoder": encoder, "codec": codec, "seeds": len(judged)} | row)
    return pd.DataFrame(rows)


def _changes_row(judged: Sequence[Pair], codec: str, confidence: float) -> dict[str, float]:
    def differences(task: str, of_scores: bool) -> np.ndarray:
        """Return proposed minus benchmark of ln(rate) or of a score, seeds x (1 + R)."""
        rows = []
        for pair in judged:
            curves = [curve.of(task, [codec])[of_scores][0] for _, curve in pair]
            # Two infinite scores, of predictions that are the truth itself, have no difference.
            with np.errstate(invalid="ignore"):
                rows.append(curves[1] - curves[0] if of_scores else np.log(curves[1] / curves[0]))
        return np.stack(rows)

    tasks = list(judged[0][0][0].uncompressed)
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
