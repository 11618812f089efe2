"""Frames of which the network sees a coded picture, and the losses the truth."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline.coding.pictures import decode_picture, encode_picture
from pipeline.data.batches import Batches


class CodedBatch(NamedTuple):
    """A batch (see `Batch`) with another picture for the encoder."""

    image_B3HW: Tensor
    label_BHW: Tensor
    disparity_BHW: Tensor | None
    seen_B3HW: Tensor
    """As image_B3HW, but each frame coded and decoded."""


class CodedPictures:
    """Batches whose frames are coded as WebP, each at a quality drawn from torch's generator.

    A checkpoint holds the state of that generator, so that a training that goes on sees the same
    pictures. All cores code. qualities: the lowest and the highest.
    """

    def __init__(self, batches: Batches, qualities: tuple[int, int]) -> None:
        self.batches = batches
        self.qualities = qualities

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.batches)

    def over(self, order: Sequence[np.ndarray]) -> Iterator[CodedBatch]:
        """Yield the batch of each entry of `order`."""
        lowest, highest = self.qualities
        images_NHW3 = self.batches.frames.image_NHW3
        with ThreadPoolExecutor() as pool:
            for indices, batch in zip(order, self.batches.over(order), strict=True):
                # Drawn when the batch is asked for: not before a checkpoint of the step before.
                quality_B = torch.randint(lowest, highest + 1, (len(indices),)).tolist()
                seen = pool.map(_sent, images_NHW3[indices], quality_B)
                seen_BHW3 = torch.from_numpy(np.stack(list(seen))).to(self.batches.device)
                yield CodedBatch(*batch, seen_BHW3.permute(0, 3, 1, 2).float().div_(255))


def _sent(image_HW3: np.ndarray, quality: int) -> np.ndarray:
    return decode_picture(encode_picture(image_HW3, f"webp-{quality}"))
