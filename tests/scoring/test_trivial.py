"""Scores of predictions that know the training set alone, against the definitions by hand."""

import numpy as np
import pytest
from pipeline.scoring.trivial import Truths, trivial_scores

from pipeline.labels import VOID


def test_constants_are_scored_by_hand() -> None:
    train = Truths(
        np.full((2, 2, 2, 3), [10, 20, 30], np.uint8),
        np.array([[[0, 0], [0, 1]], [[VOID, VOID], [VOID, VOID]]], np.uint8),
        np.array([[[0, 4], [6, 50]]] * 2, np.float32),
    )
    val = Truths(
        np.full((1, 2, 2, 3), [10, 20, 81], np.uint8),
        np.array([[[0, 1], [VOID, 2]]], np.uint8),
        np.array([[[0, 9], [3, 0]]], np.float32),
    )
    found = trivial_scores(train, val)
    # Class 0 everywhere: 1 hit of 3 pixels; classes 1 and 2 are in the truth and never hit.
    assert found["segmentation"] == pytest.approx((1 / 3 + 0 + 0) / 3)
    # The median of 4, 6 and 50 is 6: errors 3 and -3.
    assert found["disparity"] == pytest.approx(1 / 3)
    # A third of the values is off by 51 / 255.
    assert found["reconstruction"] == pytest.approx(10 * np.log10(3 / 0.2**2))


def test_a_set_without_disparity_has_no_floor_for_it() -> None:
    of_split = Truths(np.ones((1, 2, 2, 3), np.uint8), np.zeros((1, 2, 2), np.uint8), None)
    assert set(trivial_scores(of_split, of_split)) == {"segmentation", "reconstruction"}


def test_a_disparity_below_one_pixel_counts() -> None:
    image = np.zeros((1, 1, 4, 3), np.uint8)
    label = np.zeros((1, 1, 4), np.uint8)
    train = Truths(image, label, np.array([[[0, 0.25, 0.5, 3]]], np.float32))
    val = Truths(image, label, np.array([[[0, 0.25, 1.5, 0]]], np.float32))
    # The median is 0.5: errors 0.25 and 1.
    found = trivial_scores(train, val)["disparity"]
    assert found == pytest.approx(1 / ((0.25**2 + 1) / 2) ** 0.5)
