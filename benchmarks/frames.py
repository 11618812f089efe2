"""Memory and time of the stages after training, for more and more frames.

    OMP_NUM_THREADS=1 python -m benchmarks.frames [--frames 50 500 5000] [--record]

Runs `prepare`, `export`, `encode` and `evaluate` as processes of their own, as DVC does, on a
release of noise: three frames, and hard links to them. The model is Encoder2, not trained; the
points are png@5 and jpeg-80; MLflow is off. Memory is the largest resident memory of the process,
which counts pages of mapped files too.

Targets: the memory of a stage is the same for 50 frames as for 5,000, but for what is small per
frame; the time grows as the number of frames does. The lines for a million frames are computed from
the two largest runs, not measured.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.record import CORES, load, record
from pipeline.artifacts import ModelName, fitted_file, history_file, model_folder
from pipeline.coding.fitted import write_fitted
from pipeline.nets.split import SplitNet
from pipeline.nets.stored import save_model
from tests.support.synthetic_release import PARTS, part_path, write_release
from tests.support.tiny_experiment import small_params

ROOT = Path(__file__).parents[1]
NAME = ModelName("encoder2", "benchmark", 0)
POINTS = ("png@5", "jpeg-80")
STAGES = ("prepare", "export", "encode", "evaluate")
MILLION = 1_000_000

RUNNER = """
import os, runpy, sys
from pathlib import Path

def leave(code):
    print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0], flush=True)
    end(code)

end, os._exit = os._exit, leave  # by which a stage ends
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__")
"""
"""Runs a stage; its last word is its largest resident memory in KiB. What the system tells of a
child that has ended counts the memory of its parent too, from before the child became itself."""


class Measured(NamedTuple):
    """One stage on some number of frames."""

    seconds: float
    """By the clock, with its start."""
    peak_mb: float
    """Largest resident memory of its process, 10^6 bytes."""


def write_frames(root: Path, split: str, count: int, *, width: int, height: int) -> None:
    """Write `count` frames of noise; all but the first three are hard links to these."""
    write_release(root, width=width, height=height, split=split)
    first = {part: sorted((root / part / split).glob("*/*.png")) for part in PARTS}
    for index in range(len(first["gtFine"]), count):
        for part, files in first.items():
            # Cities of 1,000 frames: a folder of a million is slow on some file systems.
            path = part_path(root, part, f"city{index // 1000}_{index:06}_000019", split)
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(files[index % len(files)], path)


def set_up(folder: Path, count: int, *, width: int, height: int) -> None:
    """Make `folder` a workspace with a release, settings and a model that is not trained."""
    params = small_params()
    params["codecs"] = params["report"]["bd_points"] = list(POINTS)
    params["data"] |= {"root": str(folder / "data/release"), "width": width, "height": height}
    params["pictures"]["codecs"] = []
    params["tracking"]["enabled"] = False
    # JSON is YAML.
    (folder / "params.yaml").write_text(json.dumps(params))
    (folder / ".dvcignore").touch()  # the settings name it as weights
    write_frames(folder / "data/release", "train", 3, width=width, height=height)
    write_frames(folder / "data/release", "val", count, width=width, height=height)
    torch.manual_seed(0)
    described = {**NAME._asdict(), "tasks": params["tasks"], "settings": {}, "runtime": {}}
    net = SplitNet(NAME.encoder, params["tasks"])
    save_model(folder / model_folder(NAME), net, described)
    (folder / history_file(NAME)).touch()
    write_fitted(folder / fitted_file(NAME), {})


def measure(stage: str, folder: Path) -> Measured:
    """Run one stage in a workspace as a process of its own."""
    words = [] if stage == "prepare" else [f"--{k}={v}" for k, v in NAME._asdict().items()]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, f"stages.{stage}", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"stages.{stage} ended with {done.returncode}: {done.stderr}")
    return Measured(seconds, int(done.stdout.split()[-1]) * 1024 / 1e6)


def extrapolated(stage: str, found: dict[int, dict[str, Measured]]) -> dict[str, str | float]:
    """Return what a stage would need for a million frames, by the line through the last two."""
    few, many = sorted(found)[-2:]
    a, b = found[few][stage], found[many][stage]
    share = (MILLION - many) / (many - few)
    return {
        "stage": stage,
        "time (hours)": (b.seconds + share * (b.seconds - a.seconds)) / 3600,
        "memory (GB)": (b.peak_mb + share * (b.peak_mb - a.peak_mb)) / 1e3,
        "memory per frame (bytes)": 1e6 * (b.peak_mb - a.peak_mb) / (many - few),
    }


def measured_rows(found: dict[int, dict[str, Measured]]) -> list[dict[str, str | float]]:
    return [
        {
            "stage": stage,
            "frames": str(count),
            "time (s)": at[stage].seconds,
            "frames/s": count / at[stage].seconds,
            "peak memory (MB)": at[stage].peak_mb,
        }
        for stage in STAGES
        for count, at in found.items()
    ]


def disk_gb(folder: Path) -> float:
    """Return the size of what the stages wrote, 10^9 bytes."""
    outs = ("data/prepared", "features", "diagnostics", "streams", "evaluation")
    files = (file for out in outs for file in (folder / out).rglob("*") if file.is_file())
    return sum(file.stat().st_size for file in files) / 1e9


def run(
    counts: Sequence[int], *, width: int, height: int
) -> tuple[dict[int, dict[str, Measured]], float]:
    """Measure all stages at each number of frames; return that and the disk of one frame, GB."""
    found: dict[int, dict[str, Measured]] = {}
    per_frame = 0.0
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            set_up(folder, count, width=width, height=height)
            found[count] = {stage: measure(stage, folder) for stage in STAGES}
            per_frame = disk_gb(folder) / count
        for stage, x in found[count].items():
            print(f"{count:7,} frames {stage:9} {x.seconds:7.1f} s {x.peak_mb:7.0f} MB", flush=True)
    return found, per_frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[50, 500, 5000])
    parser.add_argument("--width", type=int, default=128, help="of the frame")
    parser.add_argument("--height", type=int, default=64)
    parser.add_argument("--record", action="store_true", help="keep it in runs.jsonl")
    options = parser.parse_args()

    with load() as others:
        found, per_frame = run(options.frames, width=options.width, height=options.height)
    rows = [extrapolated(stage, found) for stage in STAGES]
    print(f"a million frames, computed, with {per_frame * MILLION:,.0f} GB of disk:")
    for row in rows:
        print(
            f"{row['stage']:9} {row['time (hours)']:7.1f} hours {row['memory (GB)']:6.1f} GB, "
            f"{row['memory per frame (bytes)']:7.0f} bytes a frame"
        )
    print(f"others used {others.cores:.1f} of {CORES} cores")
    if options.record:
        size = f"{options.width}x{options.height}, png@5 and jpeg-80, MLflow off"
        disk = f"outputs of a million frames: {per_frame * MILLION:,.0f} GB"
        million: list[dict[str, str | float]] = [
            {f"{k}, a million frames, computed" if k != "stage" else k: v for k, v in row.items()}
            for row in rows
        ]
        record("Many frames", f"{size}; {disk}", [*measured_rows(found), *million], others)


if __name__ == "__main__":
    main()
