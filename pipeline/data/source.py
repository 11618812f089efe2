"""What training and inference draw frames from, and the order in which they are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from pipeline.data.truth import Truth


class Source(Protocol):
    """A split of frames, from which batches are drawn by the indices of their frames."""

    def __len__(self) -> int:
        """Return the number of frames."""
        ...

    def over(self, order: Sequence[np.ndarray]) -> Iterator[Truth]:
        """Yield the batch of each entry of `order`."""
        ...


def in_order(frames: int, batch: int, *, rank: int = 0, world: int = 1) -> list[np.ndarray]:
    """Return the indices of `frames` frames in order, `batch` at a time; the last may be fewer.

    Of several processes, the one of `rank` gets every `world`-th frame.
    """
    mine = np.arange(rank, frames, world)
    return [mine[i : i + batch] for i in range(0, len(mine), batch)]
