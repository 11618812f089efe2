"""Images per second of `fit` against an ordinary loop's, side by side on the same batches.

    python -m benchmarks.training [--width 256] [--height 128] [--batch 4] [--steps 6] [--rounds 3]
        [--device auto] [--precision auto] [--compile auto] [--record]

Both encoders, with and without the rate term. Both sides start from the same weights and see the
same batches in the same order; rounds of so many steps alternate between them, and the ratio is
the median over rounds. The first step of each round is not timed: there, the plain loop's workers
have time to read ahead. Targets: 5 x on a GPU at batch 20 of 512x256 and 1.3 x on a CPU; the rate
loss at most 3 % of a step (forward and backward, timed alone); a GPU busy for 95 % of a step.
"""

import argparse
import contextlib
import copy
import io
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.device_clock import GpuWatch, now, seconds_of
from benchmarks.made_up import noise_frames
from benchmarks.plain_loop import PlainLoop
from benchmarks.record import CORES, load, record
from pipeline.coding.quantizer import add_noise
from pipeline.data.batches import Batch, Batches
from pipeline.data.frames import Frames
from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet
from pipeline.training.checkpoint import Checkpoints
from pipeline.training.loop import Schedule, fit
from pipeline.training.losses import Objective, RateTerm
from pipeline.training.runtime import Runtime, open_runtime, seed_all
from pipeline.training.state import Row

TASKS = ("segmentation", "disparity", "reconstruction")
SURROGATE = partial(add_noise, noise="half-step", bits=8)
RATE = RateTerm("levels", None)
LEARNING_RATE, DECAY_POWER = 1e-3, 0.9
BATCHES = 8
"""Batches' worth of frames there are; longer rounds see frames again."""


class Comparison(NamedTuple):
    """One encoder with or without the rate term."""

    plain: list[float]
    """Images per second of the plain loop in each round."""
    ours: list[float]
    """The same of `fit`."""
    rate_share: float | None
    """Of a step of `fit`; None without the rate term."""
    busy: float | None
    """Share of a step of `fit` in which the GPU works; None on a CPU."""
    plain_loss: float
    """Mean of the last round."""
    our_loss: float

    @property
    def ratios(self) -> list[float]:
        return [ours / plain for ours, plain in zip(self.ours, self.plain, strict=True)]


class Timed:
    """A source of `fit` that takes the time of each epoch from the end of its first step on.

    steps: in an epoch. watched: number of the epoch whose GPU work is looked at, if any.
    """

    def __init__(self, batches: Batches, *, steps: int, batch: int, watched: int | None) -> None:
        self.batches = batches
        self.frames = steps * batch
        self.watched = watched
        self.order: list[np.ndarray] = []
        self.seconds: list[float] = []
        self.busy = 0.0

    def __len__(self) -> int:
        return self.frames

    def over(self, order: Sequence[np.ndarray]) -> Iterator[Batch]:
        self.order = [indices % len(self.batches) for indices in order]
        watch = GpuWatch() if len(self.seconds) == self.watched else None
        for number, batch in enumerate(self.batches.over(self.order)):
            if number == 1:
                start = now(self.batches.device)
                if watch:
                    watch.start()
            yield batch
        self.seconds.append(now(self.batches.device) - start)
        if watch:
            self.busy = watch.stop()


def compare(
    encoder: str,
    rate: RateTerm | None,
    frames: Frames,
    runtime: Runtime,
    *,
    steps: int,
    rounds: int,
) -> Comparison:
    """Train by both loops in turn: a round each to warm up, then those that count.

    Long on purpose: both loops stand side by side.
    """
    device, batch = runtime.device, len(frames.names) // BATCHES
    watched = 1 + rounds if device.type == "cuda" else None
    epochs = 1 + rounds + (watched is not None)
    seed_all(0)
    net = SplitNet(encoder, TASKS)
    objective = Objective(
        TASKS, rate, balance="closed-form", learning_rate=0.05, initial_weight=1.0
    )
    plain = PlainLoop(
        copy.deepcopy(net),
        copy.deepcopy(objective),
        frames,
        surrogate=SURROGATE,
        device=device,
        workers=CORES,
        steps=epochs * (steps + 1),
        learning_rate=LEARNING_RATE,
        decay_power=DECAY_POWER,
    )
    batches = Batches(frames, device=device)
    source = Timed(batches, steps=steps + 1, batch=batch, watched=watched)
    plain_seconds: list[float] = []
    losses: list[dict[str, float]] = []

    def plain_round(row: Row) -> None:
        losses.clear()
        for step_losses in plain.epoch(source.order):
            if not losses:
                start = now(device)
            losses.append(step_losses)
        plain_seconds.append(now(device) - start)

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        history = fit(
            net,
            objective,
            source,
            batches,
            schedule=Schedule(epochs, batch, LEARNING_RATE, DECAY_POWER, validate_every=epochs),
            surrogate=SURROGATE,
            runtime=runtime,
            seed=0,
            checkpoints=Checkpoints(None, float("inf")),
            on_epoch=plain_round,
        )
    counted, images = slice(1, 1 + rounds), steps * batch
    step_seconds = statistics.median(source.seconds[counted]) / steps
    means = {f"loss/{name}": statistics.fmean(x[name] for x in losses) for name in losses[0]}
    return Comparison(
        plain=[images / x for x in plain_seconds[counted]],
        ours=[images / x for x in source.seconds[counted]],
        rate_share=rate_seconds(encoder, rate, frames, runtime) / step_seconds if rate else None,
        busy=source.busy / steps / step_seconds if watched else None,
        plain_loss=objective.total_of(means),
        our_loss=history[-1]["loss/total"],
    )


def rate_seconds(encoder: str, rate: RateTerm, frames: Frames, runtime: Runtime) -> float:
    """Time of the rate loss alone, forward and backward, on features as the encoder leaves them."""
    _, height, width, _ = frames.image_NHW3.shape
    _, channels, stride = ENCODERS[encoder]
    shape = (len(frames.names) // BATCHES, channels, height // stride, width // stride)
    features_BChw = torch.rand(shape).to(runtime.device, runtime.dtype)
    features_BChw = features_BChw.to(memory_format=torch.channels_last).requires_grad_()
    return seconds_of(lambda: rate.loss(features_BChw).total.backward(), runtime.device)


def table(results: dict[str, Comparison]) -> str:
    head = (
        f"{'':26} {'plain':>7} {'ours':>7} {'ratio':>6}   min to max  rate loss  GPU busy  losses"
    )
    lines = [head]
    for name, x in results.items():
        share = "" if x.rate_share is None else f"{x.rate_share:.1%}"
        busy = "" if x.busy is None else f"{x.busy:.1%}"
        lines.append(
            f"{name:26} {statistics.median(x.plain):7.1f} {statistics.median(x.ours):7.1f}"
            f" {statistics.median(x.ratios):6.2f}   {min(x.ratios):.2f} to {max(x.ratios):.2f}"
            f" {share:>10} {busy:>9}  {x.plain_loss:.3f} {x.our_loss:.3f}"
        )
    return "\n".join(lines)


def row(name: str, x: Comparison) -> dict[str, str | float]:
    """Return what is kept of a comparison."""
    return {
        "model": name,
        "ours / plain loop": statistics.median(x.ratios),
        "plain (images/s)": statistics.median(x.plain),
        "ours (images/s)": statistics.median(x.ours),
        "rate loss (% of a step)": "" if x.rate_share is None else 100 * x.rate_share,
        "GPU busy (%)": "" if x.busy is None else 100 * x.busy,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=6, help="timed steps in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--compile", default="auto", choices=("auto", "on", "off"))
    parser.add_argument("--record", action="store_true", help="keep it in runs.jsonl")
    options = parser.parse_args()

    size = {"width": options.width, "height": options.height}
    length = {"steps": options.steps, "rounds": options.rounds}
    results = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        open_runtime(options.device, options.precision, options.compile) as runtime,
        load() as others,
    ):
        frames = noise_frames(Path(folder) / "frames", BATCHES * options.batch, **size)
        for encoder in ENCODERS:
            for name, rate in ((encoder, None), (f"{encoder} with the rate term", RATE)):
                results[name] = compare(encoder, rate, frames, runtime, **length)
    dtype = str(runtime.dtype).removeprefix("torch.")
    what = (
        f"{options.width}x{options.height}, batch {options.batch}, {dtype}"
        f"{', compiled,' if runtime.compiled else ''} on {runtime.device.type}"
    )
    print(f"{what}; images/s, medians of {options.rounds} rounds of {options.steps} steps")
    print(table(results))
    print(f"others used {others.cores:.1f} of {CORES} cores")
    if options.record:
        record("Training", what, [row(name, x) for name, x in results.items()], others)


if __name__ == "__main__":
    main()
