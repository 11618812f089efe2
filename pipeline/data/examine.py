"""Examine a Cityscapes release before any work: what is there, what is missing, what is broken.

Every file that `prepare` would read is decoded. A fault is a record; sentences are made at the end.
"""

import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from pipeline.data import png
from pipeline.data.cityscapes import (
    IMAGE,
    LABEL,
    MAX_ID,
    NAMED_AT_MOST,
    TRAIN_ID_SUFFIX,
    CityscapesError,
    Listing,
    Part,
    ReleaseFile,
    list_part,
    parts_read,
)
from pipeline.data.threads import over_frames

FRAMES = {"train": 2975, "val": 500}
"""Number of frames in each split of the release."""
SIZE = (2048, 1024)
"""Width and height of the release's frames, in pixels."""
FOLDERS = {*FRAMES, "test", "train_extra", "demoVideo"}
"""Every split folder of the release; only those of `FRAMES` are read."""
COLOUR_SUFFIX = "_gtFine_color.png"

FAULTS = {
    "absent": "parts that are not there or cannot be opened",
    "empty": "splits without any frame; expected are files such as",
    "member": "members of a zip file that lie outside its folder; download it again",
    "unpaired": "files missing beside the other files of their frame",
    "train ids": "labels in train ids only; wanted are the release's own ids",
    "colour": "colour pictures of labels in place of *_gtFine_labelIds.png",
    "unreadable": "files that cannot be decoded",
    "kind": "files of another kind of PNG than the release's",
    "size": "files of another size than most images of their split",
    "ids": f"labels with ids outside 0 to {MAX_ID}",
}
"""Kind of fault -> what is said of those files."""
NOTES = {
    "folder": "split folders that are not read; those read are train and val",
    "count": "number of frames unlike the release's",
    "official size": f"frames of another size than the release's {SIZE[0]}x{SIZE[1]} pixels",
}
"""Kind of note -> what is said of it. A note does not make the data useless."""


class Finding(NamedTuple):
    """One thing that is not as in the release."""

    kind: str
    """A key of `FAULTS` or `NOTES`."""
    place: str
    """The file, folder, zip file, `<zip>:<member>` or split that it was found at."""
    detail: str = ""
    """What was found there, in a few words."""


class SplitFound(NamedTuple):
    """What there is of one split."""

    split: str
    """"train" or "val"."""
    files: dict[str, int]
    """Number of files in each part that is there, by the part's folder."""
    size: tuple[int, int] | None
    """The commonest width and height of its images, in pixels; None without a readable image."""


@dataclass(frozen=True)
class Examination:
    """All that was found in a release."""

    root: Path
    splits: tuple[SplitFound, ...]
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Return the findings for which the data cannot be used."""
        return tuple(x for x in self.findings if x.kind in FAULTS)


class _FileFound(NamedTuple):
    """What one file is."""

    part: Part
    file: ReleaseFile
    size: tuple[int, int] | None
    """Its width and height in pixels; None if it is not a whole PNG."""
    finding: Finding | None


def examine(root: Path, *, disparity: bool, workers: int | None = None) -> Examination:
    """Decode every file of both splits that `prepare` would read, and return what was found.

    `root` is the release (see `cityscapes`). `disparity` says whether it must hold disparity.
    `workers` is the number of threads, one per core if None. A fault of the release is a finding,
    not an exception.
    """
    parts = parts_read(disparity=disparity)
    findings: list[Finding] = []
    splits: list[SplitFound] = []
    for part in parts:
        findings += _examine_folders(root, part)
    for split in FRAMES:
        listings: dict[Part, Listing] = {}
        for part in parts:
            try:
                listings[part] = list_part(root, part, split)
            except CityscapesError as error:
                findings.append(Finding("absent", part.folder, str(error)))
        found, more = _examine_split(root, split, listings, workers)
        splits.append(found)
        findings += more
    return Examination(Path(root), tuple(splits), tuple(dict.fromkeys(findings)))


def _examine_folders(root: Path, part: Part) -> Iterator[Finding]:
    """Yield split folders that are not the release's, and members that leave the zip's folder."""
    folder, path = root / part.folder, root / part.archive
    if folder.is_dir():
        names = {x.name for x in folder.iterdir() if x.is_dir() and not x.name.startswith(".")}
        yield from (Finding("folder", str(folder / x)) for x in sorted(names - FOLDERS))
    if all((folder / split).is_dir() for split in FRAMES) or not path.is_file():
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return  # told when its files are listed
    yield from (Finding("member", f"{path}:{x}") for x in members if _leaves(x))
    inside = (x.split("/") for x in members if x.startswith(f"{part.folder}/"))
    names = {x[1] for x in inside if len(x) > 2 and not _leaves("/".join(x))}
    yield from (Finding("folder", f"{path}:{part.folder}/{x}") for x in sorted(names - FOLDERS))


def _leaves(member: str) -> bool:
    """Return whether a member of a zip file would be extracted outside the folder it is put in."""
    path = PurePosixPath(member.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or path.parts[:1] == (f"{member[:1]}:",)


def _examine_split(
    root: Path, split: str, listings: dict[Part, Listing], workers: int | None
) -> tuple[SplitFound, list[Finding]]:
    """Return what there is of a split, and what is wrong with it; `listings` has its parts."""
    findings = list(_examine_pairs(root, split, listings))
    keys = sorted(set().union(*(x.files for x in listings.values())))
    frames = [
        [(part, x.files[key]) for part, x in listings.items() if key in x.files] for key in keys
    ]
    found: list[list[_FileFound]] = [[] for _ in frames]

    def work(index: int) -> None:
        found[index] = [_examine_file(part, file) for part, file in frames[index]]

    if frames:
        over_frames(work, len(frames), title=f"check {split}", workers=workers)
    files = [x for frame in found for x in frame]
    sizes = Counter(x.size for x in files if x.part is IMAGE and x.size)
    size = sizes.most_common(1)[0][0] if sizes else None
    findings += [x.finding for x in files if x.finding]
    findings += [
        Finding("size", str(x.file), f"{_pixels(x.size)}, not {_pixels(size)}")
        for x in files
        if size and x.size and x.size != size
    ]
    if keys and len(keys) != FRAMES[split]:
        findings.append(Finding("count", split, f"{len(keys):,} of {FRAMES[split]:,} frames"))
    if size and size != SIZE:
        findings.append(Finding("official size", split, _pixels(size)))
    counts = {part.folder: len(x.files) for part, x in listings.items()}
    return SplitFound(split, counts, size), findings


def _examine_pairs(root: Path, split: str, listings: dict[Part, Listing]) -> Iterator[Finding]:
    """Yield the frames of a split that lack a file, and the split if it has none at all."""
    keys = sorted(set().union(*(x.files for x in listings.values())))
    if listings and not keys:
        yield Finding("empty", next(iter(listings.values())).expected("<city>/<name>"))
    for part, listing in listings.items():
        instead: dict[str, Finding] = {}
        if part is LABEL and len(listing.files) < len(keys):
            for kind, suffix in (("colour", COLOUR_SUFFIX), ("train ids", TRAIN_ID_SUFFIX)):
                others = list_part(root, LABEL._replace(suffix=suffix), split).files
                instead |= {key: Finding(kind, str(file)) for key, file in others.items()}
        for key in keys:
            if key not in listing.files:
                yield instead.get(key, Finding("unpaired", listing.expected(key)))


def _examine_file(part: Part, file: ReleaseFile) -> _FileFound:
    try:
        data = file.read()
        header = png.check(data)
    except (CityscapesError, png.PngError) as error:
        detail = str(error).removeprefix(f"{file}: ")
        return _FileFound(part, file, None, Finding("unreadable", str(file), detail))
    size = header.width, header.height
    if header.kind != part.kind:
        colour = part is LABEL and ("RGB" in header.kind or "palette" in header.kind)
        kind = "colour" if colour else "kind"
        detail = f"{header.kind}, not {part.kind}"
        return _FileFound(part, file, size, Finding(kind, str(file), detail))
    try:
        pixels = np.asarray(png.decode(data, kind=part.kind, size=None))
    except png.PngError as error:
        return _FileFound(part, file, size, Finding("unreadable", str(file), str(error)))
    if part is LABEL and pixels.max() > MAX_ID:
        ids = ", ".join(map(str, np.unique(pixels[pixels > MAX_ID])))
        return _FileFound(part, file, size, Finding("ids", str(file), f"ids {ids}"))
    return _FileFound(part, file, size, None)


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]} pixels"


def described(examination: Examination) -> str:
    """Return what was found, in lines for a terminal: what is there, then notes, then faults."""
    lines = [f"{examination.root}:"]
    for split in examination.splits:
        counts = ", ".join(f"{count:,} in {part}" for part, count in split.files.items())
        size = f"; {_pixels(split.size)}" if split.size else ""
        lines.append(f"  {split.split}: {counts or 'nothing'}{size}")
    for title, kinds in (("note", NOTES), ("fault", FAULTS)):
        for kind, words in kinds.items():
            found = [x for x in examination.findings if x.kind == kind]
            if found:
                lines.append(f"{title}: {words} ({len(found):,}):")
                lines += [
                    f"  {x.place}" + (f": {x.detail}" if x.detail else "")
                    for x in found[:NAMED_AT_MOST]
                ]
            if len(found) > NAMED_AT_MOST:
                lines.append(f"  and {len(found) - NAMED_AT_MOST:,} more")
    return "\n".join(lines)
