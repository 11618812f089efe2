"""A training step while another program keeps a core busy: what each rule for threads loses.

    python -m benchmarks.contention [--width 192] [--height 96] [--batch 4] [--seconds 12]
        [--rounds 2] [--record]

The rules are: all threads; all threads, which sleep while they wait (OMP_WAIT_POLICY=PASSIVE); one
thread; and the default, `pipeline.training.threads`. Each runs in a process of its own for so many
seconds, alone and beside a loop that keeps one core busy, in turns. Of two cores the loop takes
half, so no rule can keep more than the other half.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.made_up import noise_frames
from benchmarks.record import CORES, load, record

RULES = {
    "all threads": {"OMP_NUM_THREADS": str(CORES)},
    "all threads, PASSIVE": {
        "OMP_NUM_THREADS": str(CORES),
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
    },
    "one thread": {"OMP_NUM_THREADS": "1"},
    "threads that are left (default)": {},
}
TASKS = ("segmentation", "disparity", "reconstruction")


@contextmanager
def busy_core() -> Iterator[None]:
    """Keep one core busy for as long as the block lasts."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def images_per_second(rule: dict[str, str], options: argparse.Namespace, busy: bool) -> float:
    """Return the speed of training steps in a process that follows this rule."""
    words = ["--width", options.width, "--height", options.height, "--batch", options.batch]
    command = [
        sys.executable,
        "-m",
        "benchmarks.contention",
        "--steps-for",
        options.seconds,
        *words,
    ]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    call = partial(
        subprocess.run,
        list(map(str, command)),
        env=environment | rule,
        check=True,
        capture_output=True,
        text=True,
    )
    if not busy:
        return float(call().stdout)
    with busy_core():
        return float(call().stdout)


def steps(options: argparse.Namespace) -> float:
    """Return images per second of training steps, from the third step on."""
    from pipeline.coding.quantizer import add_noise
    from pipeline.data.batches import Batches
    from pipeline.nets.split import SplitNet
    from pipeline.training.loop import Schedule, start, train_step
    from pipeline.training.losses import Objective
    from pipeline.training.runtime import open_runtime, seed_all

    surrogate = partial(add_noise, noise="half-step", bits=8)
    objective = Objective(
        TASKS, None, balance="closed-form", learning_rate=0.05, initial_weight=1.0
    )
    seed_all(0)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_runtime("cpu", "auto", "off") as runtime,
    ):
        size = {"width": options.width, "height": options.height}
        frames = noise_frames(Path(folder) / "frames", options.batch, **size)
        batch = Batches(frames, device="cpu").take(np.arange(options.batch))
        net = SplitNet("encoder2", TASKS)
        run = start(net, objective, Schedule(1, options.batch, 1e-4, 0.9, 1), runtime, 0)
        done, began = -2, time.monotonic()
        while done < 1 or time.monotonic() - began < options.steps_for:
            if done == 0:
                began = time.monotonic()
            train_step(run, batch, surrogate, runtime)
            runtime.threads.adjust()
            done += 1
        return done * options.batch / (time.monotonic() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--height", type=int, default=96)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=12, help="of each run")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--record", action="store_true", help="keep it in runs.jsonl")
    parser.add_argument("--steps-for", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps_for is not None:
        print(steps(options))
        return
    speeds: dict[tuple[str, bool], list[float]] = {}
    with load() as others:
        for _ in range(options.rounds):
            for name, rule in RULES.items():
                for busy in (False, True):
                    found = images_per_second(rule, options, busy)
                    speeds.setdefault((name, busy), []).append(found)
    rows = []
    best = max(statistics.median(speeds[name, False]) for name in RULES)
    for name in RULES:
        alone, beside = (statistics.median(speeds[name, busy]) for busy in (False, True))
        rows.append(
            {
                "rule": name,
                "alone (images/s)": alone,
                "beside a busy core (images/s)": beside,
                "of the fastest alone": beside / best,
            }
        )
        print(f"{name:32} {alone:6.1f} images/s alone, {beside:6.1f} beside a busy core")
    print(f"others used {others.cores:.1f} of {CORES} cores, beside the busy loop")
    what = (
        f"Encoder2, {options.width}x{options.height}, batch {options.batch}, medians of "
        f"{options.rounds} rounds"
    )
    if options.record:
        record("Contended cores", what, rows, others)


if __name__ == "__main__":
    main()
