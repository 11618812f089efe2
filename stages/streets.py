"""Draw the built-in data set in the official Cityscapes layout."""

from pipeline.artifacts import STREETS_FOLDER
from pipeline.streets.write import write_streets
from stages.settings import load, run


def main() -> None:
    """Draw the built-in data set in the official Cityscapes layout, at data/streets."""
    streets = load().streets
    write_streets(
        STREETS_FOLDER,
        seed=streets.seed,
        train=streets.train,
        val=streets.val,
        width=streets.width,
        height=streets.height,
    )


if __name__ == "__main__":
    run(main)
