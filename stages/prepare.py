"""Decode and reduce the data set once, into packed arrays."""

import hashlib
import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from pipeline.artifacts import PREPARED_FOLDER, RELEASE_FOLDER, SPLITS, prepared_folder
from pipeline.data.cityscapes import FrameFiles, find
from pipeline.data.prepare import belongs, fill_split
from pipeline.files import whole_folder
from pipeline.params import Params, ParamsError, flat
from pipeline.shards import work_folder
from stages.resume import work_of
from stages.settings import load, run


def main() -> None:
    """Decode and reduce both splits of data.root, once, into packed arrays."""
    params = load()
    prepare(params, RELEASE_FOLDER, disparity="disparity" in params.tasks)


def prepare(params: Params, root: Path, *, disparity: bool) -> None:
    """Prepare both splits of the release in root."""
    # A fault of the second split must not wait until the first is decoded.
    found = {split: find(root, split, disparity=disparity) for split in SPLITS}
    cities = {split: {x.city for x in found[split]} for split in SPLITS}
    tuning = frozenset(params.data.tuning_cities if params.data.tuning else ())
    check_tuning(tuning, cities["train"])
    settings = {k: v for k, v in flat(params).items() if k.startswith("data.")}
    settings |= {"disparity": disparity} | {split: stamp(found.pop(split)) for split in SPLITS}
    with work_folder(work_of("prepare", "frames", settings, [])) as work:
        for split in SPLITS:
            fill_split(
                root,
                # To tune, some training cities stand in for the validation set, which is not
                # looked at.
                "train" if tuning else split,
                work / split,
                width=params.data.width,
                height=params.data.height,
                disparity=disparity,
                cities=partial(belongs, tuning, split),
            )
        # Both splits appear together: a split alone, or one of an earlier setting, is never seen.
        with whole_folder(PREPARED_FOLDER) as folder:
            for split in SPLITS:
                shutil.move(work / split, folder / prepared_folder(split).name)


def stamp(frames: Iterable[FrameFiles]) -> str:
    """Return a hash of name, size and time of change of the files of frames.

    Not of their bytes, for which the release would have to be read twice.
    """
    total = hashlib.sha256()
    for frame in frames:
        for file in (frame.image, frame.label, frame.disparity):
            if file is not None:
                stat = file.path.stat()
                total.update(f"{file}:{stat.st_size}:{stat.st_mtime_ns}\n".encode())
    return total.hexdigest()


def check_tuning(tuning: frozenset[str], cities: set[str]) -> None:
    """Raise ParamsError unless `tuning` is a proper part of the training cities."""
    if strange := sorted(tuning - cities):
        raise ParamsError(
            f"data.tuning_cities names {', '.join(strange)}; allowed: some of the training cities, "
            f"{', '.join(sorted(cities))}"
        )
    if tuning == cities:
        raise ParamsError(
            "data.tuning_cities names every training city; leave at least one to train on"
        )


if __name__ == "__main__":
    run(main)
