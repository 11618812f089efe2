"""Many frames: what a shard is, and how work on them goes on after a kill.

A shard is `SHARD` frames that follow each other in a split; the last shard may have fewer. A stage
works on one shard at a time, so its memory does not grow with the number of frames. For each
finished shard there is one file in a folder of work in progress. It appears last and whole: if it
is there, the shard is done. A stage that was killed and is started again finds these files and
works on the other shards alone. In the end it joins all shards into its outputs, and the folder
goes.
"""

import fcntl
import hashlib
import json
import math
import mmap
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.files import said_plainly, whole_file

SHARD = 64
"""Frames. A multiple of the 8 frames of a batch: so each batch holds the frames that it would hold
without shards, and the sums are the same bits. A kill costs the work on 64 frames at most, some
seconds. Their features (Encoder2) take 32 MiB for frames of 512x256 and 512 MiB for 2048x1024."""
CHUNK = 2**24
"""Bytes of a long array that are worked on at once."""


def shards(frames: int) -> list[range]:
    """Return the frames of each shard of a split, as their indices."""
    return [range(i, min(i + SHARD, frames)) for i in range(0, frames, SHARD)]


def done_files(work: Path, frames: int) -> list[Path]:
    """Return the file of each shard in a folder of work in progress, there or not."""
    return [work / f"{shard.start:09}" for shard in shards(frames)]


def unfinished(work: Path, frames: int) -> Iterator[tuple[range, Path]]:
    """Yield each shard that is not done, with the file to be written once it is."""
    for shard, path in zip(shards(frames), done_files(work, frames), strict=True):
        if not path.exists():
            yield shard, path


@contextmanager
def work_folder(path: Path) -> Iterator[Path]:
    """Yield the folder of a stage's work in progress; it goes once the block has ended well.

    path: outside the outputs of any stage, which DVC deletes before it runs, and named by `digest`,
    so that work on other data or by other code is never found. While another process uses it (two
    experiments may share a stage), an empty folder beside it stands in, which always goes.
    """
    with said_plainly(path, path):
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / "lock").open("a")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}-") as own:
                yield Path(own)
            return
        path.mkdir(exist_ok=True)  # the process before may just have removed it
        yield path
        shutil.rmtree(path, ignore_errors=True)


def digest(settings: Mapping[str, Any], files: Iterable[Path]) -> str:
    """Return a name for all that work depends on: its settings and the bytes of its files."""
    total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in sorted(files):
        with path.open("rb") as file:
            total.update(f"{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}".encode())
    return total.hexdigest()[:32]


class Rows:
    """An array in a file that is filled a few rows at a time, in any order, by any threads.

    It is not memory-mapped: mapped pages would count as memory of this process, and a full disk
    would be a bus error instead of an exception. A file that is there stays, with its rows.
    """

    def __init__(
        self, path: Path, header: bytes, shape: Sequence[int], dtype: type[np.generic]
    ) -> None:
        """header: what stands before the array. shape: of the whole array, rows first."""
        self.path, self.start = path, len(header)
        self.row_bytes = math.prod(shape[1:]) * np.dtype(dtype).itemsize
        if not path.exists():
            with whole_file(path) as part, part.open("wb") as file:
                file.write(header)
                file.truncate(len(header) + shape[0] * self.row_bytes)

    def write(self, first: int, rows: np.ndarray) -> None:
        """Write rows at their place, from `first` on."""
        with self.path.open("r+b") as file:
            file.seek(self.start + first * self.row_bytes)
            file.write(np.ascontiguousarray(rows).data)


def rows_of(array: np.ndarray, rows: range) -> np.ndarray:
    """Return rows of an array; those of a memory-mapped file are mapped anew.

    So the pages that are read count as memory of this process only as long as the result lives.
    """
    whole = isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap)
    if not whole or not array.flags.c_contiguous or not len(rows):
        return array[rows.start : rows.stop]
    assert isinstance(array, np.memmap)
    offset = array.offset + rows.start * array.strides[0]
    shape = (len(rows), *array.shape[1:])
    return np.memmap(str(array.filename), array.dtype, "r", offset, shape)


def chunks(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield an array in parts of about `CHUNK` bytes, rows in order (see `rows_of`)."""
    step = max(1, CHUNK // max(1, math.prod(array.shape[1:]) * array.itemsize))
    for first in range(0, len(array), step):
        yield rows_of(array, range(first, min(first + step, len(array))))


def move(source: Path, target: Path) -> None:
    """Let a file of work in progress take its final name, also on another file system."""
    with whole_file(target) as part:
        shutil.move(source, part)
