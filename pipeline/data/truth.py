"""What a prediction is compared with, in training and in scoring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Truth(Protocol):
    """What a batch of B frames holds of the truth, all of it on one device."""

    @property
    def image_B3HW(self) -> Tensor:
        """float, RGB, 0 to 1."""

    @property
    def label_BHW(self) -> Tensor:
        """int64, train ids 0 to 18, or 255 for void."""

    @property
    def disparity_BHW(self) -> Tensor | None:
        """float, pixels of the original width, 0 where invalid; None for data without disparity."""
