"""Examine a Cityscapes release before any work: what is there, what is missing, what is broken.

Every file that `prepare` would read is decoded. A fault is a record, not an exception.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.data import cityscapes
from pipeline.data.cityscapes import (
    DISPARITY,
    IMAGE,
    LABEL,
    MAX_ID,
    NAMED_AT_MOST,
    CityscapesError,
    Listing,
    Part,
    ReleaseFile,
)
from pipeline.data.threads import over_frames

FRAMES = {"train": 2975, "val": 500}
"""Number of frames in each split of the release."""
SIZE = (2048, 1024)
"""Width and height of the release's frames, in pixels."""

READERS = {
    IMAGE: cityscapes.read_image,
    LABEL: cityscapes.read_label,
    DISPARITY: cityscapes.read_disparity,
}


class Finding(NamedTuple):
    """One thing that is not as in the release."""

    place: str
    """The split, or the split and the part, that it was found in."""
    what: str
    """What was found there, and at which file."""
    fault: bool = True
    """Whether the data cannot be used because of it."""


@dataclass(frozen=True)
class Examination:
    """All that was found in a release."""

    root: Path
    contents: dict[str, str]
    """What there is of each split, in words."""
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Return the findings for which the data cannot be used."""
        return tuple(x for x in self.findings if x.fault)


def examine(root: Path, *, disparity: bool, workers: int | None = None) -> Examination:
    """Decode every file of both splits that `prepare` would read, and return what was found.

    `root` is the release (see `cityscapes`). `disparity` says whether it must hold disparity.
    `workers` is the number of threads, one per core if None.
    """
    findings: list[Finding] = []
    contents: dict[str, str] = {}
    parts = cityscapes.parts_read(disparity=disparity)
    for split in FRAMES:
        listings: dict[Part, Listing] = {}
        for part in parts:
            try:
                listings[part] = cityscapes.list_part(root, part, split)
            except CityscapesError as error:
                findings.append(Finding(split, str(error)))
        if len(listings) == len(parts):
            try:
                cityscapes.find(root, split, disparity=disparity)
            except CityscapesError as error:
                findings.append(Finding(split, str(error)))
        size = _size(listings)
        findings += _findings(listings, split, size, workers)
        counts = ", ".join(f"{len(x.files):,} in {part.folder}" for part, x in listings.items())
        contents[split] = (counts or "nothing") + (f"; {_pixels(size)}" if size else "")
    return Examination(Path(root), contents, tuple(findings))


def _size(listings: dict[Part, Listing]) -> tuple[int, int] | None:
    """Return the width and height of the first image that can be read."""
    images = listings[IMAGE].files if IMAGE in listings else {}
    for key in sorted(images):
        with suppress(CityscapesError):
            return cityscapes.image_size(images[key])
    return None


def _findings(
    listings: dict[Part, Listing], split: str, size: tuple[int, int] | None, workers: int | None
) -> list[Finding]:
    """Return what is wrong with the files of a split, and then with the split as a whole."""
    keys = sorted(set().union(*(x.files for x in listings.values())))
    if not keys:
        return []
    findings = []
    # Number of pixels of each id, 0 to 33; of disparity: of invalid and of valid pixels.
    tallies = {part: np.zeros(MAX_ID + 1, np.int64) for part in listings}

    def work(index: int) -> list[tuple[Part, np.ndarray | CityscapesError]]:
        files = [(part, x.files.get(keys[index])) for part, x in listings.items()]
        return [(part, _tally(part, file, size)) for part, file in files if file]

    for frame in over_frames(work, len(keys), title=f"check {split}", workers=workers):
        for part, found in frame:
            if isinstance(found, CityscapesError):
                findings.append(Finding(f"{part.folder} of {split}", str(found)))
            else:
                tallies[part] += found
    ids = np.flatnonzero(tallies.get(LABEL, 0))
    if len(ids) and (fault := cityscapes.label_fault(ids)):
        findings.append(Finding(split, fault))
    if DISPARITY in tallies and tallies[DISPARITY][0] and not tallies[DISPARITY][1]:
        findings.append(Finding(split, cityscapes.NO_DISPARITY))
    if len(keys) != FRAMES[split]:
        what = f"{len(keys):,} frames, the release has {FRAMES[split]:,}"
        findings.append(Finding(split, what, fault=False))
    if size and size != SIZE:
        what = f"frames of {_pixels(size)}, the release has {_pixels(SIZE)}"
        findings.append(Finding(split, what, fault=False))
    return findings


def _tally(
    part: Part, file: ReleaseFile, size: tuple[int, int] | None
) -> np.ndarray | CityscapesError:
    """Return how many pixels of a file have each value, or why it cannot be used."""
    try:
        pixels = np.asarray(READERS[part](file, size=size))
    except CityscapesError as error:
        return error
    if part is IMAGE:
        return np.zeros(MAX_ID + 1, np.int64)
    # Every disparity but 0 is valid.
    values = pixels if part is LABEL else pixels > 0
    return np.bincount(values.ravel(), minlength=MAX_ID + 1)


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]} pixels"


def described(examination: Examination) -> str:
    """Return what was found, in lines for a terminal: what is there, then notes, then faults."""
    lines = [f"{examination.root}:"]
    lines += [f"  {split}: {words}" for split, words in examination.contents.items()]
    for fault, title in ((False, "note"), (True, "fault")):
        chosen = [x for x in examination.findings if x.fault is fault]
        for place in dict.fromkeys(x.place for x in chosen):
            found = [x.what for x in chosen if x.place == place]
            lines.append(f"{title}: {place} ({len(found):,}):")
            lines += [f"  {what}" for what in found[:NAMED_AT_MOST]]
            if len(found) > NAMED_AT_MOST:
                lines.append(f"  and {len(found) - NAMED_AT_MOST:,} more")
    return "\n".join(lines)
