"""Time and memory of what a report reads of the frames, for few and for many to train on.

    python -m benchmarks.frame_facts [--trained 256 2975] [--tested 500] [--record]

The training set enters a report in one place: `stages.kept.frame_facts`, which scores the best
constant predictions. It runs here as a process of its own, on made-up prepared frames of 512x256.
Memory is told twice: the largest resident memory of that process, which counts pages of mapped
files too, and the arrays that it makes. Target: no larger arrays for 2,975 frames to train on than
for 256.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.made_up import noise_frames
from benchmarks.record import load, record
from pipeline.artifacts import prepared_folder
from pipeline.data.frames import DISPARITY, IMAGE, LABEL, TABLE

ROOT = Path(__file__).parents[1]
HEIGHT, WIDTH, BLOCK = 256, 512, 25
CHILD = """
import time, tracemalloc
from pathlib import Path
from stages.kept import frame_facts
tracemalloc.start()
before = time.process_time()
facts = frame_facts(["segmentation", "disparity", "reconstruction"])
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
arrays = tracemalloc.get_traced_memory()[1]
print(time.process_time() - before, int(peak) * 1024 / 1e6, arrays / 1e6, facts.trained)
"""


def write_prepared(folder: Path, count: int) -> None:
    """Write `count` prepared frames: a block of noise again and again."""
    block = noise_frames(folder / "block", BLOCK, width=WIDTH, height=HEIGHT)
    names = "".join(f"{i},made_{i:06}_000019\n" for i in range(count))
    (folder / TABLE).write_text(f"index,name\n{names}")
    arrays = {IMAGE: block.image_NHW3, LABEL: block.label_NHW, DISPARITY: block.disparity_NHW}
    for name, noise in arrays.items():
        array = np.lib.format.open_memmap(
            folder / name, "w+", noise.dtype, (count, *noise.shape[1:])
        )
        for first in range(0, count, BLOCK):
            array[first : first + BLOCK] = noise[: count - first]


def measured(trained: int, tested: int) -> dict[str, float]:
    """Return the row of a table: time and memory for so many frames of each split."""
    with tempfile.TemporaryDirectory() as place:
        for split, count in (("train", trained), ("val", tested)):
            write_prepared(Path(place) / prepared_folder(split), count)
        done = subprocess.run(
            [sys.executable, "-c", CHILD],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
    seconds, peak, arrays, counted = map(float, done.stdout.split())
    assert counted == trained
    return {
        "frames to train on": trained,
        "time (s of CPU)": round(seconds, 1),
        "peak resident memory (MB)": round(peak),
        "arrays (MB)": round(arrays),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trained", type=int, nargs="+", default=[256, 2975])
    parser.add_argument("--tested", type=int, default=500)
    parser.add_argument("--record", action="store_true", help="keep it in runs.jsonl")
    options = parser.parse_args()
    rows = []
    with load() as others:
        for trained in options.trained:
            rows.append(measured(trained, options.tested))
            print(", ".join(f"{key} {x}" for key, x in rows[-1].items()), flush=True)
    print(f"others used {others.cores:.1f} cores")
    if options.record:
        size = f"{options.tested} frames to test on, {WIDTH}x{HEIGHT}"
        record("Frames of a report", size, rows, others)


if __name__ == "__main__":
    main()
