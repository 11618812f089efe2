"""Per-image sums: all that the scores need to know of a prediction, and that simply adds up.

They are taken on the device the prediction lies on; nothing is scored here (`metrics` does that,
without torch). Each task's function is called the same way, so that a loop over tasks needs no
case of its own: `SUMS[task](prediction, truth)`.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from pipeline.labels import VOID
from pipeline.source import Truth


def segmentation_sums(logits_BKHW: Tensor, truth: Truth) -> dict[str, Tensor]:
    """Return confusion of each image; void pixels are left out.

    Returns `confusion` (B, K, K) int64: rows truth, columns prediction (the largest logit).
    Raises ValueError for other shapes, or a label that is neither 0 to K-1 nor void.
    """
    batch, classes = logits_BKHW.shape[:2]
    label_BHW = truth.label_BHW
    _same_shape("segmentation", (batch, *logits_BKHW.shape[2:]), "labels", label_BHW)
    void_BHW = label_BHW == VOID
    if bool(((label_BHW < 0) | (label_BHW >= classes) & ~void_BHW).any()):
        found = sorted(set(label_BHW.unique().tolist()) - set(range(classes)) - {VOID})
        raise ValueError(f"labels {found} are neither train ids 0 to {classes - 1} nor void {VOID}")
    image_B11 = torch.arange(batch, device=label_BHW.device)[:, None, None]
    cell_BHW = (image_B11 * classes + label_BHW) * classes + logits_BKHW.argmax(1)
    cells = batch * classes * classes
    # Void pixels go to one more cell, cut off afterwards: cheaper than picking the others out.
    counts = torch.bincount(cell_BHW.masked_fill(void_BHW, cells).flatten(), minlength=cells + 1)
    return {"confusion": counts[:cells].reshape(batch, classes, classes)}


def disparity_sums(prediction_B1HW: Tensor, truth: Truth) -> dict[str, Tensor]:
    """Return the squared error over the pixels of valid disparity; predictions B1HW or BHW, px.

    Returns `disparity_squared_error` (B,) float64, px^2, and `disparity_pixels` (B,) int64.
    Raises ValueError for other shapes, or if the batch has no disparity.
    """
    if truth.disparity_BHW is None:
        raise ValueError(
            "disparity cannot be scored: this data set has none; leave it out of tasks"
        )
    disparity_BHW = truth.disparity_BHW
    predicted_BHW = prediction_B1HW.squeeze(1) if prediction_B1HW.ndim == 4 else prediction_B1HW
    _same_shape("disparity", predicted_BHW.shape, "the true disparity", disparity_BHW)
    valid_BHW = disparity_BHW > 0
    error_BHW = (predicted_BHW.float() - disparity_BHW.float()).square()
    return {
        # `where`, not a product with the mask: a NaN at an invalid pixel must not count.
        "disparity_squared_error": torch.where(valid_BHW, error_BHW, 0.0).sum(
            (1, 2), dtype=torch.float64
        ),
        "disparity_pixels": valid_BHW.sum((1, 2)),
    }


def reconstruction_sums(prediction_B3HW: Tensor, truth: Truth) -> dict[str, Tensor]:
    """Return the squared error of the reconstruction, clamped to [0, 1], over an image.

    Returns `image_squared_error` (B,) float64 and `image_values` (B,) int64, that is 3HW.
    Raises ValueError for other shapes.
    """
    image_B3HW = truth.image_B3HW
    _same_shape("reconstruction", prediction_B3HW.shape, "the image", image_B3HW)
    error_B3HW = (prediction_B3HW.float().clamp(0, 1) - image_B3HW.float()).square()
    values = image_B3HW[0].numel()
    return {
        "image_squared_error": error_B3HW.sum((1, 2, 3), dtype=torch.float64),
        "image_values": torch.full((len(image_B3HW),), values, device=image_B3HW.device),
    }


def _same_shape(task: str, shape: tuple[int, ...], what: str, truth: Tensor) -> None:
    if tuple(shape) != tuple(truth.shape):
        raise ValueError(
            f"the {task} prediction has shape {tuple(shape)}, {what} {tuple(truth.shape)}: "
            "they must be equal"
        )


SUMS: dict[str, Callable[[Tensor, Truth], dict[str, Tensor]]] = {
    "segmentation": segmentation_sums,
    "disparity": disparity_sums,
    "reconstruction": reconstruction_sums,
}
"""Task -> (prediction, truth) -> name -> sums, each with the image as its first dimension."""


def sums_of(predictions: Mapping[str, Tensor], truth: Truth) -> dict[str, dict[str, Tensor]]:
    """Return the sums of each task over the images of one batch."""
    return {task: SUMS[task](prediction, truth) for task, prediction in predictions.items()}


def collect(
    batches: Iterable[Mapping[str, Mapping[str, Tensor]]], images: int
) -> dict[str, dict[str, np.ndarray]]:
    """Return the sums of all images, by task, from those of each batch in turn.

    images: how many there are in all batches. Raises ValueError if there are fewer. The arrays are
    made once: small arrays kept from each batch would lie between the large ones of the nets, and
    memory would grow many times faster than they do.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    done = 0
    for tasks in batches:
        size = 0
        for task, sums in tasks.items():
            for name, tensor_B in sums.items():
                value_B = tensor_B.cpu().numpy()
                arrays = found.setdefault(task, {})
                if name not in arrays:
                    arrays[name] = np.empty((images, *value_B.shape[1:]), value_B.dtype)
                size = len(value_B)
                arrays[name][done : done + size] = value_B
        done += size
    if found and done != images:
        raise ValueError(f"there are sums of {done} images, not of {images}")
    return found
