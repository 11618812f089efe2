"""Measure how fast frames are prepared, against decoding the same PNG files and nothing else.

    python -m benchmarks.prepare [--frames 24] [--rounds 3] [--record]

The frames are made up and have 2048x1024 pixels; their files are about as large as the release's.
They lie in a temporary folder. Each round times on the same files, one after the other:

- Pillow alone on one core; the target is set against this rate times the number of cores;
- Pillow alone on all cores, which shows what the machine can do at this moment;
- `prepare_split`, from folders and from zip files.

The peak memory of two processes is printed too: one prepares the frames, the other four times as
many. Target: 0.9 of cores x decoding alone, and equal peak memory.
"""

import argparse
import contextlib
import io
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.clock import Timing, timed
from benchmarks.record import CORES, load, record
from pipeline.data.prepare import prepare_split

WIDTH, HEIGHT = 2048, 1024
DRAWN = 4
PARTS = {
    "leftImg8bit": "leftImg8bit.png",
    "gtFine": "gtFine_labelIds.png",
    "disparity": "disparity.png",
}

PEAK = """
import resource, sys
from pathlib import Path
from pipeline.data.prepare import prepare_split
prepare_split(Path(sys.argv[1]), "val", Path(sys.argv[2]), width=512, height=256, disparity=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def draw(seed: int) -> dict[str, bytes]:
    """Return the PNG files of one frame: soft shapes under sensor noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (64, 128, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.float32)
    image = (smooth / 2 + 40 + rng.normal(0, 1.2, smooth.shape)).clip(0, 255).astype(np.uint8)
    blocks = Image.fromarray(rng.integers(0, 34, (16, 32), dtype=np.uint8))
    label = np.asarray(blocks.resize((WIDTH, HEIGHT), Image.Resampling.NEAREST).rotate(7))
    steps = rng.integers(0, 8, (HEIGHT, WIDTH)) * 16
    disparity = (np.linspace(1, 120 * 256, HEIGHT)[:, None] + steps).astype(np.uint16)
    disparity[np.kron(rng.random((HEIGHT // 8, WIDTH // 8)) < 0.15, np.ones((8, 8), bool))] = 0
    files = {}
    for part, array in zip(PARTS, (image, label, disparity), strict=True):
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, "PNG")
        files[part] = buffer.getvalue()
    return files


def write_release(root: Path, frames: int, drawn: list[dict[str, bytes]]) -> list[list[Path]]:
    """Write `frames` frames, the drawn ones in turn, and return the files of each frame."""
    release = []
    for index in range(frames):
        paths = []
        for part, suffix in PARTS.items():
            path = root / part / "val" / "ulm" / f"ulm_000000_{index:06}_{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(drawn[index % len(drawn)][part])
            paths.append(path)
        release.append(paths)
    return release


def zip_release(root: Path, target: Path) -> None:
    """Pack a release into the three zip files of the official one."""
    target.mkdir()
    for part in PARTS:
        path = target / f"{part}_trainvaltest.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted((root / part).rglob("*.png")):
                archive.write(file, file.relative_to(root))


def decode(paths: list[Path]) -> None:
    """Decode the files of one frame with Pillow and do nothing with them."""
    for path in paths:
        with Image.open(path) as image:
            image.load()


def per_frame(work: Callable[[], object], frames: int) -> Timing:
    """Time one call of `work` on so many frames, and say nothing of its progress."""
    with contextlib.redirect_stderr(io.StringIO()):
        whole = timed(work)
    return Timing(whole.wall / frames, whole.cpu / frames)


def peak_mib(root: Path, target: Path) -> float:
    """Return the peak memory of a fresh process that prepares a release, in MiB."""
    run = subprocess.run(
        [sys.executable, "-c", PEAK, str(root), str(target)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(run.stdout)


def main() -> None:
    """Measure and print; long on purpose, since it is read from the options to the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="keep it in runs.jsonl")
    options = parser.parse_args()
    frames, cores = options.frames, CORES

    with tempfile.TemporaryDirectory() as name, load() as others:
        folder = Path(name)
        drawn = [draw(seed) for seed in range(DRAWN)]
        release = write_release(folder / "release", frames, drawn)
        zip_release(folder / "release", folder / "zips")

        def all_cores() -> None:
            with ThreadPoolExecutor(cores) as pool:
                list(pool.map(decode, release))

        def prepare(source: str) -> Callable[[], object]:
            return lambda: prepare_split(
                folder / source, "val", folder / "out", width=512, height=256, disparity=True
            )

        half = release[: (frames + 1) // 2]
        sides: dict[str, list[Timing]] = {x: [] for x in ("decode", "cores", "folders", "zips")}
        for _ in range(options.rounds):
            sides["decode"].append(per_frame(lambda: [decode(paths) for paths in half], len(half)))
            sides["cores"].append(per_frame(all_cores, frames))
            sides["folders"].append(per_frame(prepare("release"), frames))
            sides["zips"].append(per_frame(prepare("zips"), frames))
        once = peak_mib(folder / "release", folder / "out")
        write_release(folder / "release", 4 * frames, drawn)
        fourfold = peak_mib(folder / "release", folder / "out")

    def ratio(side: str, against: str, times: int = 1) -> float:
        pairs = zip(sides[side], sides[against], strict=True)
        return statistics.median(b.wall / (times * a.wall) for a, b in pairs)

    rows = {
        "decoding alone, one core": "decode",
        f"decoding alone, {cores} cores": "cores",
        "prepare, from folders": "folders",
        "prepare, from zip files": "zips",
    }
    kib = " + ".join(f"{len(data) / 1024:.0f}" for data in drawn[0].values())
    print(f"{frames} frames of {WIDTH}x{HEIGHT} ({kib} KiB), median of {options.rounds} rounds")
    print(f"{'':26} frames/s  of {cores} x one core  of all cores  CPU ms/frame")
    for title, side in rows.items():
        rate = statistics.median(1 / x.wall for x in sides[side])
        cpu_ms = 1000 * statistics.median(x.cpu for x in sides[side])
        print(
            f"{title:26} {rate:8.1f} {ratio(side, 'decode', cores):15.2f}"
            f" {ratio(side, 'cores'):13.2f} {cpu_ms:13.1f}"
        )
    print(f"peak memory: {once:.0f} MiB, with 4 times the frames {fourfold:.0f} MiB")
    print(f"others used {others.cores:.1f} of {cores} cores")
    if options.record:
        rows = [
            {
                "from": side,
                "of cores x decoding alone": ratio(side, "decode", cores),
                "of decoding on all cores": ratio(side, "cores"),
                f"memory at {frames} frames (MiB)": once,
                f"memory at {4 * frames} frames (MiB)": fourfold,
            }
            for side in ("folders", "zips")
        ]
        record("Prepare", f"{frames} frames of 2048x1024", rows, others)


if __name__ == "__main__":
    main()
