"""Turn the release into prepared frames: decode, reduce and pack each frame of a split once."""

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.data import cityscapes
from pipeline.data.frames import DISPARITY, IMAGE, LABEL, TABLE, Frames, FramesError, open_frames
from pipeline.labels import TRAIN_ID_OF_ID
from pipeline.data.threads import over_frames
from pipeline.files import whole_file, whole_folder
from pipeline.shards import Rows

SHARDS = "shards"
"""A folder beside arrays that are not whole yet: an empty file for each finished shard."""


def reduce_image(image: Image.Image, *, width: int, height: int) -> np.ndarray:
    """Reduce an RGB image to image_HW3 (uint8), with antialiasing.

    A whole-number ratio gives the mean of each block. Any other ratio gives a weighted mean, by a
    triangle two pixels of the result wide: blocks of unequal size would shift parts of the image.
    """
    if image.width % width == 0 and image.height % height == 0:
        return np.asarray(image.reduce((image.width // width, image.height // height)))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def nearest(source_HW: np.ndarray, *, width: int, height: int) -> np.ndarray:
    """Return the source pixel under the centre of each target pixel; values are never mixed."""
    rows = (2 * np.arange(height) + 1) * source_HW.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * source_HW.shape[1] // (2 * width)
    return source_HW[rows[:, None], columns]


def belongs(tuning: frozenset[str], split: str, city: str) -> bool:
    """Return whether a city belongs to a split if those in `tuning` are held out of train."""
    return not tuning or (city in tuning) == (split == "val")


def prepare_split(
    root: Path,
    split: str,
    folder: Path,
    *,
    width: int,
    height: int,
    disparity: bool,
    cities: Callable[[str], bool] = lambda city: True,
    workers: int | None = None,
) -> Frames:
    """Decode a split of the release and write it as packed arrays into a folder.

    A folder that is there is replaced once the new one is whole. The other arguments and errors are
    those of `fill_split`.
    """
    with whole_folder(folder) as draft:
        fill_split(
            root,
            split,
            draft,
            width=width,
            height=height,
            disparity=disparity,
            cities=cities,
            workers=workers,
            title=folder.name,
        )
    return open_frames(folder)


def fill_split(
    root: Path,
    split: str,
    folder: Path,
    *,
    width: int,
    height: int,
    disparity: bool,
    cities: Callable[[str], bool] = lambda city: True,
    workers: int | None = None,
    title: str = "",
) -> None:
    """Decode a split of the release into packed arrays, or go on with it, a shard at a time.

    `root` is the release (see `cityscapes`), `split` is "train" or "val". `folder` holds nothing,
    or what an earlier call with the same arguments has left there; its table of frames comes last.
    `width` and `height` are those of the prepared frames, in pixels, at most the source's. If their
    ratio is not the source's, the frames are stretched, not cropped. `disparity` says whether to
    prepare disparity too. `cities` says of a city whether its frames belong to the folder.
    `workers` is the number of threads, one per core if None; Pillow decodes outside Python's lock.
    `title` is what the progress is called, the folder's name if empty.

    Raises CityscapesError if the release is not whole, FramesError if the frames would be empty or
    larger than the source.
    """
    done = folder / SHARDS
    if (folder / TABLE).exists():
        shutil.rmtree(done, ignore_errors=True)
        return
    files = [x for x in cityscapes.find(root, split, disparity=disparity) if cities(x.city)]
    size = _source_size(files[0].image, width, height)
    count = len(files)
    image = _packed(folder / IMAGE, (count, height, width, 3), np.uint8)
    label = _packed(folder / LABEL, (count, height, width), np.uint8)
    depth = _packed(folder / DISPARITY, (count, height, width), np.uint16) if disparity else None

    def prepare(index: int) -> None:
        frame = files[index]
        to = {"width": width, "height": height}
        image.write(index, reduce_image(cityscapes.read_image(frame.image, size=size), **to))
        label_HW = nearest(cityscapes.read_label(frame.label, size=size), **to)
        label.write(index, TRAIN_ID_OF_ID[label_HW])
        if depth is not None and frame.disparity is not None:
            disparity_HW = cityscapes.read_disparity(frame.disparity, size=size)
            depth.write(index, nearest(disparity_HW, **to))

    title = f"prepare {title or folder.name}"
    over_frames(prepare, count, title=title, workers=workers, done=done)
    _write_table(folder / TABLE, [frame.name for frame in files])
    shutil.rmtree(done, ignore_errors=True)


def _source_size(file: cityscapes.ReleaseFile, width: int, height: int) -> tuple[int, int]:
    """Return the size of the split's first image, which must be no smaller than the target."""
    size = cityscapes.image_size(file)
    if not (1 <= width <= size[0] and 1 <= height <= size[1]):
        raise FramesError(
            f"cannot prepare frames of {width}x{height} pixels from {size[0]}x{size[1]}"
            f" ({file}): each side must be at least 1 and at most the source's"
        )
    return size


def _packed(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> Rows:
    """Return an .npy file to be filled frame by frame."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header,
        {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape},
    )
    return Rows(path, header.getvalue(), shape, dtype)


def _write_table(path: Path, names: list[str]) -> None:
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["index", "name"])
        writer.writerows(enumerate(names))
