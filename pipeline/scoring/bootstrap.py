"""How far a BD-rate depends on the images, and the seeds, it happened to be measured on.

Paired bootstrap: images are drawn with replacement, the same draw for both arms, every codec point
and every seed. The interval of one seed is made of percentiles: it knows nothing of the noise of
training. That of several seeds counts images and seeds (see `repeats`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pipeline.scoring.bdrate import BDRate, bd_rate
from pipeline.scoring.metrics import Score
from pipeline.scoring.repeats import repeated_effect
from pipeline.scoring.trust import Interval, NoRate, ResamplesWithout

FAILED_AT_MOST = 0.05
"""Share of resamples that may lack a BD-rate: what is left is no longer a sample of them all."""


@dataclass(frozen=True)
class CurveSums:
    """One trained model over P codec points, image by image."""

    rate_PN: np.ndarray
    """(P, N) rate of each of N images, bits per feature element or any other unit of size."""
    sums: Sequence[Mapping[str, np.ndarray]]
    """For each point, the sums the score is computed from, of the same N images in order."""


def image_counts(images: int, *, resamples: int, seed: int) -> np.ndarray:
    """Return (R, N) float64: how often each image is in each resample of N draws."""
    generator = np.random.default_rng(seed)
    drawn_RN = generator.integers(images, size=(resamples, images))
    drawn_RN += np.arange(resamples)[:, None] * images
    counts = np.bincount(drawn_RN.ravel(), minlength=resamples * images)
    return counts.reshape(resamples, images).astype(np.float64)


def bootstrap_bd_rate(
    anchors: Sequence[CurveSums],
    tests: Sequence[CurveSums],
    score: Score,
    *,
    resamples: int,
    level: float,
    seed: int,
    rate: Callable[..., BDRate] = bd_rate,
) -> Interval:
    """Return the interval of a BD-rate; of several training seeds, of their mean BD-rate.

    `anchors` and `tests` hold one model per training seed, in the same order of seeds: a pair
    shares its seed. `seed` is the draw's own; the same draw is made for every task, so
    that intervals of several tasks belong together. `rate` is `bd_rate` or another of its form.
    A resample fails if any seed in it has no BD-rate; beyond `FAILED_AT_MOST` there is no interval.
    Raises ValueError if the arms do not have the same number of models or of images.
    """
    images = _common_images(anchors, tests)
    counts_RN = image_counts(images, resamples=resamples, seed=seed)
    every_1N = np.ones((1, images))
    pairs = list(zip(anchors, tests, strict=True))
    whole_S = [_rates(*pair, score, every_1N, rate)[0] for pair in pairs]
    for whole in whole_S:
        if whole.obstacle is not None:
            return Interval(None, None, None, level, resamples, 0, NoRate(whole.obstacle))
    percent_SR = np.array(
        [[each.percent for each in _rates(*pair, score, counts_RN, rate)] for pair in pairs],
        dtype=float,
    )
    percent_S = np.array([whole.percent for whole in whole_S], dtype=float)
    percent = mean_percent(percent_S)
    failed = int(np.isnan(percent_SR).any(0).sum())
    ends = effect_interval(np.log1p(percent_S / 100), np.log1p(percent_SR / 100), level)
    if ends is None:
        obstacle = ResamplesWithout(failed, resamples)
        return Interval(percent, None, None, level, resamples, failed, obstacle)
    low, high = (float(100 * np.expm1(end)) for end in ends)
    return Interval(percent, low, high, level, resamples, failed, None)


def effect_interval(
    effect_S: np.ndarray, resampled_SR: np.ndarray, level: float
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
        low, high = np.quantile(known_SR[0], [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)
    return repeated_effect(effect_S, known_SR).interval(level)


def mean_percent(percent_S: ArrayLike) -> float:
    """Return the mean over seeds of BD-rates in per cent; NaN if one of them is.

    Taken of ln(rate), in which a BD-rate is itself an average.
    """
    return float(100 * np.expm1(np.log1p(np.asarray(percent_S, np.float64) / 100).mean()))


def _common_images(anchors: Sequence[CurveSums], tests: Sequence[CurveSums]) -> int:
    if not anchors or len(anchors) != len(tests):
        raise ValueError(
            f"{len(anchors)} anchor and {len(tests)} test models: one pair for each seed is needed"
        )
    sizes = {curve.rate_PN.shape[1] for curve in (*anchors, *tests)}
    if len(sizes) > 1:
        raise ValueError(f"curves over {sorted(sizes)} images: a paired bootstrap needs the same")
    return sizes.pop()


def _rates(
    anchor: CurveSums,
    test: CurveSums,
    score: Score,
    counts_RN: np.ndarray,
    rate: Callable[..., BDRate],
) -> list[BDRate]:
    """Return one rate for each of R resamples."""
    columns = (*_points(anchor, score, counts_RN), *_points(test, score, counts_RN))
    return [rate(*points) for points in zip(*columns, strict=True)]


def _points(curve: CurveSums, score: Score, counts_RN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (rates_RP, scores_RP) of the resamples."""
    rate_RP = counts_RN @ curve.rate_PN.T / counts_RN.sum(1, keepdims=True)
    return rate_RP, np.stack([score.resampled(sums, counts_RN) for sums in curve.sums], axis=1)
