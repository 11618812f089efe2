"""What a prediction scores that knows the training set alone: the floor of every score."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipeline.labels import CLASSES, VOID
from pipeline.scoring.metrics import SCORES, Sums


class Truths(NamedTuple):
    """What the frames of a split hold."""

    image_NHW3: np.ndarray
    """uint8."""
    label_NHW: np.ndarray
    """uint8, train ids or void."""
    disparity_NHW: np.ndarray | None
    """float32, pixels; 0 where invalid. None if the data set has none."""


def trivial_scores(train: Truths, val: Truths) -> dict[str, float]:
    """Return task -> score of its best constant prediction, on the frames of `val`.

    Segmentation predicts the most frequent class of `train` everywhere, disparity its median,
    reconstruction its mean colour. A task without truth has no entry.
    """
    floors: dict[str, Callable[[Truths, Truths], Sums | None]] = {
        "segmentation": _most_frequent_class,
        "disparity": _median_disparity,
        "reconstruction": _mean_colour,
    }
    sums = {task: of(train, val) for task, of in floors.items()}
    return {task: SCORES[task].compute(x) for task, x in sums.items() if x is not None}


def _most_frequent_class(train: Truths, val: Truths) -> Sums:
    counts = np.bincount(train.label_NHW.ravel(), minlength=256)
    counts[VOID] = 0
    classes, predicted = len(CLASSES), int(counts.argmax())
    confusion_NKK = np.zeros((len(val.label_NHW), classes, classes), np.int64)
    for image, label_HW in enumerate(val.label_NHW):
        confusion_NKK[image, :, predicted] = np.bincount(label_HW.ravel(), minlength=256)[:classes]
    return {"confusion": confusion_NKK}


def _median_disparity(train: Truths, val: Truths) -> Sums | None:
    if train.disparity_NHW is None or val.disparity_NHW is None:
        return None
    predicted = np.median(train.disparity_NHW[train.disparity_NHW > 0])
    error, pixels = [], []
    for truth_HW in val.disparity_NHW:
        valid_HW = truth_HW > 0
        error.append(np.square(predicted - truth_HW[valid_HW], dtype=np.float64).sum())
        pixels.append(valid_HW.sum())
    return {"disparity_squared_error": np.array(error), "disparity_pixels": np.array(pixels)}


def _mean_colour(train: Truths, val: Truths) -> Sums:
    mean_3 = train.image_NHW3.mean((0, 1, 2)) / 255
    error_N = [np.square(image_HW3 / 255 - mean_3).sum() for image_HW3 in val.image_NHW3]
    values = val.image_NHW3[0].size
    return {"image_squared_error": np.array(error_N), "image_values": np.full(len(error_N), values)}
