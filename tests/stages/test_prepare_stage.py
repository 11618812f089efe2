"""The prepare stage: which frames become which split, and that both splits appear together."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipeline import shards
from pipeline.artifacts import PREPARED_FOLDER, STREETS_FOLDER, prepared_folder
from pipeline.data import prepare as library
from pipeline.data.frames import open_frames
from pipeline.data.prepare import fill_split
from pipeline.data.streets import CITIES, write_streets
from pipeline.params import ParamsError
from stages import link, prepare
from tests.support.tiny_experiment import small_params


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, set[str]]]:
    """Prepares a small release with these settings of `data`; gives the names of each split."""
    monkeypatch.chdir(tmp_path)
    write_streets(STREETS_FOLDER, seed=0, train=8, val=4, width=64, height=32, workers=1)

    def run(**data: object) -> dict[str, set[str]]:
        params = small_params()
        params["data"] |= data
        Path("params.yaml").write_text(yaml.safe_dump(params))
        link.main()
        prepare.main()
        return {x: set(open_frames(prepared_folder(x)).names) for x in ("train", "val")}

    return run


def cities(names: set[str]) -> set[str]:
    return {name.split("_")[0] for name in names}


def test_tuning_tests_on_training_cities_and_trains_on_the_others(
    prepared: Callable[..., dict[str, set[str]]],
) -> None:
    whole = prepared()
    assert (cities(whole["train"]), cities(whole["val"])) == (
        set(CITIES["train"]),
        set(CITIES["val"]),
    )
    held = {"lindenau", "dornhafen"}
    tuned = prepared(tuning=True, tuning_cities=sorted(held))
    assert cities(tuned["val"]) == held
    assert cities(tuned["train"]) == set(CITIES["train"]) - held
    assert tuned["train"] | tuned["val"] == whole["train"]


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ([*CITIES["val"]], "moorbruck; allowed: some of the training cities, amselstadt, "),
        ([*CITIES["train"]], "names every training city"),
        ([], "is empty"),
        (["lindenau", "lindenau"], "names lindenau more than once"),
    ],
)
def test_tuning_cities_that_cannot_be_are_refused(
    prepared: Callable[..., dict[str, set[str]]], named: list[str], words: str
) -> None:
    with pytest.raises(ParamsError, match=words):
        prepared(tuning=True, tuning_cities=named)
    assert not prepared_folder("train").exists()


def test_a_root_that_is_not_there_is_told_by_its_setting(
    prepared: Callable[..., dict[str, set[str]]],
) -> None:
    with pytest.raises(ParamsError, match=r"data\.root is '/nowhere', but there is no such folder"):
        prepared(root="/nowhere")


def test_both_splits_appear_together_or_neither(
    prepared: Callable[..., dict[str, set[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prepared

    def train_alone(root: Path, split: str, folder: Path, **options: object) -> None:
        if split == "val":
            raise OSError(28, "No space left on device")
        fill_split(root, split, folder, **options)

    def fails() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(prepare, "fill_split", train_alone)
            with pytest.raises(OSError, match="No space"):
                whole(width=32, height=16)

    fails()
    assert {x.name for x in Path("data").iterdir()} == {"streets", "release"}
    whole()
    fails()
    assert {x.name for x in Path("data").iterdir()} == {"streets", "release", "prepared"}
    sizes = {open_frames(prepared_folder(x)).image_NHW3.shape[1:3] for x in ("train", "val")}
    assert sizes == {(32, 64)}


DIES = """
import os, sys
from pipeline import shards
from pipeline.data import prepare as library
from stages import prepare
shards.SHARD = 3
left = int(sys.argv[1])
real = library.reduce_image
def dies(*arguments, **named):
    global left
    left -= 1
    if left < 0:
        os._exit(9)
    return real(*arguments, **named)
library.reduce_image = dies
prepare.main()
"""


@pytest.mark.parametrize(("frames", "noted"), [(2, 0), (4, 1), (9, 0)])
def test_a_process_that_dies_leaves_no_half_and_its_finished_shards(
    prepared: Callable[..., dict[str, set[str]]],
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    frames: int,
    noted: int,
) -> None:
    """Of 8 frames to train on and 4 to test on, in shards of 3; with 9 the first split is done."""
    monkeypatch.setattr(shards, "SHARD", 3)
    prepared()
    whole = {x: x.read_bytes() for x in PREPARED_FOLDER.rglob("*.*")}
    shutil.rmtree(PREPARED_FOLDER)
    variables = os.environ | {"PYTHONPATH": str(repository)}
    words = [sys.executable, "-c", DIES, str(frames)]
    done = subprocess.run(words, env=variables, check=False)
    assert done.returncode == 9
    assert {x.name for x in Path("data").iterdir()} == {"streets", "release"}
    (work,) = Path(".checkpoints").iterdir()
    assert len([*work.glob("*/shards/*")]) == noted
    made = []
    real = library.reduce_image
    monkeypatch.setattr(
        library, "reduce_image", lambda *a, **k: (made.append(None), real(*a, **k))[1]
    )
    # As the stage starts again: `link` has not run in between.
    prepare.main()
    assert len(made) == 12 - (8 if frames == 9 else 3 * noted)
    assert {x: x.read_bytes() for x in PREPARED_FOLDER.rglob("*.*")} == whole
    assert {x.name for x in PREPARED_FOLDER.rglob("*") if x.is_dir()} == {"train", "val"}
    assert [*Path(".checkpoints").iterdir()] == []
