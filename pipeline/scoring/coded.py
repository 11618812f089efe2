"""What N coded images cost and score: rates and scores of all, and of each single image."""

import numpy as np

from pipeline.artifacts import Coded
from pipeline.scoring.metrics import SCORES, bits_per_element

IMAGES = 64
"""So many images are scored at once: one resample per image makes their counts a square."""


def rates_and_scores(coded: Coded, elements: int) -> dict[str, float]:
    """Return rates, in bits per feature element, and scores of all images by name.

    elements: feature elements of an image, C h w.
    """
    return {
        "bpfe": bits_per_element(coded.bytes_N, elements=elements),
        "bpfe_payload": bits_per_element(coded.payload_N, elements=elements),
        **{SCORES[task].name: SCORES[task].compute(sums) for task, sums in coded.sums.items()},
    }


def per_image(coded: Coded, elements: int) -> dict[str, np.ndarray]:
    """Return bytes, bits per feature element and scores of each single image by name, (N,).

    A score that an image does not have (no valid disparity, no error at all) is NaN.
    """
    columns = {"bytes": coded.bytes_N, "bpfe": 8.0 / elements * coded.bytes_N}
    for task, sums in coded.sums.items():
        parts = []
        for first in range(0, len(coded.payload_N), IMAGES):
            some = {name: sum_N[first : first + IMAGES] for name, sum_N in sums.items()}
            square = np.eye(len(next(iter(some.values()))))
            parts.append(SCORES[task].resampled(some, square))
        score_N = np.concatenate(parts)
        columns[SCORES[task].name] = np.where(np.isfinite(score_N), score_N, np.nan)
    return columns
