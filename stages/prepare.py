"""Decode and reduce the data set once, into packed arrays."""

from pathlib import Path

from pipeline.artifacts import prepared_folder
from pipeline.data.prepare import prepare_split
from stages.settings import load, run


def main() -> None:
    """Decode and reduce both splits of data.root, once, into packed arrays."""
    params = load()
    for split in ("train", "val"):
        prepare_split(
            Path(params.data.root),
            split,
            prepared_folder(split),
            width=params.data.width,
            height=params.data.height,
            disparity="disparity" in params.tasks,
        )


if __name__ == "__main__":
    run(main)
