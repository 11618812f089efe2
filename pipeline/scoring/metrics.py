"""From per-image sums to mIoU, IRMSE, PSNR and bits per feature element.

Every score here takes N images, and can be had for R resamples of them at once: `counts_RN` says
how often each image is in each resample. Scores are defined so that more is better.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.data.labels import CLASSES

Sums = Mapping[str, np.ndarray]
"""Name of a sum (see `sums`) -> array whose first dimension is the image."""


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

    def compute(self, sums: Sums) -> float:
        """The score of all images, each once. ValueError if there are none."""
        images = len(next(iter(sums.values())))
        return float(self.resampled(sums, np.ones((1, images)))[0])


def mean_iou(sums: Sums, counts_RN: np.ndarray) -> np.ndarray:
    """Mean intersection over union, (R,), 0 to 1, of one confusion over the whole set.

    Classes absent from both truth and prediction are left out; NaN if that leaves none.
    """
    confusion_NKK = sums["confusion"]
    classes = confusion_NKK.shape[1]
    _check_counts(confusion_NKK, counts_RN)
    flat_NC = confusion_NKK.reshape(len(confusion_NKK), -1).astype(np.float64)
    iou_RK = _iou((counts_RN @ flat_NC).reshape(-1, classes, classes))
    present_RK = ~np.isnan(iou_RK)
    return _ratio(np.where(present_RK, iou_RK, 0.0).sum(1), present_RK.sum(1))


def iou_per_class(sums: Sums) -> np.ndarray:
    """Intersection over union of each class over the whole set, (K,) float64; NaN where absent."""
    return _iou(sums["confusion"].sum(0).astype(np.float64))


def iou_by_name(sums: Sums) -> dict[str, float]:
    """Return the intersection over union of each class by its name; NaN where absent."""
    return dict(zip(CLASSES, iou_per_class(sums).tolist(), strict=True))


def inverse_rmse(sums: Sums, counts_RN: np.ndarray) -> np.ndarray:
    """1 / (mean over images of the RMSE of one image's disparity), (R,), 1/px.

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
    """Mean over images of 10 log10(1 / MSE), (R,), dB, for values in [0, 1].

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
    """Mean over images of 8 bytes / elements, (R,); `elements` is C h w of the features."""
    _check_counts(bytes_N, counts_RN)
    return 8.0 / elements * (counts_RN @ bytes_N.astype(np.float64)) / counts_RN.sum(1)


def bits_per_element(bytes_N: np.ndarray, *, elements: int) -> float:
    """BPFE of all images: whole bitstreams or payloads alone, as `bytes_N` counts them."""
    counts_1N = np.ones((1, len(bytes_N)))
    return float(bits_per_element_resampled(bytes_N, counts_1N, elements=elements)[0])


@dataclass(frozen=True)
class JointRate:
    """The rate from which on every task is good enough: one bitstream serves them all."""

    rate: float | None
    """In the unit of the rates given; None if no rate measured is enough."""
    limiting: str | None
    """The task that sets the rate; None if the lowest rate measured suffices for all."""
    reason: str | None
    """Why there is no rate, or why the rate given is only an upper bound."""


def joint_rate(
    rate_P: np.ndarray,
    score_P_of: Mapping[str, np.ndarray],
    reference_of: Mapping[str, float],
    *,
    loss_percent: float,
) -> JointRate:
    """Lowest rate from which on no task loses more than `loss_percent` of its reference score.

    `score_P_of` and `reference_of` go by task; the reference is the score with uncompressed
    features. Between two points a score is taken as linear in the logarithm of the rate.
    """
    order = np.argsort(rate_P, kind="stable")
    log_rate_P = np.log(np.asarray(rate_P, np.float64)[order])
    rate, limiting = float(np.exp(log_rate_P[0])), None
    for task, score_P in score_P_of.items():
        spare_P = np.asarray(score_P)[order] - (1 - loss_percent / 100) * reference_of[task]
        short = np.flatnonzero(~(spare_P >= 0))
        if not len(short):
            continue
        last = short[-1]
        if last == len(spare_P) - 1:
            lost = 100 * (1 - np.asarray(score_P)[order][-1] / reference_of[task])
            reason = f"{task} loses {lost:.3g} % even at the highest rate, {loss_percent:g} allowed"
            return JointRate(None, task, reason)
        share = -spare_P[last] / (spare_P[last + 1] - spare_P[last])
        needed = float(np.exp(log_rate_P[last] + share * (log_rate_P[last + 1] - log_rate_P[last])))
        if limiting is None or needed > rate:
            rate, limiting = needed, task
    bound = "every point measured is good enough: an upper bound" if limiting is None else None
    return JointRate(rate, limiting, bound)


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
        "miou", "mIoU", "", mean_iou, "Semantic segmentation", Print("%", 100, 2), iou_by_name
    ),
    "disparity": Score("irmse", "IRMSE", "1/px", inverse_rmse, "Disparity", Print("1/px", 1, 4)),
    "reconstruction": Score("psnr", "PSNR", "dB", mean_psnr, "Reconstruction", Print("dB", 1, 2)),
}
"""Task -> its score."""
