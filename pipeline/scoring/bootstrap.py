"""How far a BD-rate depends on the images, and the seeds, it happened to be measured on.

Paired bootstrap: images are drawn with replacement, the same draw for all arms, points, tasks and
seeds. The interval of one seed is made of percentiles: it knows nothing of the noise of training.
That of several seeds counts images and seeds (see `repeats`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pipeline.artifacts import Coded, Sums
from pipeline.scoring.bdrate import BDRate
from pipeline.scoring.metrics import SCORES, bits_per_element_resampled
from pipeline.scoring.repeats import repeated_effect

FAILED_AT_MOST = 0.05
"""Share of resamples that may lack a value: what is left is no longer a sample of them all."""


@dataclass(frozen=True)
class Curve:
    """Rates and scores of one model at P points. Column 0 is of all images, R others of resamples.

    A score that does not exist (no valid pixel) is NaN, in a resample too.
    """

    points: tuple[str, ...]
    rate_PR: np.ndarray
    """(P, 1 + R), bits per feature element."""
    score_PR_of: Mapping[str, np.ndarray]
    """task -> (P, 1 + R)."""

    def of(self, task: str, points: Sequence[str] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return (rates, scores) of one task, each (P, 1 + R); points: some of them, or all."""
        chosen = [i for i, name in enumerate(self.points) if points is None or name in points]
        return self.rate_PR[chosen], self.score_PR_of[task][chosen]


def image_counts(images: int, *, resamples: int, seed: int) -> np.ndarray:
    """Return (R, N) float64: how often each image is in each resample of N draws."""
    generator = np.random.default_rng(seed)
    drawn_RN = generator.integers(images, size=(resamples, images))
    drawn_RN += np.arange(resamples)[:, None] * images
    counts = np.bincount(drawn_RN.ravel(), minlength=resamples * images)
    return counts.reshape(resamples, images).astype(np.float64)


def resampled_scores(sums_of: Mapping[str, Sums], counts_RN: np.ndarray) -> dict[str, np.ndarray]:
    """Return task -> scores of all images and of each resample, (1 + R,), NaN where there is none.

    counts_RN: as `image_counts` makes them.
    """
    every_1N = np.ones((1, counts_RN.shape[1]))
    return {
        task: np.concatenate([SCORES[task].resampled(sums, x) for x in (every_1N, counts_RN)])
        for task, sums in sums_of.items()
    }


def resampled_curve(coded: Mapping[str, Coded], *, elements: int, counts_RN: np.ndarray) -> Curve:
    """Return the curve of one model through these points; elements: C h w of its features."""
    all_RN = np.concatenate([np.ones((1, counts_RN.shape[1])), counts_RN])
    rates = [
        bits_per_element_resampled(x.bytes_N, all_RN, elements=elements) for x in coded.values()
    ]
    scores = [resampled_scores(x.sums, counts_RN) for x in coded.values()]
    return Curve(
        tuple(coded),
        np.stack(rates),
        {task: np.stack([of_point[task] for of_point in scores]) for task in scores[0]},
    )


class Interval(NamedTuple):
    """Interval of a change of rate, in per cent; NaN with a reason if there is none."""

    low: float
    high: float
    why: str = ""

    @property
    def holds_zero(self) -> bool:
        """Whether no difference is shown."""
        return self.low <= 0 <= self.high


def bd_interval(
    anchors: Sequence[tuple[np.ndarray, np.ndarray]],
    tests: Sequence[tuple[np.ndarray, np.ndarray]],
    rate: Callable[..., BDRate],
    *,
    confidence: float,
) -> Interval:
    """Return the interval of a BD-rate; of several training seeds, of their mean BD-rate.

    anchors, tests: (rates, scores) as `Curve.of` gives them, one pair per training seed, in the
    same order of seeds. rate: `bd_rate` or another of its form. A resample fails if any seed in it
    has no BD-rate; beyond `FAILED_AT_MOST` there is no interval.
    """
    pairs = [(*anchor, *test) for anchor, test in zip(anchors, tests, strict=True)]
    whole = [rate(*(column_PR[:, 0] for column_PR in pair)) for pair in pairs]
    for found in whole:
        if found.percent is None:
            return Interval(np.nan, np.nan, found.why)
    percent_SR = [
        [rate(*columns).percent for columns in zip(*(x_PR[:, 1:].T for x_PR in pair), strict=True)]
        for pair in pairs
    ]
    log_S = np.log1p(np.array([found.percent for found in whole], float) / 100)
    log_SR = np.log1p(np.array(percent_SR, float) / 100)
    return rate_interval(log_S, log_SR, confidence=confidence)


def rate_interval(log_S: np.ndarray, log_SR: np.ndarray, *, confidence: float) -> Interval:
    """Return the interval of a mean change of rate over seeds, from changes of ln(rate)."""
    ends = effect_interval(log_S, log_SR, confidence)
    if ends is None:
        failed = int(np.isnan(log_SR).any(0).sum())
        return Interval(np.nan, np.nan, f"{failed} of {log_SR.shape[1]} resamples have no number")
    low, high = (float(100 * np.expm1(end)) for end in ends)
    return Interval(low, high)


def effect_interval(
    effect_S: np.ndarray, resampled_SR: np.ndarray, confidence: float
) -> tuple[float, float] | None:
    """Return the interval of the mean of an effect over seeds, over images and seeds.

    effect_S: of all images. resampled_SR: of R resamples of them, NaN where it does not exist. One
    seed gets percentiles of its resamples, several what `repeats` makes of them. None if an effect
    does not exist, or if more than `FAILED_AT_MOST` of the resamples lack one.
    """
    known_SR = resampled_SR[:, ~np.isnan(resampled_SR).any(0)]
    resamples = resampled_SR.shape[1]
    if np.isnan(effect_S).any() or resamples - known_SR.shape[1] > FAILED_AT_MOST * resamples:
        return None
    if len(effect_S) == 1:
        low, high = np.quantile(known_SR[0], [(1 - confidence) / 2, (1 + confidence) / 2])
        return float(low), float(high)
    return repeated_effect(effect_S, known_SR).interval(confidence)


def mean_percent(percent_S: ArrayLike) -> float:
    """Return the mean over seeds of BD-rates in per cent; NaN if one of them is.

    Taken of ln(rate), in which a BD-rate is itself an average.
    """
    return float(100 * np.expm1(np.log1p(np.asarray(percent_S, np.float64) / 100).mean()))
