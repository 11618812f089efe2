"""Whether `fit` with its fast settings learns what an ordinary loop learns.

    python -m benchmarks.agreement [--encoder encoder2] [--train 96] [--val 32] [--epochs 2]
        [--batch 4] [--seeds 3] [--device auto] [--precision auto] [--compile auto] [--record]

Both sides start from the same weights and see the same batches of built-in streets at 128x64 in the
same order, the proposed arm's loss, no noise. Fast: `fit` as the train stage runs it. Plain:
`benchmarks.plain_loop`, float32, eager. Two questions: how far apart are the losses of the first
steps, where only rounding can part them; and do the final scores of the two sides lie closer
together than those of different seeds.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.plain_loop import PlainLoop
from benchmarks.record import CORES, load, record
from pipeline.data.batches import Batch, Batches
from pipeline.data.frames import Frames
from pipeline.data.prepare import prepare_split
from pipeline.nets.split import SplitNet
from pipeline.streets.write import write_streets
from pipeline.training.checkpoint import Checkpoints
from pipeline.training.loop import Schedule, fit, validate
from pipeline.training.losses import Objective, RateTerm
from pipeline.training.runtime import Runtime, open_runtime, seed_all
from pipeline.training.state import Row

TASKS = ("segmentation", "disparity", "reconstruction")
SIZE = {"width": 128, "height": 64}
FIRST_STEPS = 5


class Trained(NamedTuple):
    """What one side made of one seed."""

    losses_SP: np.ndarray
    """Each part's loss in each step."""
    scores: Row


class Watched(Objective):
    """Remembers the losses of every step."""

    def __init__(self) -> None:
        rate = RateTerm("levels", 1.0)
        super().__init__(TASKS, rate, balance="closed-form", learning_rate=0.05, initial_weight=1.0)
        self.seen: list[Tensor] = []

    def after_step(self, values_P: Tensor) -> None:
        self.seen.append(values_P.clone())
        super().after_step(values_P)


class Ordered:
    """A source of `fit` that remembers the order of each epoch."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches
        self.orders: list[list[np.ndarray]] = []

    def __len__(self) -> int:
        return len(self.batches)

    def over(self, order: Sequence[np.ndarray]) -> Iterator[Batch]:
        self.orders.append(list(order))
        return self.batches.over(order)


def train(
    encoder: str, seed: int, frames: Frames, val: Batches, schedule: Schedule, runtime: Runtime
) -> tuple[Trained, Trained]:
    """Both sides on one seed, fast first."""
    plain_runtime = Runtime(runtime.device, torch.float32, compiled=False)
    source, objective = Ordered(Batches(frames, device=runtime.device)), Watched()
    seed_all(seed)
    net = SplitNet(encoder, TASKS)
    history = fit(
        net,
        objective,
        source,
        val,
        schedule=schedule,
        surrogate=lambda x: x,
        runtime=runtime,
        seed=seed,
        checkpoints=Checkpoints(None, float("inf")),
        on_epoch=lambda row: None,
    )
    names = [key for key in history[-1] if key.startswith("val/")]
    fast = Trained(
        torch.stack(objective.seen).cpu().numpy(),
        {name.removeprefix("val/"): history[-1][name] for name in names},
    )
    seed_all(seed)
    plain = PlainLoop(
        SplitNet(encoder, TASKS),
        Watched(),
        frames,
        surrogate=lambda x: x,
        device=runtime.device,
        workers=0,
        steps=sum(map(len, source.orders)),
        learning_rate=schedule.learning_rate,
        decay_power=schedule.decay_power,
    )
    rows = [list(losses.values()) for order in source.orders for losses in plain.epoch(order)]
    return fast, Trained(np.array(rows), validate(plain.net, val, schedule.batch, plain_runtime))


def first_difference(fast: Trained, plain: Trained) -> float:
    """The largest relative difference of any part's loss in the first steps."""
    a_SP, b_SP = fast.losses_SP[:FIRST_STEPS], plain.losses_SP[:FIRST_STEPS]
    return float((np.abs(a_SP - b_SP) / np.abs(b_SP)).max())


def main() -> None:
    """Measure and print; long on purpose, since it is read from the options to the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="encoder2")
    parser.add_argument("--train", type=int, default=96, help="frames to train on")
    parser.add_argument("--val", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3, help="at least 2")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--compile", default="auto", choices=("auto", "on", "off"))
    parser.add_argument("--record", action="store_true", help="keep it in runs.jsonl")
    options = parser.parse_args()

    schedule = Schedule(options.epochs, options.batch, 1e-3, 0.9, options.epochs)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_runtime(options.device, options.precision, options.compile) as runtime,
        load() as others,
    ):
        root = Path(folder)
        write_streets(root / "streets", 1, options.train, options.val, **SIZE)
        frames, val = (
            prepare_split(root / "streets", split, root / split, disparity=True, **SIZE)
            for split in ("train", "val")
        )
        scored = Batches(val, device=runtime.device)
        pairs = [
            train(options.encoder, seed, frames, scored, schedule, runtime)
            for seed in range(options.seeds)
        ]
    first = max(first_difference(*pair) for pair in pairs)
    rows: list[dict[str, str | float]] = []
    for name in pairs[0][0].scores:
        fast, plain = ([side.scores[name] for side in sides] for sides in zip(*pairs, strict=True))
        apart = statistics.mean(a - b for a, b in zip(fast, plain, strict=True))
        rows.append(
            {
                "score": name,
                "fast": statistics.mean(fast),
                "plain": statistics.mean(plain),
                "fast - plain": apart,
                "deviation over seeds": statistics.stdev(plain),
            }
        )
    dtype = str(runtime.dtype).removeprefix("torch.")
    steps = options.epochs * (options.train // options.batch)
    what = (
        f"{options.encoder}, 128x64, {steps} steps of batch {options.batch}, {dtype}"
        f"{', compiled,' if runtime.compiled else ''} on {runtime.device.type},"
        f" {options.seeds} seeds"
    )
    print(what)
    print(f"losses of the first {FIRST_STEPS} steps: at most {first:.2%} apart")
    for row in rows:
        print(", ".join(f"{k} {x:.4f}" if k != "score" else str(x) for k, x in row.items()))
    print(f"others used {others.cores:.1f} of {CORES} cores")
    if options.record:
        setting = f"{what}; losses of the first {FIRST_STEPS} steps at most {first:.2%} apart"
        record("The same result", setting, rows, others)


if __name__ == "__main__":
    main()
