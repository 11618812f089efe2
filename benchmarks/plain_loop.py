"""The field's ordinary training loop, written well: what `benchmarks.training` measures against.

A DataLoader with a worker per core over the prepared arrays, ImageNet normalisation on the host,
pinned memory, float32 (TF32 on a GPU), eager, Adam and a scheduler as torch gives them, and the
losses read with `.item()` after each step. Net, losses and batches are this project's own.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipeline.data.batches import Batch
from pipeline.data.frames import Frames, disparity_px
from pipeline.nets.encoder import IMAGENET_MEAN, IMAGENET_STD
from pipeline.nets.split import SplitNet, SplitOutput
from pipeline.training.losses import Objective

MEAN_311 = torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
STD_311 = torch.tensor(IMAGENET_STD).view(3, 1, 1)


class PlainFrames(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Prepared frames one by one: normalised image 3HW, train ids HW, pixels of disparity HW."""

    def __init__(self, frames: Frames) -> None:
        self.frames = frames

    def __len__(self) -> int:
        return len(self.frames.names)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        assert self.frames.disparity_NHW is not None
        image_3HW = np.ascontiguousarray(self.frames.image_NHW3[index].transpose(2, 0, 1))
        normal_3HW = (torch.from_numpy(image_3HW).float() / 255 - MEAN_311) / STD_311
        label_HW = torch.from_numpy(self.frames.label_NHW[index].astype(np.int64))
        disparity_HW = torch.from_numpy(disparity_px(self.frames.disparity_NHW[index]))
        return normal_3HW, label_HW, disparity_HW


class PlainLoop:
    """Trains `net` in place; `steps` is the length of the whole run, for the scheduler."""

    def __init__(
        self,
        net: SplitNet,
        objective: Objective,
        frames: Frames,
        *,
        surrogate: Callable[[Tensor], Tensor],
        device: torch.device,
        workers: int,
        steps: int,
        learning_rate: float,
        decay_power: float,
    ) -> None:
        self.net = net.to(device).train()
        self.objective = objective.to(device)
        self.surrogate = surrogate
        self.device = device
        self.order: list[list[int]] = []
        self.loader = DataLoader(
            PlainFrames(frames),
            batch_sampler=self.order,
            num_workers=workers,
            pin_memory=device.type == "cuda",
            persistent_workers=workers > 0,
        )
        self.optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate)
        self.scheduler = torch.optim.lr_scheduler.PolynomialLR(self.optimizer, steps, decay_power)
        self.mean_311, self.std_311 = MEAN_311.to(device), STD_311.to(device)

    def epoch(self, order: Sequence[np.ndarray]) -> Iterator[dict[str, float]]:
        """Train on the frames of each entry of `order`; after each step, its losses by name."""
        self.order[:] = [indices.tolist() for indices in order]
        for tensors in self.loader:
            image_B3HW, label_BHW, disparity_BHW = (
                x.to(self.device, non_blocking=True) for x in tensors
            )
            features_BChw = self.net.encoder(image_B3HW)
            predictions = self.net.back(self.surrogate(features_BChw))
            target = Batch(image_B3HW * self.std_311 + self.mean_311, label_BHW, disparity_BHW)
            losses_P, values_P = self.objective.parts(
                SplitOutput(features_BChw, predictions), target
            )
            self.objective.before_step(values_P)
            loss = self.objective.total(losses_P)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            yield {
                name: value.item()
                for name, value in zip(self.objective.names, values_P, strict=True)
            }
