"""Effects over images and seeds: against formulas worked out by hand, and their coverage."""

import math

import numpy as np
import pytest
from scipy import stats

from pipeline.scoring.repeats import repeated_effect

DRAWS = 200


def test_without_image_noise_it_is_the_t_interval_of_the_seeds() -> None:
    effect_S = np.array([-0.1, -0.2, -0.15, -0.05])
    found = repeated_effect(effect_S, np.tile(effect_S[:, None], (1, DRAWS)))
    expected = stats.ttest_1samp(effect_S, 0).confidence_interval(0.95)
    assert found.interval(0.95) == pytest.approx((expected.low, expected.high))
    assert found.freedom == pytest.approx(3)


def test_image_noise_that_all_seeds_share_does_not_shrink_with_them() -> None:
    common_R = np.random.default_rng(0).normal(0, 0.3, DRAWS)
    found = repeated_effect(np.full(5, -0.2), np.tile(-0.2 + common_R, (5, 1)))
    assert found.error == pytest.approx(common_R.std(ddof=1))
    assert math.isinf(found.freedom)
    assert found.at_least(0.95) == pytest.approx(-0.2 - 1.644854 * common_R.std(ddof=1))


def test_one_seed_knows_the_noise_of_images_alone() -> None:
    resampled_1R = np.random.default_rng(0).normal(0.1, 0.02, (1, DRAWS))
    found = repeated_effect([0.1], resampled_1R)
    assert found.seeds == 1
    assert found.error == pytest.approx(resampled_1R.std(ddof=1))


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(
    ("training", "specific", "common"),
    [(0.05, 0.02, 0.02), (0.01, 0.05, 0.01), (0.02, 0.01, 0.05)],
)
def test_a_95_percent_interval_holds_the_truth_as_often_as_it_says(
    seeds: int, training: float, specific: float, common: float
) -> None:
    """500 simulated experiments with a planted effect; the three noises are given as deviations."""
    generator = np.random.default_rng([seeds, int(1000 * training)])
    truth, experiments = -0.2, 500
    held = 0
    for _ in range(experiments):
        drawn = generator.normal(0, common) + generator.normal(0, specific, seeds)
        effect_S = truth + drawn + generator.normal(0, training, seeds)
        resampled_SR = (
            effect_S[:, None]
            + generator.normal(0, common, DRAWS)
            + generator.normal(0, specific, (seeds, DRAWS))
        )
        low, high = repeated_effect(effect_S, resampled_SR).interval(0.95)
        held += low <= truth <= high
    assert 0.92 <= held / experiments <= 0.98


@pytest.mark.parametrize(
    ("effect_S", "resampled_SR", "words"),
    [
        ([0.1, 0.2], np.zeros((3, 9)), "row of resamples for each seed"),
        ([], np.zeros((0, 9)), "row of resamples for each seed"),
        ([0.1, 0.2], np.zeros((2, 1)), "at least 2"),
        ([0.1, np.nan], np.zeros((2, 9)), "not finite"),
    ],
)
def test_what_makes_no_effect_is_refused(
    effect_S: list[float], resampled_SR: np.ndarray, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        repeated_effect(effect_S, resampled_SR)
