"""Link the files of data.root that are read into data/release.

DVC hashes a dependency whole. data.root itself would be hashed with everything in it, such as the
hundreds of gigabytes of gtCoarse and of the sequences.
"""

from pathlib import Path

from pipeline.artifacts import RELEASE_FOLDER
from pipeline.data.link import link_release
from stages.settings import load, run


def main() -> None:
    """Link the files of data.root that are read into data/release."""
    params = load()
    link_release(Path(params.data.root), RELEASE_FOLDER, disparity="disparity" in params.tasks)


if __name__ == "__main__":
    run(main)
