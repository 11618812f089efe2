"""What a prediction scores that knows the training set alone: the floor of every score."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pipeline.labels import CLASSES
from pipeline.source import Truth

Predictor = Callable[[Truth], Tensor]
"""A batch -> what a decoder of the task could have put out for it."""


def constant_predictors(
    image_NHW3: np.ndarray, label_NHW: np.ndarray, disparity_NHW: np.ndarray | None
) -> dict[str, Predictor]:
    """Return task -> its best constant prediction, from frames of the training set.

    image_NHW3: uint8, RGB. label_NHW: train ids or void. disparity_NHW: pixels, 0 where invalid.
    Segmentation predicts the most frequent class everywhere, disparity the median, reconstruction
    the mean colour. A task without truth has no entry.
    """
    counts = np.bincount(label_NHW.ravel(), minlength=256)
    one_hot_K = np.eye(len(CLASSES))[counts[: len(CLASSES)].argmax()]
    found = {
        "segmentation": _everywhere(one_hot_K),
        "reconstruction": _everywhere(image_NHW3.mean((0, 1, 2)) / 255),
    }
    if disparity_NHW is not None and (valid := disparity_NHW[disparity_NHW > 0]).size:
        found["disparity"] = _everywhere(np.median(valid)[None])
    return found


def _everywhere(value_C: np.ndarray) -> Predictor:
    def predict(truth: Truth) -> Tensor:
        batch, _, height, width = truth.image_B3HW.shape
        value_1C11 = torch.tensor(value_C, dtype=torch.float32, device=truth.image_B3HW.device)
        return value_1C11[None, :, None, None].expand(batch, -1, height, width)

    return predict
