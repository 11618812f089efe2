"""Measure how fast the built-in data set is drawn, per core, and how long the paper's size takes.

    python -m benchmarks.streets [--frames 24] [--record]

One process draws and writes the frames at 256x128 and at 1024x512. The rates are per second of
processor time, which other load on the machine hardly changes. Target: 2,975 + 500 frames of
1024x512 in 4 minutes on two cores, that is 7.2 frames per second and core.
"""

import argparse
import contextlib
import io
import tempfile
from pathlib import Path

from benchmarks.clock import Timing, timed
from benchmarks.record import CORES, load, record
from pipeline.streets.write import write_streets

SIZES = ((256, 128), (1024, 512))
PAPER_FRAMES = 2975 + 500


def draw(width: int, height: int, frames: int) -> Timing:
    """Draw `frames` frames, a fifth of them of the validation split."""
    val = max(1, frames // 5)
    size = {"width": width, "height": height}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        write_streets(Path(folder) / "warm", 0, train=1, val=1, workers=1, **size)
        root = Path(folder) / "streets"
        return timed(lambda: write_streets(root, 0, frames - val, val, workers=1, **size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=24, help="at each size, at least 2")
    parser.add_argument("--record", action="store_true", help="keep it in runs.jsonl")
    options = parser.parse_args()

    with load() as others:
        timings = {size: draw(*size, options.frames) for size in SIZES}
    print(f"{options.frames} frames of each size, one process, {CORES} cores in the machine")
    print(f"{'':9} frames/s and core  by the clock  {PAPER_FRAMES} frames on {CORES} cores")
    rows = []
    for (width, height), timing in timings.items():
        rate, wall = options.frames / timing.cpu, options.frames / timing.wall
        minutes = PAPER_FRAMES / rate / CORES / 60
        print(f"{f'{width}x{height}':9} {rate:17.1f} {wall:13.1f} {minutes:12.1f} minutes")
        rows.append(
            {
                "size (px)": f"{width}x{height}",
                "frames/s and core": rate,
                f"{PAPER_FRAMES} frames (minutes)": minutes,
            }
        )
    print(f"others used {others.cores:.1f} of {CORES} cores")
    if options.record:
        record("Streets", f"{options.frames} frames of each size", rows, others)


if __name__ == "__main__":
    main()
