"""PICTURES: how the prediction and the truth of each task look, as RGB."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pipeline.artifacts import Legend
from pipeline.labels import CLASSES, PALETTE, VOID
from pipeline.source import Truth


@dataclass(frozen=True)
class Picture:
    """How one task is shown; both functions return B x H x W x 3, uint8."""

    of_prediction: Callable[[Tensor], np.ndarray]
    """From what the task's decoder puts out."""
    of_truth: Callable[[Truth], np.ndarray]
    """From a batch."""
    legend: Legend
    """What the colours mean; empty if they are the scene's own."""
    scale: bool = False
    """Whether the legend shows stops of a scale, between which there are other colours."""


NEAREST_PX = 128.0
# Stops of Matplotlib's viridis, which is even to the eye and safe for the colour-blind.
VIRIDIS = np.array(
    [
        (68, 1, 84),
        (71, 44, 122),
        (59, 81, 139),
        (44, 113, 142),
        (33, 144, 141),
        (39, 173, 129),
        (92, 200, 99),
        (170, 220, 50),
        (253, 231, 37),
    ],
    np.float64,
)
NO_TRUTH = ("no truth", (140, 140, 140))
LEGEND_PX = (0, 8, 32, 64, 128)


def disparity_colours(disparity_px: np.ndarray) -> np.ndarray:
    """Return RGB uint8, ... x 3, of disparities in pixels: dark is far, yellow is near.

    The scale goes by the square root, from 0 to 128 px: most of a street is far away.
    """
    share = np.sqrt(np.clip(disparity_px, 0, NEAREST_PX) / NEAREST_PX)
    at = share * (len(VIRIDIS) - 1)
    stops = np.arange(len(VIRIDIS))
    return np.stack([np.rint(np.interp(at, stops, x)) for x in VIRIDIS.T], -1).astype(np.uint8)


def _classes(logits_BKHW: Tensor) -> np.ndarray:
    return PALETTE[logits_BKHW.argmax(1).cpu().numpy()]


def _disparity_truth(truth: Truth) -> np.ndarray:
    assert truth.disparity_BHW is not None
    disparity_BHW = truth.disparity_BHW.cpu().numpy()
    colours_BHW3 = disparity_colours(disparity_BHW)
    colours_BHW3[disparity_BHW <= 0] = NO_TRUTH[1]
    return colours_BHW3


def _rgb(image_B3HW: Tensor) -> np.ndarray:
    image_BHW3 = image_B3HW.float().clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
    return np.rint(255 * image_BHW3).astype(np.uint8)


def _colour(rgb: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = (int(x) for x in rgb)
    return red, green, blue


PICTURES = {
    "segmentation": Picture(
        _classes,
        lambda truth: PALETTE[truth.label_BHW.cpu().numpy()],
        (*zip(CLASSES, map(_colour, PALETTE), strict=False), ("void", _colour(PALETTE[VOID]))),
    ),
    "disparity": Picture(
        lambda disparity_B1HW: disparity_colours(disparity_B1HW[:, 0].float().cpu().numpy()),
        _disparity_truth,
        (*((f"{x} px", _colour(disparity_colours(np.array(x)))) for x in LEGEND_PX), NO_TRUTH),
        scale=True,
    ),
    "reconstruction": Picture(_rgb, lambda truth: _rgb(truth.image_B3HW), ()),
}
"""Task -> how it is shown."""


def legend(
    task: str,
    truths: Mapping[str, np.ndarray],
    predictions: Mapping[str, Mapping[str, np.ndarray]],
) -> Legend:
    """Return the entries of a task's legend whose colours occur in its pictures.

    truths and predictions: as in `Examples`. Of a scale, whose stops need not occur, all stay.
    """
    whole = PICTURES[task]
    if whole.scale:
        return whole.legend
    shown = [truths[task], *(tasks[task] for tasks in predictions.values())]
    return tuple(
        (name, colour)
        for name, colour in whole.legend
        if any((picture == np.array(colour)).all(-1).any() for picture in shown)
    )
