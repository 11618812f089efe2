"""How far an effect depends on the images it was measured on and on the seeds it was trained with.

The model is the usual one for a random effect of the seed: the effect of seed s on N images is

    effect_s = truth + training_s + specific_s + common

where `training_s` is the noise of training, `specific_s` what the drawn images do to this one pair
of models, and `common` what they do to all seeds alike (the same images are used for every seed).
The variance of the mean over S seeds is (var(training) + var(specific)) / S + var(common). The
first part is the sample variance between seeds over S, with S - 1 degrees of freedom. The second
is the mean covariance between the seeds' bootstrap replicates over images. Their degrees of freedom
are pooled as Satterthwaite does (Biometrics Bulletin 2, 1946), and the interval is Student's.

A percentile bootstrap over seeds is not used: of three seeds it draws too little variation, and
its 95 % intervals hold the truth in as few as 75 % of simulated experiments
(`benchmarks/coverage.py`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit


@dataclass(frozen=True)
class Effect:
    """Mean effect over seeds, with its uncertainty over images and seeds together."""

    mean: float
    """In the unit of the effect; all images once, mean over seeds."""
    error: float
    """Standard error of the mean, in the same unit; 0 if nothing varies."""
    freedom: float
    """Degrees of freedom of `error`."""
    seeds: int

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the two-sided interval of `confidence` (0.95 for 95 %)."""
        reach = float(stdtrit(self.freedom, (1 + confidence) / 2)) * self.error
        return self.mean - reach, self.mean + reach

    def at_least(self, confidence: float) -> float:
        """Return the bound that the effect is above with this confidence, one-sided."""
        return self.mean - float(stdtrit(self.freedom, confidence)) * self.error


def repeated_effect(effect_S: ArrayLike, resampled_SR: ArrayLike) -> Effect:
    """Return the mean of paired effects and its error over images and seeds.

    effect_S: the effect of each seed, over all images. resampled_SR: the same over R resamples of
    the images; a column is one draw of images, used for every seed. With one seed the error is
    that of the images alone: nothing is then known of the noise of training.
    Raises ValueError if the shapes do not agree or a value is not finite.
    """
    effect, resampled = np.asarray(effect_S, np.float64), np.asarray(resampled_SR, np.float64)
    seeds = len(effect)
    if effect.ndim != 1 or not seeds or resampled.ndim != 2 or len(resampled) != seeds:
        raise ValueError(
            f"effects of shape {effect.shape} with resamples of shape {resampled.shape}: one "
            "effect and one row of resamples for each seed are needed"
        )
    if resampled.shape[1] < 2:
        raise ValueError(f"{resampled.shape[1]} resamples: at least 2 are needed for a variance")
    if not (np.isfinite(effect).all() and np.isfinite(resampled).all()):
        raise ValueError("an effect or a resample is not finite: leave out what cannot be computed")
    mean = float(effect.mean())
    covariance_SS = np.atleast_2d(np.cov(resampled))
    if seeds == 1:
        return Effect(mean, float(covariance_SS[0, 0]) ** 0.5, np.inf, 1)
    between = float(effect.var(ddof=1)) / seeds
    pairs = seeds * (seeds - 1)
    common = max(0.0, float(covariance_SS.sum() - np.trace(covariance_SS)) / pairs)
    total = between + common
    # Only the first part has few degrees of freedom: images are many.
    freedom = (seeds - 1) * (total / between) ** 2 if between > 0 else np.inf
    return Effect(mean, total**0.5, freedom, seeds)
