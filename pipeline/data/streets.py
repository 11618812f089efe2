"""The built-in data set: procedural street scenes in the layout of the Cityscapes release.

A street is planned in metres (`street.layout`), its things are placed and painted under a depth
test (`street.roadside`, `street.traffic` on `street.canvas`), and the camera's and the stereo
matcher's faults are added. Camera, encodings and layout are those of the release.
"""

import multiprocessing
import os
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from pipeline.data.street.canvas import Canvas
from pipeline.data.street.ground import ground_paint, paint_ground, paint_sky
from pipeline.data.street.layout import camera, plan, weather
from pipeline.data.street.records import Camera
from pipeline.data.street.roadside import Roadside, paint_backdrop, paint_of
from pipeline.data.street.stereo import encode_disparity
from pipeline.data.street.traffic import Traffic

CITIES = {
    "train": ("amselstadt", "dornhafen", "eschwinkel", "lindenau"),
    "val": ("falkenried", "moorbruck"),
}
"""Invented cities of each split."""
_FRAME = 19
_GRAIN = (1.2, 2.0, 3.2)
"""Deviations of sensor noise, in grey levels, that scenes choose from."""
_SLIDE = 1 << 16
"""Pixels by which the noise of two frames may be shifted."""


@dataclass(frozen=True)
class Scene:
    """One drawn frame."""

    image_HW3: NDArray[np.uint8]
    """RGB."""
    label_HW: NDArray[np.uint8]
    """Official label ids."""
    disparity_HW: NDArray[np.uint16]
    """Official encoding: 0 invalid, else round(256 d) + 1, d in pixels of the full width 2048."""
    camera: Camera
    """Where it was seen from."""


def draw(seed: int, split: str, index: int, width: int, height: int) -> Scene:
    """Draws frame `index` of a split of the world of a seed; the same arguments, the same frame.

    Raises ValueError when the split is not one of CITIES, seed or index is negative, or a side is
    less than a pixel.
    """
    if split not in CITIES:
        raise ValueError(f"split is {split!r}; allowed are {', '.join(CITIES)}")
    if seed < 0 or index < 0:
        raise ValueError(f"seed is {seed} and index {index}; neither may be negative")
    if width < 1 or height < 1:
        raise ValueError(f"a frame of {width} x {height} pixels; each side needs at least one")
    entropy = (seed, list(CITIES).index(split), index)
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(entropy).spawn(5)]
    layout, look, things, ground, sensor = streams
    street = plan(layout, index)
    canvas = Canvas(camera(look, width, height))
    traffic = Traffic(canvas, street, things)
    traffic.plan(index)
    paint_sky(canvas, street, look)
    paint_ground(canvas, street, traffic.shadows, ground)
    traffic.paint()
    for side in (-1, 1):
        Roadside(canvas, street, side, layout).paint()
    paint_backdrop(canvas, street, layout)
    if look.random() < 0.75:
        _paint_bonnet(canvas, look)
    image_HW3, label_HW = canvas.develop(ground_paint(look, street), weather(look, street))
    disparity_HW = encode_disparity(canvas.disparity_HW, sensor)
    return Scene(_exposed(image_HW3, sensor), label_HW, disparity_HW, canvas.camera)


def _paint_bonnet(canvas: Canvas, rng: np.random.Generator) -> None:
    view = canvas.camera
    across = (np.arange(view.width, dtype=np.float32) + 0.5) / view.width * 2 - 1
    top = view.height * (rng.uniform(0.9, 0.96) + 0.03 * across**2)
    tone = rng.uniform(60, 110)
    canvas.bonnet(top.astype(np.float32), paint_of("ego vehicle", (tone, tone, tone * 1.05)))


@cache
def _grain(deviation: float, pixels: int) -> NDArray[np.int8]:
    rng = np.random.default_rng(7)
    common = rng.standard_normal((pixels, 1), np.float32)
    coloured = rng.standard_normal((pixels, 3), np.float32)
    return np.rint(deviation * (0.8 * common + 0.6 * coloured)).astype(np.int8)


def _exposed(image_HW3: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The image a little softened by the lens and with the sensor's noise."""
    height, width = image_HW3.shape[:2]
    soft = image_HW3.astype(np.int16)
    soft *= 2
    soft[:, :-1] += image_HW3[:, 1:]
    soft[:, -1] += image_HW3[:, -1]
    soft[:-1] += image_HW3[1:]
    soft[-1] += image_HW3[-1]
    soft >>= 2
    pixels = height * width
    grain = _grain(_GRAIN[rng.integers(len(_GRAIN))], pixels + _SLIDE)
    first = int(rng.integers(_SLIDE))
    soft += grain[first : first + pixels].reshape(soft.shape)
    return np.clip(soft, 0, 255, out=soft).astype(np.uint8)


def write_streets(
    root: Path,
    seed: int,
    train: int,
    val: int,
    width: int,
    height: int,
    workers: int | None = None,
) -> None:
    """Writes a data set of so many frames a split into the folder root, in the official layout.

    It is drawn in a hidden folder beside root, which takes root's name when it is whole. `workers`
    processes draw (all cores when None); the files do not depend on their number.

    Raises FileExistsError when root is there and not empty, ValueError for a count, a size
    or a number of workers below 1.
    """
    if train < 1 or val < 1:
        raise ValueError(f"{train} train and {val} val frames; each split needs at least one")
    if workers is not None and workers < 1:
        raise ValueError(f"{workers} workers; at least one must draw")
    if root.exists() and any(root.iterdir()):
        raise FileExistsError(f"{root} is not empty; remove it or choose another folder")
    jobs = [("train", n) for n in range(train)] + [("val", n) for n in range(val)]
    processes = min(workers or os.cpu_count() or 1, len(jobs))
    with _becoming(root) as folder:
        write = partial(_write_frame, folder, seed, width, height)
        bar = tqdm(total=len(jobs), desc="streets", unit="frame", disable=None)
        with bar:
            for _ in _each(write, jobs, processes):
                bar.update()
    if bar.disable:
        print(f"streets: {train} train and {val} val frames in {root}", file=sys.stderr)


@contextmanager
def _becoming(root: Path) -> Iterator[Path]:
    """A hidden folder beside root that becomes root in the end, or goes away on an error."""
    folder = root.parent / f".{root.name}.{os.getpid()}.partial"
    folder.mkdir(parents=True)
    try:
        yield folder
        folder.replace(root)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _each(
    work: Callable[[tuple[str, int]], None], jobs: list[tuple[str, int]], processes: int
) -> Iterator[None]:
    """Does the jobs, in this process alone or in so many others, and yields after each."""
    if processes == 1:
        yield from map(work, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        yield from pool.map(work, jobs, chunksize=4)


def _write_frame(folder: Path, seed: int, width: int, height: int, job: tuple[str, int]) -> None:
    split, index = job
    scene = draw(seed, split, index, width, height)
    cities = CITIES[split]
    city = cities[index % len(cities)]
    name = f"{city}_{index // len(cities):06}_{_FRAME:06}"
    for release, suffix, pixels in (
        ("leftImg8bit", "leftImg8bit", scene.image_HW3),
        ("gtFine", "gtFine_labelIds", scene.label_HW),
        ("disparity", "disparity", scene.disparity_HW),
    ):
        place = folder / release / split / city
        place.mkdir(parents=True, exist_ok=True)
        # Run lengths alone are a little faster than the lowest level and give smaller files, since
        # noise has no repeats to find.
        file = place / f"{name}_{suffix}.png"
        Image.fromarray(pixels).save(file, compress_level=1, compress_type=zlib.Z_RLE)
