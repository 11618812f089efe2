"""Decode and reduce the data set once, into packed arrays."""

from functools import partial

from pipeline.artifacts import PREPARED_FOLDER, SPLITS
from pipeline.data.cityscapes import find
from pipeline.data.prepare import belongs, prepare_split
from pipeline.files import whole_folder
from pipeline.params import ParamsError
from stages.settings import data_root, load, run


def main() -> None:
    """Decode and reduce both splits of data.root, once, into packed arrays."""
    params = load()
    root, disparity = data_root(params), "disparity" in params.tasks
    # A fault of the second split must not wait until the first is decoded.
    cities = {split: {x.city for x in find(root, split, disparity=disparity)} for split in SPLITS}
    tuning = frozenset(params.data.tuning_cities if params.data.tuning else ())
    check_tuning(tuning, cities["train"])
    # Both splits appear together: a split alone, or one of an earlier setting, is never seen.
    with whole_folder(PREPARED_FOLDER) as folder:
        for split in SPLITS:
            prepare_split(
                root,
                # To tune, some training cities stand in for the validation set, which is not
                # looked at.
                "train" if tuning else split,
                folder / split,
                width=params.data.width,
                height=params.data.height,
                disparity=disparity,
                segmentation="segmentation" in params.tasks,
                cities=partial(belongs, tuning, split),
            )


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
