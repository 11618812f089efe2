"""A short training run, alone or as one of several processes, for test_parallel."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from pipeline.data.batches import Batch
from pipeline.nets.split import SplitNet
from pipeline.training.checkpoint import Checkpoints
from pipeline.training.loop import Schedule, fit
from pipeline.training.losses import Objective, RateTerm
from pipeline.training.runtime import open_runtime, seed_all

TASKS = ("segmentation", "disparity", "reconstruction")


class Noise:
    """Frames of noise, some pixels void and some without disparity, unlike in each frame."""

    def __init__(self, frames: int) -> None:
        rng = np.random.default_rng(3)
        self.image = torch.from_numpy(rng.random((frames, 3, 32, 64), np.float32))
        label = rng.integers(0, 19, (frames, 32, 64))
        disparity = rng.random((frames, 32, 64), np.float32) * 50
        for i in range(frames):
            label[i, : 3 * i] = 255
            disparity[i, :, : 5 * i] = 0
        self.label, self.disparity = torch.from_numpy(label), torch.from_numpy(disparity)

    def __len__(self) -> int:
        return len(self.image)

    def over(self, order: Sequence[np.ndarray]) -> Iterator[Batch]:
        for i in order:
            yield Batch(self.image[i], self.label[i], self.disparity[i])


def main(out: str, checkpoint: str, epochs: str, die_at: str) -> None:
    torch.set_num_threads(1)
    with open_runtime("cpu", "float32", "off") as runtime:
        seed_all(0)
        net = SplitNet("encoder2", TASKS)
        objective = Objective(
            TASKS,
            RateTerm("levels", None),
            balance="closed-form",
            learning_rate=0.05,
            initial_weight=1.0,
        )
        path = Path(checkpoint) if checkpoint != "-" and runtime.rank == 0 else None
        steps = 0

        def surrogate(features: torch.Tensor) -> torch.Tensor:
            # Counts training steps; validation has no surrogate.
            nonlocal steps
            steps += 1
            if runtime.rank == 1 and steps == int(die_at):
                raise RuntimeError("planted failure")
            return features

        history = fit(
            net,
            objective,
            Noise(10),
            Noise(5),
            schedule=Schedule(int(epochs), 4, 1e-3, 0.9, 1),
            surrogate=surrogate,
            runtime=runtime,
            seed=0,
            checkpoints=Checkpoints(path, 0.0 if path else 1e9),
            on_epoch=lambda row: None,
        )
        if runtime.rank == 0:
            total = sum(float(p.detach().double().abs().sum()) for p in net.parameters())
            Path(out).write_text(json.dumps({"history": history, "weights": total}))


if __name__ == "__main__":
    main(*sys.argv[1:])
