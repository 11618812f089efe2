"""What training, inference and scoring draw frames from, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


class Truth(Protocol):
    """What a batch of B frames holds of the truth, all of it on one device."""

    @property
    def image_B3HW(self) -> Tensor:
        """float, RGB, 0 to 1."""

    @property
    def seen_B3HW(self) -> Tensor:
        """What the encoder sees: image_B3HW, or what is left of it once coded."""

    @property
    def label_BHW(self) -> Tensor:
        """int64, train ids 0 to 18, or 255 for void."""

    @property
    def disparity_BHW(self) -> Tensor | None:
        """float, pixels of the original width, 0 where invalid; None for data without disparity."""


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


def evenly(frames: int, wanted: int) -> np.ndarray:
    """Return the indices of `wanted` frames, spread evenly over `frames`; of all if that is fewer.

    So many stand for a whole training set where only a mean or a histogram is wanted.
    """
    return np.arange(min(frames, wanted)) * frames // min(frames, wanted)
