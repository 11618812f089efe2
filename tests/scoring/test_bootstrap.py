"""The bootstrap against resampling done image by image, and planted effects."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from pipeline.artifacts import Coded
from pipeline.scoring.bdrate import bd_rate, hull_rate
from pipeline.scoring.bootstrap import (
    Curve,
    Interval,
    bd_interval,
    effect_interval,
    image_counts,
    resampled_curve,
)
from pipeline.scoring.metrics import SCORES

ELEMENTS = 800
POINTS = 5
CLASSES = 4
Model = dict[str, Coded]


def model(*, images: int = 40, rate: float = 1.0, noise: float = 0.02, seed: int = 0) -> Model:
    """A model whose scores rise with its rate; images differ in size and in difficulty."""
    # Difficulty is the images' own, so equal in all models; what `seed` draws is not.
    shared = np.random.default_rng(99)
    bulk_N, hard_N = shared.uniform(0.5, 2, images), shared.uniform(0.5, 2, images)
    generator = np.random.default_rng(seed)
    level_P = np.arange(POINTS, 0, -1.0)
    points = {}
    for level in level_P:
        error_N = hard_N / level * generator.uniform(1 - noise, 1 + noise, images)
        confusion_NKK = np.empty((images, CLASSES, CLASSES))
        confusion_NKK[:] = 100 * error_N[:, None, None]
        confusion_NKK[:, range(CLASSES), range(CLASSES)] = 2000
        sums = {
            "confusion": confusion_NKK.astype(np.int64),
            "disparity_squared_error": 90 * error_N,
            "disparity_pixels": np.where(np.arange(images) % 7 == 3, 0, 90),
            "image_squared_error": 5 * error_N,
            "image_values": np.full(images, 300),
        }
        # Bytes are no whole numbers here, so that a planted share is exact.
        payload_N = 100 * rate * level * bulk_N
        points[f"at-{level:g}"] = Coded(np.zeros(images), payload_N, dict.fromkeys(SCORES, sums))
    return points


def resampled(model: Model, *, resamples: int = 200, seed: int = 0) -> Curve:
    images = len(next(iter(model.values())).payload_N)
    counts_RN = image_counts(images, resamples=resamples, seed=seed)
    return resampled_curve(model, elements=ELEMENTS, counts_RN=counts_RN)


def interval(
    anchors: list[Model], tests: list[Model], task: str, rate=bd_rate, confidence=0.95, **drawn: int
) -> Interval:
    curves = [[resampled(x, **drawn).of(task) for x in models] for models in (anchors, tests)]
    return bd_interval(*curves, rate, confidence=confidence)


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
    found = interval([anchor], [test], task, confidence=0.9, resamples=50, seed=5)
    percents = []
    for counts in image_counts(12, resamples=50, seed=5):
        drawn = np.repeat(np.arange(12), counts.astype(int))
        curves = []
        for points in (anchor, test):
            bits = [8 * x.payload_N[drawn] / ELEMENTS for x in points.values()]
            curves.append([each.mean() for each in bits])
            curves.append([score_of_images(task, x.sums[task], drawn) for x in points.values()])
        percents.append(bd_rate(*curves).percent)
    assert None not in percents
    gaps = np.log1p(np.array(percents, float) / 100)
    expected = 100 * np.expm1(np.quantile(gaps, [0.05, 0.95]))
    np.testing.assert_allclose(found[:2], expected, rtol=1e-9)
    assert not found.why


def test_the_first_column_is_of_all_images() -> None:
    points = model(images=9)
    curve = resampled(points)
    rate_PR, score_PR = curve.of("disparity")
    assert rate_PR.shape == score_PR.shape == (POINTS, 201)
    whole = [SCORES["disparity"].compute(x.sums["disparity"]) for x in points.values()]
    assert score_PR[:, 0].tolist() == whole
    assert rate_PR[0, 0] == pytest.approx(8 * points["at-5"].payload_N.mean() / ELEMENTS)
    some, _ = curve.of("disparity", ["at-4", "at-1", "none"])
    assert some.tolist() == rate_PR[[1, 4]].tolist()


def test_counts_are_draws_with_replacement() -> None:
    counts_RN = image_counts(30, resamples=2000, seed=0)
    assert (counts_RN.sum(1) == 30).all()
    # A binomial count of 30 draws at 1/30: mean 1, variance 29/30.
    np.testing.assert_allclose(counts_RN.mean(0), 1, atol=0.1)
    assert counts_RN.var() == pytest.approx(29 / 30, rel=0.03)
    np.testing.assert_array_equal(counts_RN, image_counts(30, resamples=2000, seed=0))
    assert (counts_RN != image_counts(30, resamples=2000, seed=1)).any()


@pytest.mark.parametrize("task", SCORES)
@pytest.mark.parametrize("seeds", [1, 3])
def test_identical_arms_give_exactly_zero(task: str, seeds: int) -> None:
    arms = [[model(seed=seed) for seed in range(seeds)] for _ in range(2)]
    assert interval(*arms, task, resamples=50) == (0.0, 0.0, "")


def test_no_effect_gives_an_interval_holding_zero() -> None:
    found = interval([model(seed=1)], [model(seed=2)], "reconstruction")
    assert found.holds_zero
    assert found.low < found.high


def test_seeds_are_compared_as_pairs() -> None:
    """Seed 0 saves 10 %, seed 1 saves 30 %; images are without noise: Student's interval of two."""
    anchors = [model(noise=0), model(noise=0, rate=2)]
    tests = [model(noise=0, rate=0.9), model(noise=0, rate=1.4)]
    expected = ttest_1samp(np.log([0.9, 0.7]), 0).confidence_interval(0.95)
    assert interval(anchors, tests, "disparity") == (
        pytest.approx(100 * np.expm1(expected.low)),
        pytest.approx(100 * np.expm1(expected.high)),
        "",
    )


def test_too_many_resamples_without_a_number_leave_no_interval() -> None:
    arms = [model(images=15, noise=0.6, seed=4)], [model(images=15, noise=0.6, seed=6)]
    found = interval(*arms, "reconstruction")
    assert np.isnan(found[:2]).all()
    failed = int(found.why.removesuffix(" of 200 resamples have no number"))
    assert failed > 10
    by_hull = interval(*arms, "reconstruction", hull_rate)
    assert not by_hull.why or int(by_hull.why.split()[0]) < failed


def test_a_score_that_a_resample_does_not_have_is_nan_there_alone() -> None:
    """Of two images one has valid pixels: a quarter of the draws of two lacks a score."""
    sums = {
        "disparity_squared_error": np.array([90.0, 0]),
        "disparity_pixels": np.array([90, 0]),
    }
    coded = Coded(np.zeros(2), np.array([10.0, 10]), {"disparity": sums})
    _, score_PR = resampled({"png": coded}, resamples=400).of("disparity")
    assert score_PR[0, 0] == 1
    lacking = np.isnan(score_PR[0, 1:])
    assert 60 < lacking.sum() < 140
    assert (score_PR[0, 1:][~lacking] == 1).all()


@pytest.mark.parametrize(("lacking", "there"), [(0, True), (5, True), (6, False)])
def test_five_resamples_of_a_hundred_may_lack_an_effect(lacking: int, there: bool) -> None:
    resampled_1R = np.linspace(0, 1, 100)[None]
    resampled_1R[0, :lacking] = np.nan
    found = effect_interval(np.array([0.5]), resampled_1R, 0.9)
    assert (found is not None) == there
