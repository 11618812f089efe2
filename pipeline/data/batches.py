"""Prepared frames as batches on a device, converted there from their packed integers."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from pipeline.data.frames import Frames

RESIDENT_SHARE = 0.6
"""Frames stay on a CUDA device by themselves while they take at most this share of its free
memory: the rest is for the net."""

CHUNK = 64
"""Frames copied to the device at a time, so that host memory stays constant."""


class Batch(NamedTuple):
    """Some frames on the device."""

    image_B3HW: torch.Tensor
    """float32 in [0, 1], RGB, channels_last."""
    label_BHW: torch.Tensor
    """int64 train ids, 255 void."""
    disparity_BHW: torch.Tensor | None
    """float32 pixels of the 2048-wide original, 0 where invalid or not above 0; None without."""

    @property
    def seen_B3HW(self) -> torch.Tensor:
        """The picture as it is."""
        return self.image_B3HW


class Batches:
    """Batches of a prepared split.

    Resident, the packed arrays lie on the device and a batch costs no host work. Otherwise they
    stay memory-mapped: a batch reads its own frames only, and `over` fetches one batch ahead.

    Args:
        frames: an opened split.
        device: where batches are wanted.
        resident: None to decide: yes on CUDA if the arrays fit in 60 % of the free memory, no on
            the CPU, where the memory map serves as well.

    """

    def __init__(
        self, frames: Frames, *, device: torch.device | str, resident: bool | None = None
    ) -> None:
        self.frames = frames
        self.device = torch.device(device)
        # Torch indexes uint8 and int16 everywhere, uint16 not: disparity goes as its bit pattern.
        self._arrays = [frames.image_NHW3, frames.label_NHW]
        if frames.disparity_NHW is not None:
            self._arrays.append(frames.disparity_NHW.view(np.int16))
        self.resident = self._fits() if resident is None else resident
        self._tensors = [self._copy(x) for x in self._arrays] if self.resident else []

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._arrays[0])

    def take(self, indices: torch.Tensor | np.ndarray) -> Batch:
        """Return the frames at `indices` (B whole numbers from 0 on, on any device)."""
        if self.resident:
            index_B = torch.as_tensor(indices).to(self.device, torch.int64, non_blocking=True)
            return _convert(*(x.index_select(0, index_B) for x in self._tensors))
        return _convert(*(x.to(self.device) for x in self._gather(indices)))

    def over(self, order: Sequence[torch.Tensor] | Sequence[np.ndarray]) -> Iterator[Batch]:
        """Yield the batch of each entry of `order`, reading ahead where reading takes time."""
        if self.resident or self.device.type != "cuda":
            yield from (self.take(indices) for indices in order)
        else:
            yield from self._prefetched(order)

    def _prefetched(self, order: Sequence[torch.Tensor] | Sequence[np.ndarray]) -> Iterator[Batch]:
        stream = torch.cuda.Stream(self.device)

        def fetch(
            indices: torch.Tensor | np.ndarray,
        ) -> tuple[list[torch.Tensor], torch.cuda.Event]:
            # Pinned inside too: a thread starts out on device 0, whatever this process uses.
            with torch.cuda.stream(stream):
                pinned = self._gather(indices, pin=True)
                tensors = [x.to(self.device, non_blocking=True) for x in pinned]
                return tensors, stream.record_event()

        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(fetch, order[0]) if len(order) else None
            for position in range(len(order)):
                assert ahead is not None
                tensors, copied = ahead.result()
                if position + 1 < len(order):
                    ahead = pool.submit(fetch, order[position + 1])
                current = torch.cuda.current_stream(self.device)
                current.wait_event(copied)
                for tensor in tensors:
                    tensor.record_stream(current)
                yield _convert(*tensors)

    def _gather(
        self, indices: torch.Tensor | np.ndarray, *, pin: bool = False
    ) -> list[torch.Tensor]:
        index_B = torch.as_tensor(indices).tolist()
        tensors = []
        for array in self._arrays:
            shape = (len(index_B), *array.shape[1:])
            tensor = torch.empty(shape, dtype=_DTYPES[array.dtype.name], pin_memory=pin)
            packed, source = tensor.numpy(), mapped_anew(array)
            for row, index in enumerate(index_B):
                packed[row] = source[index]
            tensors.append(tensor)
        return tensors

    def _copy(self, array: np.ndarray) -> torch.Tensor:
        tensor = torch.empty(array.shape, dtype=_DTYPES[array.dtype.name], device=self.device)
        for start in range(0, len(array), CHUNK):
            # np.array: torch warns of tensors over a read-only memory map.
            tensor[start : start + CHUNK] = torch.from_numpy(np.array(array[start : start + CHUNK]))
        return tensor

    def _fits(self) -> bool:
        if self.device.type != "cuda":
            return False
        free, _ = torch.cuda.mem_get_info(self.device)
        return sum(x.nbytes for x in self._arrays) <= RESIDENT_SHARE * free


def mapped_anew(array: np.ndarray) -> np.ndarray:
    """Return an array that is a whole file, memory-mapped, through a mapping of its own.

    Pages that are read through it count as memory of this process only while the result lives. Any
    other array is returned as it is: some frames of a file too, or a copy of them.
    """
    if isinstance(array, np.memmap) and array.filename and array.flags.c_contiguous:
        path = Path(array.filename)
        if array.offset + array.nbytes == path.stat().st_size:
            return np.memmap(path, array.dtype, "r", array.offset, array.shape)
    return array


_DTYPES = {"uint8": torch.uint8, "int16": torch.int16}


def _convert(
    image_BHW3: torch.Tensor, label_BHW: torch.Tensor, disparity_BHW: torch.Tensor | None = None
) -> Batch:
    # Rows of RGB pixels seen through a permutation are channels_last already.
    image_B3HW = image_BHW3.permute(0, 3, 1, 2).to(torch.float32).div_(255)
    if disparity_BHW is not None:
        # The mask turns the signed bit pattern back into 0 to 65535.
        encoded_BHW = disparity_BHW.to(torch.int32).bitwise_and_(0xFFFF)
        disparity_BHW = encoded_BHW.sub_(1).clamp_(min=0).to(torch.float32).div_(256)
    return Batch(image_B3HW, label_BHW.to(torch.int64), disparity_BHW)
