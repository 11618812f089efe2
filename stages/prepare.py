"""Decode and reduce the data set once, into packed arrays."""

from pathlib import Path

from pipeline.artifacts import SPLITS, prepared_folder
from pipeline.data.cityscapes import find
from pipeline.data.prepare import prepare_split
from stages.settings import load, run


def main() -> None:
    """Decode and reduce both splits of data.root, once, into packed arrays."""
    params = load()
    root, disparity = Path(params.data.root), "disparity" in params.tasks
    # A fault of the second split must not wait until the first is decoded.
    for split in SPLITS:
        find(root, split, disparity=disparity)
    for split in SPLITS:
        prepare_split(
            root,
            split,
            prepared_folder(split),
            width=params.data.width,
            height=params.data.height,
            disparity=disparity,
        )


if __name__ == "__main__":
    run(main)
