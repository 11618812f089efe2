"""Holds that the check of a release finds each kind of fault by file, and none in a good one."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data import examine as module
from pipeline.data.examine import FAULTS, described, examine
from stages import prepare
from tests.support.synthetic_release import NAMES, PARTS, part_path, write_release, zip_part

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


def found(root: Path) -> list[tuple[str, str, str]]:
    """Kind, name of the file, and detail of each finding."""
    findings = examine(root, disparity=True, workers=2).findings
    return [(x.kind, x.place.rpartition("/")[2], x.detail) for x in findings]


def gone(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def text(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1")


def small(path: Path) -> None:
    mode = {"gtFine": "L", "disparity": "I;16"}.get(path.parts[-4], "RGB")
    Image.new(mode, (32, 16)).save(path)


def eight_bits(path: Path) -> None:
    Image.new("L", (64, 32), 7).save(path)


def colours(path: Path) -> None:
    Image.new("RGB", (64, 32), (128, 64, 128)).save(path)


def palette(path: Path) -> None:
    Image.new("P", (64, 32)).save(path)


def strange_ids(path: Path) -> None:
    label_HW = np.full((32, 64), 33, np.uint8)
    label_HW[3, 4:6] = 34, 255
    Image.fromarray(label_HW).save(path)


def colour_file(path: Path) -> None:
    path.rename(path.with_name(f"{NAME}_gtFine_color.png"))


def train_id_file(path: Path) -> None:
    path.rename(path.with_name(f"{NAME}_gtFine_labelTrainIds.png"))


PLANTED = [
    ("leftImg8bit", gone, "unpaired", ""),
    ("gtFine", gone, "unpaired", ""),
    ("disparity", gone, "unpaired", ""),
    ("leftImg8bit", cut, "unreadable", "truncated PNG file"),
    ("gtFine", cut, "unreadable", "truncated PNG file"),
    ("disparity", text, "unreadable", "not a PNG file"),
    ("leftImg8bit", small, "size", "32x16 pixels, not 64x32 pixels"),
    ("gtFine", small, "size", "32x16 pixels, not 64x32 pixels"),
    ("disparity", small, "size", "32x16 pixels, not 64x32 pixels"),
    ("leftImg8bit", eight_bits, "kind", "8-bit grey, not 8-bit RGB"),
    ("disparity", eight_bits, "kind", "8-bit grey, not 16-bit grey"),
    ("gtFine", colours, "colour", "8-bit RGB, not 8-bit grey"),
    ("gtFine", palette, "colour", "1-bit palette, not 8-bit grey"),
    ("gtFine", colour_file, "colour", ""),
    ("gtFine", train_id_file, "train ids", ""),
    ("gtFine", strange_ids, "ids", "ids 34, 255"),
]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("part", "plant", "kind", "detail"), PLANTED)
def test_a_fault_is_found_by_file(
    root: Path, part: str, plant: Callable[[Path], None], kind: str, detail: str, packed: bool
) -> None:
    path = part_path(root, part, NAME)
    before = set(path.parent.iterdir())
    plant(path)
    renamed = set(path.parent.iterdir()) - before
    ((found_kind, name, words),) = found(zipped(root) if packed else root)
    assert (found_kind, name) == (kind, next(iter(renamed), path).name)
    assert words.startswith(detail)


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
    assert [(x.split, set(x.files.values()), x.size) for x in examined.splits] == [
        ("train", {3}, (64, 32)),
        ("val", {3}, (64, 32)),
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_a_split_under_another_name(root: Path, packed: bool) -> None:
    (root / "leftImg8bit" / "val").rename(root / "leftImg8bit" / "validation")
    kinds = {(kind, name) for kind, name, _ in found(zipped(root) if packed else root)}
    assert ("folder", "validation") in kinds
    lost = {x for x in kinds if x[0] in FAULTS}
    if packed:  # the zip file is there, and holds no frame of val
        assert lost == {("unpaired", f"{name}_leftImg8bit.png") for name in NAMES}
    else:
        assert lost == {("absent", "leftImg8bit")}


def test_members_that_leave_the_zip_files_folder(root: Path) -> None:
    zips = zipped(root)
    (root / "aside").mkdir()
    bad = ["../x.png", "/etc/x", "leftImg8bit/val/../../../y.png", r"..\z.png", r"C:\w.png"]
    with zipfile.ZipFile(zips / "leftImg8bit_trainvaltest.zip", "a") as archive:
        for member in [*bad, "leftImg8bit/val/README..md"]:
            archive.writestr(member, "x")
    findings = examine(zips, disparity=True).findings
    assert {x.kind for x in findings} == {"member"}
    path = zips / "leftImg8bit_trainvaltest.zip"
    assert [x.place for x in findings] == [f"{path}:{x}" for x in bad]


def test_a_part_that_is_not_there_or_is_no_zip_file(root: Path) -> None:
    zips = zipped(root)
    (zips / "disparity_trainvaltest.zip").unlink()
    archive = zips / "gtFine_trainvaltest.zip"
    archive.write_bytes(archive.read_bytes()[:-200])
    findings = examine(zips, disparity=True).findings
    assert {(x.kind, x.place) for x in findings} == {("absent", "disparity"), ("absent", "gtFine")}
    assert sum("no whole zip file" in x.detail for x in findings) == 1
    without = examine(zips, disparity=False).findings
    assert {x.place for x in without} == {"gtFine"}


def test_an_empty_split(root: Path) -> None:
    for part in PARTS:
        for file in (root / part / "val").rglob("*.png"):
            file.unlink()
    assert [x[0] for x in found(root)] == ["empty"]


def test_counts_and_size_unlike_the_release_are_notes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FRAMES", {"train": 2975, "val": len(NAMES)})
    monkeypatch.setattr(module, "SIZE", (2048, 1024))
    examined = examine(root, disparity=True)
    assert examined.faults == ()
    assert "note: number of frames unlike the release's (1):\n  train: 3 of 2,975 frames" in (
        described(examined)
    )
    assert "fault" not in described(examined)


def test_the_command_names_faults_and_ends_with_an_error(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = Path(__file__).parents[2]
    monkeypatch.chdir(repository)
    prepare.main(check=True, root=root)
    assert "val: 3 in leftImg8bit, 3 in gtFine, 3 in disparity; 64x32 pixels" in (
        capsys.readouterr().out
    )
    for number in range(12):
        file = part_path(root, "gtFine", NAME)
        file.with_name(f"ulm_000009_{number:06}_gtFine_labelIds.png").write_bytes(file.read_bytes())
    with pytest.raises(ValueError, match="24 faults"):
        prepare.main(check=True, root=root)
    said = capsys.readouterr().out
    assert "fault: files missing beside the other files of their frame (24):" in said
    assert said.count("_leftImg8bit.png") == 10
    assert "and 14 more" in said
