"""Trainings of a tiny net on random frames in memory."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.coding.quantizer import add_noise
from pipeline.data.batches import Batch
from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet
from pipeline.source import Source
from pipeline.training.checkpoint import Checkpoints
from pipeline.training.loop import Schedule, fit
from pipeline.training.losses import Objective, RateTerm
from pipeline.training.runtime import Runtime, seed_all
from pipeline.training.state import Row
from tests.support.tiny_net import PLAIN, TINY

TASKS = ("segmentation", "disparity", "reconstruction")
CPU = Runtime(torch.device("cpu"), torch.float32, compiled=False)
HALF_STEP = partial(add_noise, noise="half-step", bits=8)
EPOCHS, FRAMES, BATCH = 3, 7, 2
STEPS = FRAMES // BATCH
SCHEDULE = Schedule(EPOCHS, BATCH, learning_rate=1e-3, decay_power=0.9, validate_every=2)


class Frames:
    """Random frames in memory, with void and invalid pixels, more of them in later frames.

    `hook` sees each batch with its number, from 0 on over all epochs of this source, before it is
    handed out; what it returns is handed out in its place.
    """

    def __init__(
        self,
        count: int = FRAMES,
        size: tuple[int, int] = (12, 20),
        seed: int = 0,
        hook: Callable[[int, Batch], Batch] = lambda number, batch: batch,
    ) -> None:
        rng = torch.Generator().manual_seed(seed)
        share = torch.linspace(0.1, 0.5, count)[:, None, None]
        self.image = torch.rand(count, 3, *size, generator=rng)
        self.label = torch.randint(0, 19, (count, *size), generator=rng)
        self.label[torch.rand(count, *size, generator=rng) < share] = 255
        self.disparity = 126 * torch.rand(count, *size, generator=rng)
        self.disparity[torch.rand(count, *size, generator=rng) < share] = 0
        self.hook = hook
        self.asked: list[list[int]] = []

    def __len__(self) -> int:
        return len(self.image)

    def over(self, order: Sequence[np.ndarray]) -> Iterator[Batch]:
        for index in order:
            self.asked.append(index.tolist())
            batch = Batch(self.image[index], self.label[index], self.disparity[index])
            yield self.hook(len(self.asked) - 1, batch)


class Result(NamedTuple):
    net: SplitNet
    objective: Objective
    history: list[Row]
    reported: list[Row]
    asked: list[list[int]]


def tiny_net(encoder: str = "tiny") -> SplitNet:
    """A net of `tiny` or `plain`; no other test sees these encoders."""
    with patch.dict(ENCODERS, {"tiny": TINY, "plain": PLAIN}):
        return SplitNet(encoder, TASKS)


def train(
    frames: Source | None = None,
    *,
    val: Source | None = None,
    encoder: str = "tiny",
    balance: str = "closed-form",
    rate: RateTerm | None = RateTerm("levels", None),  # noqa: B008  frozen
    schedule: Schedule = SCHEDULE,
    surrogate: Callable[[Tensor], Tensor] = HALF_STEP,
    runtime: Runtime = CPU,
    seed: int = 0,
    initial: int = 0,
    path: Path | None = None,
    minutes: float = 1e9,
    checkpoints: Checkpoints | None = None,
    net: SplitNet | None = None,
) -> Result:
    """A whole run from seeds: `initial` for the first weights, `seed` for all that follows."""
    seed_all(initial)
    net = net or tiny_net(encoder)
    objective = Objective(TASKS, rate, balance=balance, learning_rate=0.05, initial_weight=1.0)
    frames, reported = frames or Frames(), []
    history = fit(
        net,
        objective,
        frames,
        val or Frames(3, seed=9),
        schedule=schedule,
        surrogate=surrogate,
        runtime=runtime,
        seed=seed,
        checkpoints=checkpoints or Checkpoints(path, minutes),
        on_epoch=reported.append,
    )
    return Result(net, objective, history, reported, getattr(frames, "asked", []))


def assert_same_state(a: nn.Module, b: nn.Module, **tolerance: Any) -> None:
    """As `torch.testing.assert_close`, which names the entry."""
    found, expected = a.state_dict(), b.state_dict()
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        tolerance = {"rtol": 0, "atol": 0} | tolerance
        torch.testing.assert_close(found[key], value, msg=lambda m, k=key: f"{k}: {m}", **tolerance)


def assert_same_run(a: Result, b: Result) -> None:
    """Bit for bit."""
    assert_same_state(a.net, b.net)
    assert_same_state(a.objective, b.objective)
    assert a.history == b.history
