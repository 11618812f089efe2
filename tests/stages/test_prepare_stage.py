"""The prepare stage: which frames become which split, and that both splits appear together."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from pipeline.artifacts import STREETS_FOLDER, prepared_folder
from pipeline.data.cityscapes import CityscapesError
from pipeline.data.frames import frame_names, open_frames
from pipeline.data.prepare import prepare_split
from pipeline.params import ParamsError
from pipeline.streets.write import CITIES, write_streets
from stages import prepare
from tests.support.tiny_experiment import small_params

Prepare = Callable[..., dict[str, set[str]]]


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """Prepares a small release with these settings of `data`; gives the names of each split."""
    monkeypatch.chdir(tmp_path)
    write_streets(STREETS_FOLDER, seed=0, train=8, val=4, width=64, height=32, workers=1)

    def run(**data: object) -> dict[str, set[str]]:
        params = small_params()
        params["data"] |= data
        Path("params.yaml").write_text(yaml.safe_dump(params))
        prepare.main()
        return {x: set(frame_names(prepared_folder(x))) for x in ("train", "val")}

    return run


def cities(names: set[str]) -> set[str]:
    return {name.split("_")[0] for name in names}


def test_tuning_tests_on_training_cities_and_trains_on_the_others(prepared: Prepare) -> None:
    whole = prepared()
    for split in ("train", "val"):
        assert cities(whole[split]) == set(CITIES[split])
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
    prepared: Prepare, named: list[str], words: str
) -> None:
    with pytest.raises(ParamsError, match=words):
        prepared(tuning=True, tuning_cities=named)
    assert not prepared_folder("train").exists()


def test_a_root_that_is_not_there_is_told_by_its_setting(prepared: Prepare) -> None:
    with pytest.raises(ParamsError, match=r"data\.root is '/nowhere', but there is no such folder"):
        prepared(root="/nowhere")


def test_both_splits_appear_together_or_neither(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train_alone(root: Path, split: str, folder: Path, **options: object) -> None:
        if split == "val":
            raise OSError(28, "No space left on device")
        prepare_split(root, split, folder, **options)

    def fails() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(prepare, "prepare_split", train_alone)
            with pytest.raises(OSError, match="No space left on device"):
                prepared(width=32, height=16)

    fails()
    assert {x.name for x in Path("data").iterdir()} == {"streets"}
    prepared()
    fails()
    assert {x.name for x in Path("data").iterdir()} == {"streets", "prepared"}
    sizes = {open_frames(prepared_folder(x)).image_NHW3.shape[1:3] for x in ("train", "val")}
    assert sizes == {(32, 64)}


def repaint(part: str, split: str, value: int, mode: str) -> None:
    for path in (STREETS_FOLDER / part / split).rglob("*.png"):
        if "labelIds" in path.name or part == "disparity":
            Image.new(mode, (64, 32), value).save(path)


@pytest.mark.parametrize(
    ("part", "value", "mode", "task"),
    [("gtFine", 3, "L", "segmentation"), ("disparity", 0, "I;16", "disparity")],
)
def test_a_task_without_a_valid_pixel_is_named_before_any_training(
    prepared: Prepare, part: str, value: int, mode: str, task: str
) -> None:
    repaint(part, "val", value, mode)
    with pytest.raises(CityscapesError, match=f"split val: task {task}: .* leave .* out of tasks"):
        prepared()
    assert not prepared_folder("train").exists()


def test_labels_that_are_mostly_void_are_asked_about(
    prepared: Prepare, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared()
    assert "label pixels are void" not in capsys.readouterr().err
    repaint("gtFine", "train", 3, "L")
    first = next((STREETS_FOLDER / "gtFine/train").rglob("*labelIds.png"))
    Image.new("L", (64, 32), 7).save(first)
    prepared()
    assert "prepare train: 88 % of the label pixels are void" in capsys.readouterr().err
