"""Turn the release into prepared frames: decode, reduce and pack each frame of a split once."""

import math
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.artifacts import array_writer
from pipeline.data import cityscapes
from pipeline.data.frames import DISPARITY, IMAGE, LABEL, TABLE, Frames, FramesError, open_frames
from pipeline.data.threads import over_frames
from pipeline.files import whole_folder, write_text
from pipeline.labels import TRAIN_ID_OF_ID, VOID

MUCH_VOID = 0.5
"""Share of void pixels in a split from which a person is asked whether the labels are right."""


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
    segmentation: bool = True,
    cities: Callable[[str], bool] = lambda city: True,
    workers: int | None = None,
) -> Frames:
    """Decode a split of the release and write it as packed arrays into a folder.

    `root` is the release (see `cityscapes`), `split` is "train" or "val". A `folder` that is there
    is replaced once the new one is whole. `width` and `height` are those of the prepared frames, in
    pixels, at most the source's. If their ratio is not the source's, the frames are stretched, not
    cropped. `disparity` says whether to prepare disparity too, `segmentation` whether the labels
    will be used. `cities` says of a city whether its frames belong to the folder. `workers` is the
    number of threads, one per core if None.

    Raises CityscapesError if the release is not whole, or if a task has no valid pixel in the whole
    split; FramesError if the frames would be empty or larger than the source.
    """
    files = [x for x in cityscapes.find(root, split, disparity=disparity) if cities(x.city)]
    size = _source_size(files[0].image, width, height)
    to = {"width": width, "height": height}

    def decoded(index: int) -> list[np.ndarray]:
        frame = files[index]
        arrays = [
            reduce_image(cityscapes.read_image(frame.image, size=size), **to),
            TRAIN_ID_OF_ID[nearest(cityscapes.read_label(frame.label, size=size), **to)],
        ]
        if frame.disparity:
            arrays.append(nearest(cityscapes.read_disparity(frame.disparity, size=size), **to))
        return arrays

    known = valid = 0
    shape = (len(files), height, width)
    with whole_folder(folder) as draft, ExitStack() as stack:
        packed = [
            array_writer(draft / IMAGE, (*shape, 3), np.uint8),
            array_writer(draft / LABEL, shape, np.uint8),
            *([array_writer(draft / DISPARITY, shape, np.uint16)] if disparity else []),
        ]
        writers = [stack.enter_context(array) for array in packed]
        title = f"prepare {folder.name}"
        for frame in over_frames(decoded, len(files), title=title, workers=workers):
            known += int(np.count_nonzero(frame[1] != VOID))
            valid += sum(int(np.count_nonzero(depth)) for depth in frame[2:])
            for write, array in zip(writers, frame, strict=True):
                write(array)
        if segmentation and not known:
            raise cityscapes.CityscapesError(f"{root}, split {split}: {cityscapes.NO_LABELS}")
        if disparity and not valid:
            raise cityscapes.CityscapesError(f"{root}, split {split}: {cityscapes.NO_DISPARITY}")
        void = 1 - known / math.prod(shape)
        if segmentation and void > MUCH_VOID:
            print(
                f"{title}: {100 * void:.0f} % of the label pixels are void, in Cityscapes 10 to 13 "
                "%. Are these the release's own ids? See python -m commands.check_data",
                file=sys.stderr,
            )
        rows = (f"{index},{frame.name}\n" for index, frame in enumerate(files))
        write_text(draft / TABLE, "".join(["index,name\n", *rows]))
    return open_frames(folder)


def _source_size(file: cityscapes.ReleaseFile, width: int, height: int) -> tuple[int, int]:
    """Return the size of the split's first image, which must be no smaller than the target."""
    size = cityscapes.image_size(file)
    if not (1 <= width <= size[0] and 1 <= height <= size[1]):
        raise FramesError(
            f"cannot prepare frames of {width}x{height} pixels from {size[0]}x{size[1]}"
            f" ({file}): each side must be at least 1 and at most the source's"
        )
    return size
