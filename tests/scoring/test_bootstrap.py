"""The bootstrap against resampling done image by image, and planted effects."""

import numpy as np
import pytest
from pipeline.scoring.obstacles import (
    NotMonotone,
)
from pipeline.scoring.trust import NoRate, ResamplesWithout
from scipy.stats import ttest_1samp

from pipeline.scoring import bootstrap
from pipeline.scoring.bdrate import (
    bd_rate,
    hull_rate,
)
from pipeline.scoring.bootstrap import CurveSums, bootstrap_bd_rate, image_counts
from pipeline.scoring.metrics import SCORES

POINTS = 5
CLASSES = 4


def model(*, images: int = 40, rate: float = 1.0, noise: float = 0.02, seed: int = 0) -> CurveSums:
    """A model whose scores rise with its rate; images differ in size and in difficulty."""
    # Difficulty is the images' own, so equal in all models; what `seed` draws is not.
    shared = np.random.default_rng(99)
    bulk_N, hard_N = shared.uniform(0.5, 2, images), shared.uniform(0.5, 2, images)
    generator = np.random.default_rng(seed)
    level_P = np.arange(POINTS, 0, -1.0)
    rate_PN = rate * level_P[:, None] * bulk_N
    sums = []
    for level in level_P:
        error_N = hard_N / level * generator.uniform(1 - noise, 1 + noise, images)
        confusion_NKK = np.empty((images, CLASSES, CLASSES))
        confusion_NKK[:] = 100 * error_N[:, None, None]
        confusion_NKK[:, range(CLASSES), range(CLASSES)] = 2000
        sums.append(
            {
                "confusion": confusion_NKK.astype(np.int64),
                "disparity_squared_error": 90 * error_N,
                "disparity_pixels": np.where(np.arange(images) % 7 == 3, 0, 90),
                "image_squared_error": 5 * error_N,
                "image_values": np.full(images, 300),
            }
        )
    return CurveSums(rate_PN, sums)


def score_of_images(task: str, sums: dict[str, np.ndarray], drawn: np.ndarray) -> float:
    """The score's definition, image by image."""
    if task == "segmentation":
        confusion = sum(sums["confusion"][n] for n in drawn)
        hits = [confusion[k, k] for k in range(CLASSES)]
        totals = [confusion[k].sum() + confusion[:, k].sum() - hits[k] for k in range(CLASSES)]
        return float(np.mean([hit / total for hit, total in zip(hits, totals, strict=True)]))
    if task == "disparity":
        error, pixels = sums["disparity_squared_error"], sums["disparity_pixels"]
        return float(1 / np.mean([(error[n] / pixels[n]) ** 0.5 for n in drawn if pixels[n]]))
    mse = [sums["image_squared_error"][n] / sums["image_values"][n] for n in drawn]
    return float(np.mean([10 * np.log10(1 / each) for each in mse]))


@pytest.mark.parametrize("task", SCORES)
def test_equals_resampling_by_hand(task: str) -> None:
    anchor, test = model(images=12, seed=1), model(images=12, rate=0.9, seed=2)
    found = bootstrap_bd_rate([anchor], [test], SCORES[task], resamples=50, level=0.9, seed=5)
    percents = []
    for counts in image_counts(12, resamples=50, seed=5):
        drawn = np.repeat(np.arange(12), counts.astype(int))
        curves = []
        for curve in (anchor, test):
            curves.append([np.mean([rates[n] for n in drawn]) for rates in curve.rate_PN])
            curves.append([score_of_images(task, dict(sums), drawn) for sums in curve.sums])
        percents.append(bd_rate(*curves).percent)
    assert None not in percents
    gaps = np.log1p(np.array(percents, float) / 100)
    expected = 100 * np.expm1(np.quantile(gaps, [0.05, 0.95]))
    np.testing.assert_allclose([found.low, found.high], expected, rtol=1e-9)
    assert (found.level, found.resamples, found.failed, found.obstacle) == (0.9, 50, 0, None)


def test_counts_are_draws_with_replacement() -> None:
    counts_RN = image_counts(30, resamples=2000, seed=0)
    assert (counts_RN.sum(1) == 30).all()
    # A binomial count of 30 draws at 1/30: mean 1, variance 29/30.
    np.testing.assert_allclose(counts_RN.mean(0), 1, atol=0.1)
    assert counts_RN.var() == pytest.approx(29 / 30, rel=0.03)
    np.testing.assert_array_equal(counts_RN, image_counts(30, resamples=2000, seed=0))
    assert (counts_RN != image_counts(30, resamples=2000, seed=1)).any()


@pytest.mark.parametrize("task", SCORES)
def test_planted_saving_lies_in_its_interval(task: str) -> None:
    found = bootstrap_bd_rate(
        *([model(seed=1)], [model(rate=0.8, seed=2)], SCORES[task]),
        resamples=200,
        level=0.95,
        seed=0,
    )
    assert found.low is not None
    assert found.high is not None
    assert found.low < -20 < found.high < 0
    assert not found.no_difference_shown


@pytest.mark.parametrize("task", SCORES)
@pytest.mark.parametrize("seeds", [1, 3])
def test_identical_arms_give_exactly_zero(task: str, seeds: int) -> None:
    arms = [[model(seed=seed) for seed in range(seeds)] for _ in range(2)]
    found = bootstrap_bd_rate(*arms, SCORES[task], resamples=50, level=0.95, seed=0)
    assert (found.percent, found.low, found.high) == (0.0, 0.0, 0.0)
    assert found.no_difference_shown


def test_no_effect_gives_an_interval_holding_zero() -> None:
    found = bootstrap_bd_rate(
        *([model(seed=1)], [model(seed=2)], SCORES["reconstruction"]),
        resamples=200,
        level=0.95,
        seed=0,
    )
    assert found.percent != 0
    assert found.no_difference_shown


def test_pairing_takes_the_images_own_size_out() -> None:
    # Sizes vary fourfold between images, but alike in both arms: hardly any of it may remain.
    found = bootstrap_bd_rate(
        *([model(noise=0, seed=1)], [model(noise=0, rate=0.8, seed=2)], SCORES["disparity"]),
        resamples=100,
        level=0.95,
        seed=0,
    )
    assert (found.low, found.high) == (pytest.approx(-20), pytest.approx(-20))


def test_seeds_are_compared_as_pairs() -> None:
    """Seed 0 saves 10 %, seed 1 saves 30 %; images are without noise: Student's interval of two."""
    anchors = [model(noise=0), model(noise=0, rate=2)]
    tests = [model(noise=0, rate=0.9), model(noise=0, rate=1.4)]
    found = bootstrap_bd_rate(
        anchors, tests, SCORES["disparity"], resamples=100, level=0.95, seed=0
    )
    logs = np.log([0.9, 0.7])
    assert found.percent == pytest.approx(100 * np.expm1(logs.mean()))
    expected = ttest_1samp(logs, 0).confidence_interval(0.95)
    assert (found.low, found.high) == (
        pytest.approx(100 * np.expm1(expected.low)),
        pytest.approx(100 * np.expm1(expected.high)),
    )


def test_resamples_without_a_figure_are_counted_and_too_many_leave_no_interval() -> None:
    anchor, test = model(images=15, noise=0.6, seed=4), model(images=15, noise=0.6, seed=6)
    arguments = ([anchor], [test], SCORES["reconstruction"])
    found = bootstrap_bd_rate(*arguments, resamples=200, level=0.95, seed=0)
    assert found.percent is not None
    assert found.failed > 10
    assert (found.low, found.high) == (None, None)
    assert found.obstacle == ResamplesWithout(found.failed, 200)
    by_hull = bootstrap_bd_rate(
        *arguments,
        resamples=200,
        level=0.95,
        seed=0,
        rate=hull_rate,
    )
    assert by_hull.failed < found.failed


def test_no_figure_on_all_images() -> None:
    anchor = model()
    turned = CurveSums(anchor.rate_PN[::-1], anchor.sums)
    found = bootstrap_bd_rate(
        [anchor], [turned], SCORES["disparity"], resamples=10, level=0.95, seed=0
    )
    assert (found.percent, found.low) == (None, None)
    assert isinstance(found.obstacle, NoRate)
    assert isinstance(found.obstacle.obstacle, NotMonotone)
    assert found.obstacle.obstacle.curve == "test"


def test_arms_must_pair_up() -> None:
    score = SCORES["disparity"]
    with pytest.raises(ValueError, match="1 anchor and 2 test models"):
        bootstrap_bd_rate([model()], [model(), model()], score, resamples=2, level=0.9, seed=0)
    with pytest.raises(ValueError, match=r"over \[39, 40\] images"):
        bootstrap_bd_rate([model()], [model(images=39)], score, resamples=2, level=0.9, seed=0)


@pytest.mark.parametrize(("lacking", "there"), [(0, True), (5, True), (6, False)])
def test_five_resamples_of_a_hundred_may_lack_an_effect(lacking: int, there: bool) -> None:
    resampled_1R = np.linspace(0, 1, 100)[None]
    resampled_1R[0, :lacking] = np.nan
    found = bootstrap.effect_interval(np.array([0.5]), resampled_1R, 0.9)
    assert (found is not None) == there
