"""The built-in data set: procedural street scenes in the layout of the Cityscapes release."""

import multiprocessing
import os
import sys
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from pipeline.files import whole_folder
from pipeline.streets.draw import draw

CITIES = {
    "train": ("amselstadt", "dornhafen", "eschwinkel", "lindenau"),
    "val": ("falkenried", "moorbruck"),
}
"""Invented cities of each split."""
_FRAME = 19


def write_streets(
    root: Path,
    seed: int,
    train: int,
    val: int,
    width: int,
    height: int,
    workers: int | None = None,
) -> None:
    """Write a data set of `train` and `val` frames into the folder root, in the official layout.

    The frames of a split take turns through its cities: frame n is in city n % 4 of `train`, or in
    city n % 2 of `val`. So two cities of a split differ by at most one frame. Each frame has its
    own street, and no city is in both splits.

    The set is drawn in a hidden folder beside root, which takes root's name when it is whole.
    `workers` processes draw, one per core if None; the files do not depend on their number. Raises
    FileExistsError if root is there and not empty, ValueError for a count, a size or a number of
    workers below 1.
    """
    if train < 1 or val < 1:
        raise ValueError(f"{train} train and {val} val frames; each split needs at least one")
    if workers is not None and workers < 1:
        raise ValueError(f"{workers} workers; at least one must draw")
    if root.exists() and any(root.iterdir()):
        raise FileExistsError(f"{root} is not empty; remove it or choose another folder")
    jobs = [("train", n) for n in range(train)] + [("val", n) for n in range(val)]
    processes = min(workers or os.cpu_count() or 1, len(jobs))
    with (
        whole_folder(root) as folder,
        tqdm(total=len(jobs), desc="streets", unit="frame", disable=None) as bar,
    ):
        for _ in _written(partial(_write_frame, folder, seed, width, height), jobs, processes):
            bar.update()
    if bar.disable:
        print(f"streets: {train} train and {val} val frames in {root}", file=sys.stderr)


def _written(write: "partial[None]", jobs: list[tuple[str, int]], processes: int) -> Iterator[None]:
    """Do the jobs, in this process alone or in several others, and yield after each."""
    pool = _pool(processes) if processes > 1 else None
    if pool is None:
        yield from map(write, jobs)
        return
    with pool:
        yield from pool.map(write, jobs, chunksize=4)


def _pool(processes: int) -> ProcessPoolExecutor | None:
    """Return a pool, or None where /dev/shm is missing or read-only: a pool has its locks there."""
    context = multiprocessing.get_context("spawn")
    try:
        return ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_parent)
    except OSError:
        return None


def _end_with_parent() -> None:
    """Let this process end when the one that began it does, also by a kill.

    Without that it would go on drawing, and then wait for ever for more to draw.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _write_frame(folder: Path, seed: int, width: int, height: int, job: tuple[str, int]) -> None:
    split, index = job
    scene = draw(seed, split, index, width, height)
    sequence, turn = divmod(index, len(CITIES[split]))
    city = CITIES[split][turn]
    for part, suffix, pixels in (
        ("leftImg8bit", "leftImg8bit", scene.image_HW3),
        ("gtFine", "gtFine_labelIds", scene.label_HW),
        ("disparity", "disparity", scene.disparity_HW),
    ):
        place = folder / part / split / city
        place.mkdir(parents=True, exist_ok=True)
        # Run lengths alone are a little faster than the lowest level and give smaller files, since
        # noise has no repeats to find.
        file = place / f"{city}_{sequence:06}_{_FRAME:06}_{suffix}.png"
        Image.fromarray(pixels).save(file, compress_level=1, compress_type=zlib.Z_RLE)
