"""Open prepared frames: a split of the release, reduced and packed into arrays for memory maps.

    image.npy      image_NHW3      uint8   RGB, antialiased
    label.npy      label_NHW       uint8   train ids 0 to 18, 255 void
    disparity.npy  disparity_NHW   uint16  the release's encoding; absent if not asked for
    frames.csv     index,name      one line per frame, sorted by name

Disparity keeps the release's 16-bit encoding p: 0 is invalid, else d = (p - 1) / 256. The unit of d
is a pixel of the 2048-wide original, for any size of the prepared frame.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

IMAGE, LABEL, DISPARITY, TABLE = "image.npy", "label.npy", "disparity.npy", "frames.csv"


class FramesError(ValueError):
    """A file of a prepared split is missing, damaged or unlike the others; the message names it."""


@dataclass(frozen=True)
class Frames:
    """One prepared split, memory-mapped and read-only."""

    names: tuple[str, ...]
    """`<city>_<seq>_<frame>` of each frame."""
    image_NHW3: np.ndarray
    """uint8, RGB."""
    label_NHW: np.ndarray
    """uint8, train ids 0 to 18, 255 void."""
    disparity_NHW: np.ndarray | None
    """uint16, the release's encoding (see `disparity_px`), or None."""


def disparity_px(encoded: np.ndarray) -> np.ndarray:
    """Decode disparity p (uint16, any shape) to float32 pixels of the 2048-wide original.

    Invalid pixels (p = 0) give 0. So does p = 1, a valid disparity of exactly 0, infinitely far.
    Scores use only pixels with disparity > 0, so they leave both out.
    """
    return np.maximum(encoded.astype(np.float32) - 1, 0) / 256


def frame_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the frames of a prepared split, in order. Raises FramesError."""
    try:
        with (folder / TABLE).open(newline="", encoding="utf-8") as stream:
            names = tuple(row["name"] for row in csv.DictReader(stream))
        if None in names:
            raise ValueError(f"line {names.index(None) + 2} has no name")
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise FramesError(f"{folder / TABLE}: no table of prepared frames ({error})") from error
    return names


def open_frames(folder: Path) -> Frames:
    """Open a folder written by `prepare_split`; the arrays stay on disk, memory-mapped.

    Raises FramesError if a file is missing, damaged, or does not agree with the others.
    """
    folder = Path(folder)
    names = frame_names(folder)
    image_NHW3 = _open_array(folder / IMAGE, np.uint8)
    shape = (len(names), *image_NHW3.shape[1:3])
    _agree(folder / IMAGE, image_NHW3, (*shape, 3))
    label_NHW = _open_array(folder / LABEL, np.uint8)
    _agree(folder / LABEL, label_NHW, shape)
    disparity_NHW = None
    if (folder / DISPARITY).exists():
        disparity_NHW = _open_array(folder / DISPARITY, np.uint16)
        _agree(folder / DISPARITY, disparity_NHW, shape)
    return Frames(names, image_NHW3, label_NHW, disparity_NHW)


def _open_array(path: Path, dtype: type[np.generic]) -> np.ndarray:
    try:
        # Unlike np.load it opens nothing but an .npy file of plain numbers: no pickle, no zip file.
        array = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # a damaged head fails in whatever way its bytes suggest
        raise FramesError(f"{path}: no array of prepared frames ({error})") from error
    if array.dtype != dtype:
        raise FramesError(f"{path}: holds {array.dtype}, expected {np.dtype(dtype)}")
    return array


def _agree(path: Path, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise FramesError(
            f"{path}: shape {array.shape}, expected {shape} by {TABLE} and {IMAGE};"
            " prepare the split again"
        )
