"""How often 95 % intervals of a BD-rate hold the truth, in simulated experiments.

Each experiment has a planted change of bits, S pairs of models with noise of training, and N
images. Its BD-rates come from `pipeline.scoring.bdrate`, as the report's do. Three kinds of
interval are compared: that of `pipeline.scoring.repeats`, a percentile bootstrap over images and
seeds, and Student's interval over the seeds alone.
"""

import argparse
from typing import NamedTuple

import numpy as np
from scipy import stats

from pipeline.scoring.bdrate import bd_rate
from pipeline.scoring.bootstrap import image_counts
from pipeline.scoring.repeats import repeated_effect

RATE_P = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
SCORE_P = np.array([20.0, 19.9, 19.6, 19.0, 18.0])
CHANGE = np.log(0.8)
LEVEL = 0.95


class Noise(NamedTuple):
    """Standard deviations of the simulated noise."""

    training: float
    """Of each seed's change of ln(rate)."""
    specific: float
    """Of what one trained model scores on one image, in dB."""
    common: float
    """Of what the rate term changes from image to image, in ln(rate)."""


NOISES = (
    Noise(0.05, 0.3, 0.0),
    Noise(0.05, 0.3, 0.2),
    Noise(0.01, 0.3, 0.3),
    Noise(0.1, 0.1, 0.05),
)


def experiment(
    generator: np.random.Generator, seeds: int, images: int, resamples: int, noise: Noise
) -> np.ndarray:
    """Return the BD-rates, as ln(1 + BD-rate), seeds x (1 + resamples); all images come first."""
    counts_RN = np.vstack(
        [
            np.ones(images),
            image_counts(images, resamples=resamples, seed=int(generator.integers(2**31))),
        ]
    )
    weights_RN = counts_RN / images
    hard_N, bulk_N = generator.normal(0, 2, images), generator.normal(0, 0.2, images)
    saved_N = generator.normal(0, noise.common, images)
    effect_SR = np.empty((seeds, len(weights_RN)))
    for seed in range(seeds):
        level = generator.normal(0, 0.3)
        curves = []
        for arm in range(2):
            moved_N = arm * (CHANGE + generator.normal(0, noise.training) + saved_N)
            score_N = hard_N + level + generator.normal(0, noise.specific, images)
            rate_PN = RATE_P[:, None] * np.exp(bulk_N + moved_N)
            curves += [weights_RN @ rate_PN.T, SCORE_P + (weights_RN @ score_N)[:, None]]
        for draw, points in enumerate(zip(*curves, strict=True)):
            percent = bd_rate(*points).percent
            assert percent is not None
            effect_SR[seed, draw] = np.log1p(percent / 100)
    return effect_SR


def intervals(effect_SR: np.ndarray, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return (low, high) of each kind of interval."""
    effect_S, resampled_SR = effect_SR[:, 0], effect_SR[:, 1:]
    drawn_SR = generator.integers(len(effect_S), size=resampled_SR.shape)
    means_R = np.take_along_axis(resampled_SR, drawn_SR, axis=0).mean(0)
    reach = stats.t.ppf((1 + LEVEL) / 2, len(effect_S) - 1) * stats.sem(effect_S)
    return {
        "images and seeds": np.array(repeated_effect(effect_S, resampled_SR).interval(LEVEL)),
        "percentiles": np.quantile(means_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]),
        "seeds alone": effect_S.mean() + np.array([-reach, reach]),
    }


def main() -> None:
    """Print the share of experiments whose interval holds the truth, and the median width."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--experiments", type=int, default=500)
    options.add_argument("--resamples", type=int, default=100)
    options.add_argument("--images", type=int, default=64)
    given = options.parse_args()
    for seeds in (3, 5):
        for noise in NOISES:
            generator = np.random.default_rng([seeds, NOISES.index(noise)])
            # The mean of a log-normal change, which is what mean bits per image show.
            truth = CHANGE + noise.common**2 / 2
            found: dict[str, list[np.ndarray]] = {}
            for _ in range(given.experiments):
                effect_SR = experiment(generator, seeds, given.images, given.resamples, noise)
                for kind, ends in intervals(effect_SR, generator).items():
                    found.setdefault(kind, []).append(ends)
            shown = []
            for kind, ends in found.items():
                low, high = np.array(ends).T
                held = np.mean((low <= truth) & (truth <= high))
                shown.append(f"{kind} {100 * held:.1f} % (width {np.median(high - low):.3f})")
            print(f"{seeds} seeds, {noise}: " + "; ".join(shown), flush=True)


if __name__ == "__main__":
    main()
