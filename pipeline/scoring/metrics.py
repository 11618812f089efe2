"""From per-image sums to mIoU, IRMSE, PSNR and bits per feature element.

Every score here takes N images, and can be had for R resamples of them at once: `counts_RN` says
how often each image is in each resample. Scores are defined so that more is better.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.artifacts import Sums
from pipeline.labels import CLASSES

IMAGES = 4096
"""So many confusions become float64 at once, 11 MiB."""


class Print(NamedTuple):
    """How a score is printed: `value * scale` to so many digits, then the unit."""

    unit: str
    scale: float
    digits: int


@dataclass(frozen=True)
class Score:
    """How one task is scored, and how it is called in print."""

    name: str
    """In tables and file keys: "miou"."""
    label: str
    """On axes and in print: "mIoU"."""
    unit: str
    """"" for a score without one."""
    resampled: Callable[[Sums, np.ndarray], np.ndarray]
    """(sums of N images, counts_RN) -> scores_R float64."""
    title: str
    """Of the task: "Semantic segmentation"."""
    printed: Print
    parts: Callable[[Sums], dict[str, float]] | None = None
    """Sums of N images -> what the score is made of, by name; None for a score of one part."""
    learned: Callable[[float], float] = lambda trivial: trivial
    """Score of a prediction that knows the training set alone -> the least score of a network that
    has learned something."""
    facts: Callable[[Sums], dict[str, float]] | None = None
    """Sums of N images -> values given beside the score, by the name of their column."""
    averaged: Callable[[np.ndarray], np.ndarray] = lambda score: score
    """Where images are split between two codec points, this is the mix of both. mIoU is so nearly:
    half of the images at either point gave 41 to 50 % of the way between their mIoU."""

    def compute(self, sums: Sums) -> float:
        """Return the score of all images, each once. ValueError if there are none."""
        images = len(next(iter(sums.values())))
        return float(self.resampled(sums, np.ones((1, images)))[0])


def mean_iou(sums: Sums, counts_RN: np.ndarray) -> np.ndarray:
    """Return mean intersection over union, (R,), 0 to 1, of one confusion over the whole set.

    The mean is over the classes that the truth holds; NaN if it holds none. So it is of the same
    classes whatever is predicted, for both arms and at every codec. A class that is predicted but
    not in the truth only lowers the others, whose pixels it takes. `official_mean_iou` counts it.
    """
    confusion_RKK = _confusion(sums, counts_RN)
    return _mean_where(confusion_RKK.sum(2) > 0, _iou(confusion_RKK))


def official_mean_iou(sums: Sums) -> float:
    """Return mIoU as the official Cityscapes script and the paper's code take the mean.

    It is over the classes in the truth or in the prediction. One stray pixel of a class that the
    truth does not hold enters it as a zero.
    """
    iou_1K = _iou(_confusion(sums, np.ones((1, len(sums["confusion"])))))
    return float(_mean_where(~np.isnan(iou_1K), iou_1K)[0])


def classes_in_truth(sums: Sums) -> int:
    """Return how many classes `mean_iou` is the mean of."""
    return int((sums["confusion"].sum((0, 2)) > 0).sum())


def segmentation_facts(sums: Sums) -> dict[str, float]:
    """Return what is said beside mIoU: its official form, and the number of classes in ours."""
    return {"miou_official": official_mean_iou(sums), "miou_classes": classes_in_truth(sums)}


def iou_per_class(sums: Sums) -> np.ndarray:
    """Return intersection over union of each class over the set, (K,) float64; NaN if absent."""
    return _iou(_confusion(sums, np.ones((1, len(sums["confusion"]))))[0])


def iou_by_name(sums: Sums) -> dict[str, float]:
    """Return the intersection over union of each class by its name; NaN where absent."""
    return dict(zip(CLASSES, iou_per_class(sums).tolist(), strict=True))


def inverse_rmse(sums: Sums, counts_RN: np.ndarray) -> np.ndarray:
    """Return 1 / (mean over images of the RMSE of one image's disparity), (R,), 1/px.

    An image without any valid pixel has no RMSE and is left out of the mean; NaN if all are.
    Not KITTI's iRMSE, which is the RMSE of inverse depth.
    """
    pixels_N = sums["disparity_pixels"]
    _check_counts(pixels_N, counts_RN)
    seen_N = pixels_N > 0
    rmse_N = np.sqrt(sums["disparity_squared_error"] / np.maximum(pixels_N, 1))
    mean_R = _ratio(counts_RN @ np.where(seen_N, rmse_N, 0.0), counts_RN @ seen_N.astype(float))
    with np.errstate(divide="ignore"):
        return 1.0 / mean_R


def mean_psnr(sums: Sums, counts_RN: np.ndarray) -> np.ndarray:
    """Return mean over images of 10 log10(1 / MSE), (R,), dB, for values in [0, 1].

    An image without error has an infinite PSNR, and so has every mean it is part of.
    """
    squared_error_N = sums["image_squared_error"]
    _check_counts(squared_error_N, counts_RN)
    exact_N = squared_error_N == 0
    mse_N = np.where(exact_N, 1.0, squared_error_N / sums["image_values"])
    mean_R = counts_RN @ (-10.0 * np.log10(mse_N)) / counts_RN.sum(1)
    # Apart, since an image drawn no time must not turn the mean into 0 x inf.
    return np.where(counts_RN @ exact_N.astype(float) > 0, np.inf, mean_R)


def bits_per_element_resampled(
    bytes_N: np.ndarray, counts_RN: np.ndarray, *, elements: int
) -> np.ndarray:
    """Return means of 8 bytes / elements over images, (R,); `elements` is C h w of the features."""
    _check_counts(bytes_N, counts_RN)
    return 8.0 / elements * (counts_RN @ bytes_N.astype(np.float64)) / counts_RN.sum(1)


def bits_per_element(bytes_N: np.ndarray, *, elements: int) -> float:
    """Return BPFE of all images: whole bitstreams or payloads alone, as `bytes_N` counts them."""
    counts_1N = np.ones((1, len(bytes_N)))
    return float(bits_per_element_resampled(bytes_N, counts_1N, elements=elements)[0])


def _confusion(sums: Sums, counts_RN: np.ndarray) -> np.ndarray:
    """Return the confusion of each resample, (R, K, K) float64: rows truth, columns prediction."""
    confusion_NKK = sums["confusion"]
    classes = confusion_NKK.shape[1]
    _check_counts(confusion_NKK, counts_RN)
    total_RC = np.zeros((len(counts_RN), classes**2))
    # In parts: as float64 all images at once would need as much memory again. Whole numbers below
    # 2^53 add up without rounding, so the parts change nothing.
    for first in range(0, len(confusion_NKK), IMAGES):
        part_nC = confusion_NKK[first : first + IMAGES].reshape(-1, classes**2)
        total_RC += counts_RN[:, first : first + IMAGES] @ part_nC.astype(np.float64)
    return total_RC.reshape(-1, classes, classes)


def _mean_where(counted_RK: np.ndarray, value_RK: np.ndarray) -> np.ndarray:
    return _ratio(np.where(counted_RK, value_RK, 0.0).sum(1), counted_RK.sum(1))


def _iou(confusion: np.ndarray) -> np.ndarray:
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _ratio(hit, confusion.sum(-1) + confusion.sum(-2) - hit)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def _check_counts(per_image: np.ndarray, counts_RN: np.ndarray) -> None:
    if not len(per_image) or counts_RN.shape[1:] != (len(per_image),):
        raise ValueError(
            f"sums of {len(per_image)} images with counts of shape {counts_RN.shape}: "
            "there must be at least one image and one count for each"
        )


SCORES = {
    "segmentation": Score(
        "miou",
        "mIoU",
        "",
        mean_iou,
        "Semantic segmentation",
        Print("%", 100, 2),
        iou_by_name,
        lambda trivial: 2 * trivial,
        segmentation_facts,
    ),
    "disparity": Score(
        "irmse",
        "IRMSE",
        "1/px",
        inverse_rmse,
        "Disparity",
        Print("1/px", 1, 4),
        # Three quarters of the trivial RMSE.
        learned=lambda trivial: trivial * 4 / 3,
        averaged=lambda irmse: -1 / irmse,
    ),
    "reconstruction": Score(
        "psnr",
        "PSNR",
        "dB",
        mean_psnr,
        "Reconstruction",
        Print("dB", 1, 2),
        learned=lambda trivial: trivial + 1,
    ),
}
"""Task -> its score."""
