"""Examine a Cityscapes release before any work: what is there, what is missing, what is broken.

Every file that `prepare` would read is decoded. A fault is a record, not an exception.
"""

from collections import Counter
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


class _Content(NamedTuple):
    """What one file holds."""

    part: Part
    file: ReleaseFile
    size: tuple[int, int] | None = None
    """Its width and height in pixels; None if it cannot be used."""
    tally: np.ndarray = np.zeros(1, np.int64)
    """Number of pixels of each id, 0 to 33; of disparity: of invalid and of valid pixels."""
    error: str = ""
    """Why it cannot be used."""


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
        found = _decoded(listings, split, workers)
        size = _commonest_size(found)
        findings += _findings(split, found, size)
        counts = ", ".join(f"{len(x.files):,} in {part.folder}" for part, x in listings.items())
        contents[split] = (counts or "nothing") + (f"; {_pixels(size)}" if size else "")
    return Examination(Path(root), contents, tuple(findings))


def _decoded(listings: dict[Part, Listing], split: str, workers: int | None) -> list[_Content]:
    keys = sorted(set().union(*(x.files for x in listings.values())))

    def work(index: int) -> list[_Content]:
        files = [(part, x.files.get(keys[index])) for part, x in listings.items()]
        return [_content(part, file) for part, file in files if file]

    if not keys:
        return []
    found = over_frames(work, len(keys), title=f"check {split}", workers=workers)
    return [x for frame in found for x in frame]


def _content(part: Part, file: ReleaseFile) -> _Content:
    try:
        pixels = np.asarray(READERS[part](file))
    except CityscapesError as error:
        return _Content(part, file, error=str(error))
    size = pixels.shape[1], pixels.shape[0]
    if part is IMAGE:
        return _Content(part, file, size)
    # Every disparity but 0 is valid.
    values = pixels if part is LABEL else pixels > 0
    return _Content(part, file, size, np.bincount(values.ravel(), minlength=MAX_ID + 1))


def _commonest_size(found: list[_Content]) -> tuple[int, int] | None:
    sizes = Counter(x.size for x in found if x.part is IMAGE and x.size)
    return sizes.most_common(1)[0][0] if sizes else None


def _findings(split: str, found: list[_Content], size: tuple[int, int] | None) -> list[Finding]:
    """Return what is wrong with the files of a split, and then with the split as a whole."""
    findings = []
    for x in found:
        place = f"{x.part.folder} of {split}"
        if x.error:
            findings.append(Finding(place, x.error))
        elif size and x.size and x.size != size:
            what = f"{x.file}: {_pixels(x.size)}, most images of {split} have {_pixels(size)}"
            findings.append(Finding(place, what))
    tallies = {part: [x.tally for x in found if x.part is part and x.size] for part in READERS}
    if tallies[LABEL]:
        ids = np.flatnonzero(np.sum(tallies[LABEL], axis=0))
        if fault := cityscapes.label_fault(ids):
            findings.append(Finding(split, fault))
    if tallies[DISPARITY] and not np.sum(tallies[DISPARITY], axis=0)[1]:
        findings.append(Finding(split, cityscapes.NO_DISPARITY))
    count = max(Counter(x.part for x in found).values(), default=0)
    if count and count != FRAMES[split]:
        what = f"{count:,} frames, the release has {FRAMES[split]:,}"
        findings.append(Finding(split, what, fault=False))
    if size and size != SIZE:
        what = f"frames of {_pixels(size)}, the release has {_pixels(SIZE)}"
        findings.append(Finding(split, what, fault=False))
    return findings


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
