"""Link the files of data.root that are read into data/release.

DVC hashes a dependency whole. data.root itself would be hashed with everything in it, such as the
hundreds of gigabytes of gtCoarse and of the sequences.
"""

from pipeline.artifacts import RELEASE_FOLDER
from pipeline.data.link import link_release
from stages.settings import data_root, load, run


def main() -> None:
    """Link the files of data.root that are read into data/release."""
    params = load()
    link_release(data_root(params), RELEASE_FOLDER, disparity="disparity" in params.tasks)


if __name__ == "__main__":
    run(main)
