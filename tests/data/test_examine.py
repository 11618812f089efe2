"""Holds that the check of a release finds each kind of fault by file, and none in a good one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import check_data
from pipeline.data import examine as module
from pipeline.data.examine import described, examine
from pipeline.labels import TRAIN_ID_OF_ID, VOID
from pipeline.streets.write import write_streets
from tests.support.synthetic_release import (
    NAMES,
    PARTS,
    part_path,
    pixels,
    write_release,
    zip_part,
)

NAME = NAMES[0]


@pytest.fixture(autouse=True)
def _small_release_is_official(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRAMES", {"train": len(NAMES), "val": len(NAMES)})
    monkeypatch.setattr(module, "SIZE", (64, 32))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        write_release(tmp_path / "release", split=split)
    return tmp_path / "release"


def zipped(root: Path) -> Path:
    for part in PARTS:
        zip_part(root, part, root.parent / "zips")
    return root.parent / "zips"


def gone(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def text(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1")


def small(path: Path) -> None:
    mode = {"gtFine": "L", "disparity": "I;16"}.get(path.parts[-4], "RGB")
    Image.new(mode, (32, 16), 7 if mode == "L" else 0).save(path)


def eight_bits(path: Path) -> None:
    Image.new("L", (64, 32), 7).save(path)


def instances(path: Path) -> None:
    Image.new("I;16", (64, 32), 26001).save(path)


def colours(path: Path) -> None:
    Image.new("RGB", (64, 32), (128, 64, 128)).save(path)


def strange_ids(path: Path) -> None:
    label_HW = np.full((32, 64), 33, np.uint8)
    label_HW[3, 4:6] = 34, 200
    Image.fromarray(label_HW).save(path)


def train_id_file(path: Path) -> None:
    path.rename(path.with_name(f"{NAME}_gtFine_labelTrainIds.png"))


PLANTED = [
    ("leftImg8bit", gone, "1 file is missing"),
    ("gtFine", gone, "1 file is missing"),
    ("disparity", gone, "1 file is missing"),
    ("leftImg8bit", cut, "no whole PNG file"),
    ("gtFine", cut, "no whole PNG file"),
    ("disparity", text, "no whole PNG file"),
    ("leftImg8bit", small, "32x16 pixels, expected 64x32 as in the first image"),
    ("gtFine", small, "32x16 pixels, expected 64x32 as in the first image"),
    ("disparity", small, "32x16 pixels, expected 64x32 as in the first image"),
    ("leftImg8bit", eight_bits, "8-bit grey, expected 8-bit RGB"),
    ("disparity", eight_bits, "8-bit grey, expected 16-bit grey"),
    ("gtFine", colours, "8-bit RGB, expected 8-bit grey"),
    ("gtFine", instances, "16-bit grey, expected 8-bit grey"),
    ("gtFine", train_id_file, "labels in train ids only"),
    ("gtFine", strange_ids, "label id 200 is none of the official ids 0 to 33"),
]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("part", "plant", "words"), PLANTED)
def test_a_fault_is_found_by_file(
    root: Path, part: str, plant: Callable[[Path], None], words: str, packed: bool
) -> None:
    plant(part_path(root, part, NAME))
    (fault,) = examine(zipped(root) if packed else root, disparity=True, workers=2).findings
    assert fault.fault
    assert fault.place in ("val", f"{part} of val")
    assert words in fault.what
    assert NAME in fault.what


@pytest.mark.parametrize("packed", [False, True])
def test_nothing_is_found_in_a_good_release(root: Path, packed: bool) -> None:
    """With what the official zip files hold beside: a test split, colours, other parts."""
    for split in ("train", "val"):
        colour = part_path(root, "gtFine", NAME, split).with_name(f"{NAME}_gtFine_color.png")
        colours(colour)
    write_release(root, split="test")
    (root / "gtCoarse" / "train_extra").mkdir(parents=True)
    examined = examine(zipped(root) if packed else root, disparity=True)
    assert examined.findings == ()
    there = "3 in leftImg8bit, 3 in gtFine, 3 in disparity; 64x32 pixels"
    assert examined.contents == {"train": there, "val": there}


def recoded(root: Path, of_id: np.ndarray) -> str:
    """Recode all labels of val by a table, and return the one fault that is found."""
    for name in NAMES:
        path = part_path(root, "gtFine", name)
        Image.fromarray(of_id[pixels(path)]).save(path)
    (fault,) = examine(root, disparity=True).faults
    assert fault.place == "val"
    return fault.what


@pytest.mark.parametrize("void", [0, 19, 20, 33])
@pytest.mark.parametrize("first", [0, 1])
def test_labels_recoded_to_train_ids(root: Path, void: int, first: int) -> None:
    """Whatever their void, and whether they begin at 0 or at 1."""
    of_id = np.where(TRAIN_ID_OF_ID == VOID, void, TRAIN_ID_OF_ID + np.uint8(first))
    assert "labels recoded" in recoded(root, of_id.astype(np.uint8))


def test_labels_recoded_to_categories(root: Path) -> None:
    assert "labels recoded" in recoded(root, (np.arange(256) // 4).astype(np.uint8))


def test_a_split_without_a_valid_pixel_of_a_task(root: Path) -> None:
    assert "task segmentation: all pixels are void" in recoded(root, np.full(256, 3, np.uint8))
    for name in NAMES:
        Image.new("I;16", (64, 32)).save(part_path(root, "disparity", name, "train"))
    found = examine(root, disparity=True).faults
    assert [x.place for x in found] == ["train", "val"]
    assert "task disparity: no pixel is valid" in found[0].what


@pytest.mark.parametrize(("width", "height"), [(64, 32), (384, 192)])
def test_the_built_in_data_set_is_accepted(tmp_path: Path, width: int, height: int) -> None:
    """Also one frame alone."""
    write_streets(tmp_path, seed=5, train=2, val=1, width=width, height=height, workers=1)
    assert examine(tmp_path, disparity=True).faults == ()


def test_a_part_that_is_not_there_or_is_no_zip_file(root: Path) -> None:
    zips = zipped(root)
    (zips / "disparity_trainvaltest.zip").unlink()
    archive = zips / "gtFine_trainvaltest.zip"
    archive.write_bytes(archive.read_bytes()[:-200])
    found = [x.what for x in examine(zips, disparity=True).faults]
    assert sum("put the official disparity_trainvaltest.zip" in x for x in found) == 2
    assert sum("gtFine_trainvaltest.zip: no whole zip file" in x for x in found) == 2
    assert len(found) == 4
    assert len(examine(zips, disparity=False).faults) == 2


def test_an_empty_split(root: Path) -> None:
    for part in PARTS:
        for file in (root / part / "val").rglob("*.png"):
            file.unlink()
    (fault,) = examine(root, disparity=True).findings
    assert "split 'val' is empty" in fault.what


def test_counts_and_size_unlike_the_release_are_notes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FRAMES", {"train": 2975, "val": len(NAMES)})
    monkeypatch.setattr(module, "SIZE", (2048, 1024))
    examined = examine(root, disparity=True)
    assert examined.faults == ()
    assert "note: train (2):\n  3 frames, the release has 2,975\n" in described(examined)
    assert "fault" not in described(examined)


def test_the_command_names_faults_and_ends_with_an_error(
    root: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(repository)
    check_data.main(root=root)
    assert "val: 3 in leftImg8bit, 3 in gtFine, 3 in disparity; 64x32 pixels" in (
        capsys.readouterr().out
    )
    for number in range(12):
        file = part_path(root, "gtFine", NAME)
        colours(file.with_name(f"ulm_000009_{number:06}_gtFine_labelIds.png"))
    with pytest.raises(ValueError, match="13 faults"):
        check_data.main(root=root)
    said = capsys.readouterr().out
    assert "24 files are missing" in said
    assert "fault: gtFine of val (12):" in said
    assert said.count("8-bit RGB, expected 8-bit grey") == 10
    assert "and 2 more" in said
