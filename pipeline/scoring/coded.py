"""All images of a data set at one point of a rate-accuracy curve."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.scoring.metrics import SCORES, Sums, bits_per_element
from pipeline.shards import rows_of, shards


@dataclass(frozen=True)
class Coded:
    """What N coded images cost and how well each task does on them."""

    header_N: np.ndarray
    """int64, bytes of our own header; 0 where there is none."""
    payload_N: np.ndarray
    """int64, bytes as the codec wrote them."""
    sums: Mapping[str, Sums]
    """task -> its sums over the same images (see `pipeline.scoring.sums`)."""

    @property
    def bytes_N(self) -> np.ndarray:
        """int64, bytes of each whole bitstream or file."""
        return self.header_N + self.payload_N

    def values(self, elements: int) -> dict[str, float]:
        """Return the rates, in bits per feature element, and the scores by name.

        elements: feature elements of an image, C h w.
        """
        return {
            "bpfe": bits_per_element(self.bytes_N, elements=elements),
            "bpfe_payload": bits_per_element(self.payload_N, elements=elements),
            **{SCORES[task].name: SCORES[task].compute(sums) for task, sums in self.sums.items()},
        }

    def per_image(self, elements: int) -> dict[str, np.ndarray]:
        """Return bytes, bits per feature element and scores of each single image by name, (N,).

        A score that an image does not have (no valid disparity, no error at all) is NaN.
        """
        columns = {"bytes": self.bytes_N, "bpfe": 8.0 / elements * self.bytes_N}
        for task, sums in self.sums.items():
            # A shard at a time: one resample per image makes the counts a square.
            score_N = np.concatenate(
                [
                    SCORES[task].resampled(
                        {name: rows_of(sum_N, shard) for name, sum_N in sums.items()},
                        np.eye(len(shard)),
                    )
                    for shard in shards(len(self.payload_N))
                ]
            )
            columns[SCORES[task].name] = np.where(np.isfinite(score_N), score_N, np.nan)
        return columns
