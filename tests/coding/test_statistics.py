"""Statistics of levels, worked out by hand and against scipy."""

import numpy as np
import pytest
from scipy.stats import entropy

from pipeline.coding.quantizer import quantize
from pipeline.coding.statistics import level_statistics


def test_by_hand() -> None:
    one = quantize(np.array([[[0.0, 0, 0, 3]]]), 2)
    found = level_statistics([one])
    assert (found.span, found.lowest) == (3, 0.75)
    assert found.deviation == pytest.approx(np.std([0, 0, 0, 3]))
    assert found.entropy == pytest.approx(0.25 * 2 + 0.75 * np.log2(4 / 3))


def test_is_the_mean_over_images() -> None:
    generator = np.random.default_rng(0)
    images = [quantize(generator.normal(size=(4, 5, 6)), 5) for _ in range(3)]
    counts = [np.bincount(x.levels_Chw.ravel()) for x in images]
    assert level_statistics(images).entropy == pytest.approx(
        np.mean([entropy(x, base=2) for x in counts])
    )
    constant = quantize(np.ones((1, 2, 2)), 8)
    assert level_statistics([constant]) == (0, 0, 1, 0)


def test_a_stretched_range_shows() -> None:
    """What a rate loss of levels can do: one far value, and the levels of all others shrink."""
    features_Chw = np.random.default_rng(1).normal(size=(8, 6, 6))
    plain = level_statistics([quantize(features_Chw, 8)])
    features_Chw[0, 0, 0] = 40
    stretched = level_statistics([quantize(features_Chw, 8)])
    assert stretched.span > 4 * plain.span
    assert stretched.deviation < plain.deviation / 2
    assert stretched.entropy < plain.entropy - 1


def test_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no images"):
        level_statistics([])
