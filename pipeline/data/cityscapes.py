"""Read the official Cityscapes release: find the frames of a split, check and decode their files.

The release has three parts: images, labels, disparity. Each part is read from its extracted folder
under the root. Without that folder, it is read from the official zip file in the root:

    leftImg8bit/<split>/<city>/<name>_leftImg8bit.png        leftImg8bit_trainvaltest.zip
    gtFine/<split>/<city>/<name>_gtFine_labelIds.png         gtFine_trainvaltest.zip
    disparity/<split>/<city>/<name>_disparity.png            disparity_trainvaltest.zip

A file that is not as in the release raises a `CityscapesError` that names it. A file inside a zip
file is named `<zip>/<member>`.
"""

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from pipeline.labels import ID_OF, LABELS, TRAIN_ID_OF_ID, VOID

NAMED_AT_MOST = 10
MAX_ID = max(label.id for label in LABELS)


class CityscapesError(ValueError):
    """A file of the release is missing or not as published; the message names it."""


ReleaseFile = Path | zipfile.Path
"""One file of the release: on disk, or inside a zip file that stays open."""


class FrameFiles(NamedTuple):
    """The files of one frame."""

    name: str
    """`<city>_<seq>_<frame>`, such as `munster_000000_000019`."""
    image: ReleaseFile
    label: ReleaseFile
    disparity: ReleaseFile | None
    """None if disparity was not asked for."""

    @property
    def city(self) -> str:
        """Return the city that the frame is of."""
        return self.name.split("_")[0]


class Part(NamedTuple):
    """Where one part of the release lies, and what its files are."""

    folder: str
    """Its folder in the root."""
    suffix: str
    """The end of its file names."""
    archive: str
    """Its zip file in the root."""
    modes: tuple[str, ...]
    """The kinds that its PNG files may be of, as Pillow names them."""


IMAGE = Part("leftImg8bit", "_leftImg8bit.png", "leftImg8bit_trainvaltest.zip", ("RGB",))
LABEL = Part("gtFine", "_gtFine_labelIds.png", "gtFine_trainvaltest.zip", ("L", "P"))
DISPARITY = Part("disparity", "_disparity.png", "disparity_trainvaltest.zip", ("I;16",))
KINDS = {"RGB": "8-bit RGB", "L": "8-bit grey", "P": "with a palette", "I;16": "16-bit grey"}
"""Pillow's modes in words."""
TRAIN_ID_SUFFIX = "_gtFine_labelTrainIds.png"
WANTED = f"read here are the release's own ids, 0 to {MAX_ID}, in *{LABEL.suffix}"


NO_LABELS = "task segmentation: all pixels are void; leave segmentation out of tasks"
NO_DISPARITY = (
    "task disparity: no pixel is valid, all are 0; unpack it again, or leave it out of tasks"
)
MAX_TRAIN_ID = 19
"""The largest id in labels that are recoded to train ids, which may begin at 1, but for void."""


class Listing(NamedTuple):
    """The files of one part of one split, by `<city>/<name>`, and the place of a missing one."""

    files: dict[str, ReleaseFile]
    place: str
    """The folder of the split, or the zip file and the folder inside it."""
    suffix: str
    """The end of its file names."""

    def expected(self, key: str) -> str:
        """Return where the file of a frame should be."""
        return f"{self.place}/{key}{self.suffix}"


def parts_read(*, disparity: bool) -> list[Part]:
    """Return the parts that are read, with disparity or without."""
    return [IMAGE, LABEL, *([DISPARITY] if disparity else [])]


def find(root: Path, split: str, *, disparity: bool) -> list[FrameFiles]:
    """Return the frames of a split ("train" or "val"), sorted by name.

    `root` holds the release, each part extracted or as a zip file. `disparity` says whether each
    frame must have disparity too. Raises CityscapesError if a part is not there, if the split is
    empty, or if a frame has no file in one of the parts.
    """
    root = Path(root)
    parts = parts_read(disparity=disparity)
    listings = {part: list_part(root, part, split) for part in parts}
    keys = sorted(set().union(*(listing.files for listing in listings.values())))
    if not keys:
        raise CityscapesError(
            f"split {split!r} is empty: no {listings[IMAGE].expected('<city>/<name>')}"
        )
    missing = [key for key in keys if key not in listings[LABEL].files]
    if missing:
        train_ids = list_part(root, LABEL._replace(suffix=TRAIN_ID_SUFFIX), split).files
        found = [train_ids[key] for key in missing if key in train_ids]
        if found:
            raise CityscapesError(
                f"{len(found)} frames have labels in train ids only, {found[0]} the first; {WANTED}"
            )
    _refuse_missing(keys, listings.values(), split)

    frames = [
        FrameFiles(
            name=key.rpartition("/")[2],
            image=listings[IMAGE].files[key],
            label=listings[LABEL].files[key],
            disparity=listings[DISPARITY].files[key] if disparity else None,
        )
        for key in keys
    ]
    return sorted(frames, key=lambda frame: frame.name)


def image_size(file: ReleaseFile) -> tuple[int, int]:
    """Return the width and height of a PNG, in pixels."""
    return _decode(file, IMAGE).size


def read_image(file: ReleaseFile, *, size: tuple[int, int] | None = None) -> Image.Image:
    """Decode an 8-bit RGB image. `size` is the (width, height) it must have, None for any."""
    return _decode(file, IMAGE, size)


def read_label(file: ReleaseFile, *, size: tuple[int, int] | None = None) -> np.ndarray:
    """Decode a label map to label_HW: uint8, official ids 0 to 33.

    A PNG with a palette is read too, if the indices are the ids. Raises CityscapesError also for
    colour pictures, instance ids, and ids that the release does not have, such as 255 of train ids.
    """
    image = _decode(file, LABEL, size)
    label_HW = np.asarray(image)
    largest = int(label_HW.max())
    if str(file).endswith(TRAIN_ID_SUFFIX) or largest == VOID:
        raise CityscapesError(f"{file}: in train ids already (255 is their void); {WANTED}")
    if largest > MAX_ID:
        raise CityscapesError(
            f"{file}: label id {largest} is none of the official ids 0 to {MAX_ID}; {WANTED}"
        )
    road = LABELS[ID_OF["road"]]
    palette = np.reshape(image.getpalette() or [], (-1, 3))
    places = np.flatnonzero((palette == road.colour).all(axis=1))
    if len(places) and road.id not in places:
        raise CityscapesError(
            f"{file}: its palette has the colour of road at {places[0]}, not at {road.id}, so its "
            f"indices are train ids or the numbers of colours; {WANTED}"
        )
    return label_HW


def label_fault(ids: np.ndarray) -> str:
    """Return what is wrong with the labels of a split, from all ids in them; empty if nothing is.

    Labels in the release's ids have road (7), and several of the ids from 20 to 33, such as
    vegetation, sky and car. Labels that were recoded to train ids have at most their void there.
    """
    named = ", ".join(map(str, ids))
    if np.all(TRAIN_ID_OF_ID[ids] == VOID):
        return f"{NO_LABELS}. Their ids are {named}; {WANTED}"
    if ID_OF["road"] not in ids or np.count_nonzero(ids > MAX_TRAIN_ID) < 2:
        return (
            f"labels recoded, for example to train ids: their ids are {named}, but those of "
            f"the release include 7 (road), 21 (vegetation) and 26 (car); {WANTED}"
        )
    return ""


def read_disparity(file: ReleaseFile, *, size: tuple[int, int] | None = None) -> np.ndarray:
    """Decode a disparity map to disparity_HW: uint16, the release's encoding p (see `frames`)."""
    return np.asarray(_decode(file, DISPARITY, size)).astype(np.uint16, copy=False)


def list_part(root: Path, part: Part, split: str) -> Listing:
    """Return the files of one part of a split, from its folder or else from its zip file.

    Raises CityscapesError if neither is there, or if the zip file cannot be opened.
    """
    folder: ReleaseFile = root / part.folder / split
    if not folder.is_dir():
        path = root / part.archive
        if not path.is_file():
            raise CityscapesError(
                f"no {part.folder} for split {split!r} in {root}: put the official {part.archive}, "
                f"or the folder {part.folder}/{split} extracted from it, there"
                + (" (or leave disparity out of the tasks)" if part is DISPARITY else "")
            )
        try:
            folder = zipfile.Path(path) / part.folder / split
        except (zipfile.BadZipFile, OSError) as error:
            raise CityscapesError(
                f"{path}: no whole zip file ({error}); download it again"
            ) from error
    cities = [city for city in _within(folder) if city.is_dir()]
    files = {
        f"{city.name}/{x.name}".removesuffix(part.suffix): x
        for city in cities
        for x in _within(city)
        if x.name.endswith(part.suffix) and not x.name.startswith(".")
    }
    return Listing(files, str(folder).rstrip("/"), part.suffix)


def _within(folder: ReleaseFile) -> Iterable[ReleaseFile]:
    return folder.iterdir() if folder.is_dir() else ()


def _refuse_missing(keys: list[str], listings: Iterable[Listing], split: str) -> None:
    missing = [x.expected(key) for x in listings for key in keys if key not in x.files]
    if not missing:
        return
    named = "".join(f"\n  {x}" for x in missing[:NAMED_AT_MOST])
    more = f"\n  and {len(missing) - NAMED_AT_MOST} more" if len(missing) > NAMED_AT_MOST else ""
    files = "file is" if len(missing) == 1 else "files are"
    raise CityscapesError(
        f"split {split!r} has {len(keys)} frames, but {len(missing)} {files} missing, expected"
        f" at:{named}{more}"
    )


def _decode(file: ReleaseFile, part: Part, size: tuple[int, int] | None = None) -> Image.Image:
    """Decode a whole PNG of a kind that a part may have, and of the (width, height) `size`."""
    try:
        data = io.BytesIO(file.read_bytes())
        # Only this looks at the checksums of all chunks; then the file has to be opened again.
        Image.open(data, formats=("PNG",)).verify()
        image = Image.open(data, formats=("PNG",))
        if image.mode not in part.modes:
            wanted = " or ".join(KINDS[mode] for mode in part.modes)
            raise CityscapesError(
                f"{file}: a PNG file {KINDS.get(image.mode, image.mode)}, expected {wanted}"
                + (f"; {WANTED}" if part is LABEL else "")
            )
        if size is not None and size != image.size:
            raise CityscapesError(
                f"{file}: {image.width}x{image.height} pixels, expected {size[0]}x{size[1]} as in "
                "the first image of the split"
            )
        image.load()
    except (CityscapesError, MemoryError):
        raise
    except Exception as error:  # zipfile and Pillow have no common type for broken files
        raise CityscapesError(f"{file}: no whole PNG file ({error}); get it again") from error
    return image
