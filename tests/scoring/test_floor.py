"""Scores of predictions that know the training set alone, against the definitions by hand."""

import numpy as np
import pytest
import torch

from pipeline.data.batches import Batch
from pipeline.labels import VOID
from pipeline.scoring.floor import constant_predictors
from pipeline.scoring.metrics import SCORES
from pipeline.scoring.sums import SUMS

IMAGE_NHW3 = np.full((2, 2, 2, 3), [10, 20, 30], np.uint8)
LABEL_NHW = np.array([[[0, 0], [0, 1]], [[VOID, VOID], [VOID, VOID]]], np.uint8)
DISPARITY_NHW = np.array([[[0, 0.25], [0.5, 3]]] * 2, np.float32)


def test_constants_are_scored_by_hand() -> None:
    image_B3HW = torch.tensor([10.0, 20.0, 81.0])[None, :, None, None].expand(1, 3, 2, 2) / 255
    truth = Batch(
        image_B3HW,
        torch.tensor([[[0, 1], [VOID, 2]]]),
        torch.tensor([[[0, 0.25], [1.5, 0]]]),
    )
    found = {}
    for task, predict in constant_predictors(IMAGE_NHW3, LABEL_NHW, DISPARITY_NHW).items():
        sums = {key: value.numpy() for key, value in SUMS[task](predict(truth), truth).items()}
        found[task] = SCORES[task].compute(sums)
    assert found == {
        # Class 0 everywhere: 1 hit of 3 pixels; classes 1 and 2 are in the truth and never hit.
        "segmentation": pytest.approx((1 / 3 + 0 + 0) / 3),
        # A third of the values is off by 51 / 255.
        "reconstruction": pytest.approx(10 * np.log10(3 / 0.2**2)),
        # The median of 0.25, 0.5 and 3 px is 0.5: errors 0.25 and 1.
        "disparity": pytest.approx(1 / ((0.25**2 + 1) / 2) ** 0.5),
    }


@pytest.mark.parametrize("disparity_NHW", [None, np.zeros((2, 2, 2), np.float32)])
def test_a_set_without_disparity_has_no_floor_for_it(disparity_NHW: np.ndarray | None) -> None:
    found = constant_predictors(IMAGE_NHW3, LABEL_NHW, disparity_NHW)
    assert set(found) == {"segmentation", "reconstruction"}
