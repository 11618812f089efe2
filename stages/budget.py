"""How many epochs a grid has time for: one number for all of its models."""

import math
import tempfile
import time
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from pipeline.artifacts import ModelName
from pipeline.data.batches import Batches
from pipeline.data.frames import Frames
from stages.node import Node, Settings, measure, train

SHARE = 0.9
"""Of the time that is left, so much is planned: what was measured is not exact."""
STEPS, FRAMES = 10, 40
"""A rehearsal trains epochs of so many steps, and validates and measures so many frames."""


class Timing(NamedTuple):
    """Seconds that one model takes."""

    start: float
    """Before steps have their speed: building the net, the first use of the device, compiling."""
    step: float
    validation: float
    """Of all frames."""
    after: float
    """Writing the model, exporting, encoding, evaluating."""

    def expected(self, epochs: int, *, steps: int, validate_every: int) -> float:
        """Return the seconds of the whole model. steps: of an epoch."""
        validations = math.ceil(epochs / validate_every)
        return self.start + epochs * steps * self.step + validations * self.validation + self.after


def expected(timings: Sequence[Timing], epochs: int, *, steps: int, validate_every: int) -> float:
    """Return the seconds of all models, one after the other, at so many epochs each."""
    return sum(x.expected(epochs, steps=steps, validate_every=validate_every) for x in timings)


def choose_epochs(
    timings: Sequence[Timing], seconds: float, *, steps: int, validate_every: int, most: int
) -> int:
    """Return the largest number of epochs, 1 to `most`, that all models can have in that time.

    1 if there is no time for any. timings: of each model. steps: of an epoch.
    """
    fitting = (
        epochs
        for epochs in range(most, 0, -1)
        if expected(timings, epochs, steps=steps, validate_every=validate_every) <= seconds
    )
    return next(fitting, 1)


def rehearse(node: Node, name: ModelName, settings: Settings) -> Timing:
    """Return how long a model takes, from a short training and measurement of a few frames.

    Runs in a folder of its own, beside `data/` in the working directory.
    """
    steps = min(STEPS, len(node.train) // settings["train.batch"])
    train_few = first(node.train.frames, steps * settings["train.batch"])
    val_few = first(node.val.frames, FRAMES)
    with tempfile.TemporaryDirectory(prefix=".rehearsal-", dir=Path.cwd()) as folder:
        Path(folder, "data").symlink_to(Path("data").resolve())
        with chdir(folder):
            few = replace(
                node,
                train=Batches(train_few, device=node.train.device),
                val=Batches(val_few, device=node.val.device),
                checkpoints=Path(folder),
            )
            ticks = [time.monotonic()]
            # Three epochs: the first has the start in it, the last the validation.
            short = {**settings, "train.epochs": 3, "train.validate_every": 3}
            train(few, name, short, lambda row: ticks.append(time.monotonic()))
            ticks.append(time.monotonic())
            measure(few, name, short)
            ticks.append(time.monotonic())
    first_epoch, epoch, last_epoch, write, measured = (b - a for a, b in pairwise(ticks))
    share = len(node.val) / len(val_few.names)
    return Timing(
        start=max(0.0, first_epoch - epoch),
        step=epoch / steps,
        validation=max(0.0, last_epoch - epoch) * share,
        after=write + measured * share,
    )


def first(frames: Frames, count: int) -> Frames:
    """Return the first frames of a split."""
    disparity_NHW = frames.disparity_NHW
    return Frames(
        frames.names[:count],
        frames.image_NHW3[:count],
        frames.label_NHW[:count],
        None if disparity_NHW is None else disparity_NHW[:count],
    )
