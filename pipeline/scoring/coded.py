"""All images of a data set at one point of a rate-accuracy curve."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.scoring.metrics import Sums


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
