"""Holds that links to a release are the files that are read and no other, and follow a change."""

import shutil
from pathlib import Path

import pytest

from pipeline.data.cityscapes import CityscapesError, find, read_label
from pipeline.data.link import link_release
from tests.support.synthetic_release import NAMES, PARTS, part_path, write_release, zip_part


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split in ("train", "val", "test"):
        write_release(tmp_path / "release", split=split)
    (tmp_path / "release/gtCoarse/train").mkdir(parents=True)
    (tmp_path / "release/gtCoarse/train/a.png").touch()
    (tmp_path / "release/leftImg8bit/val/ulm/notes.txt").touch()
    return tmp_path / "release"


def names(folder: Path) -> set[str]:
    return {x.relative_to(folder).as_posix() for x in folder.rglob("*") if not x.is_dir()}


@pytest.mark.parametrize("disparity", [True, False])
def test_what_is_read_is_linked_and_nothing_else(
    root: Path, tmp_path: Path, disparity: bool
) -> None:
    links = tmp_path / "links"
    link_release(root, links, disparity=disparity)
    parts = [x for x in PARTS if disparity or x != "disparity"]
    expected = {
        part_path(root, part, name, split).relative_to(root).as_posix()
        for part in parts
        for name in NAMES
        for split in ("train", "val")
    }
    assert names(links) == {*expected, "files.txt"}
    assert (links / "files.txt").read_text().split() == sorted(expected)
    for name in expected:
        assert (links / name).resolve() == (root / name).resolve()
    found = find(links, "val", disparity=disparity)
    assert [x.name for x in found] == sorted(NAMES)


def test_a_zip_file_is_one_link(root: Path, tmp_path: Path) -> None:
    zips, links = tmp_path / "zips", tmp_path / "links"
    for part in PARTS:
        zip_part(root, part, zips)
    (zips / "gtCoarse.zip").touch()
    link_release(zips, links, disparity=True)
    assert names(links) == {*(f"{x}_trainvaltest.zip" for x in PARTS), "files.txt"}
    assert len(find(links, "train", disparity=True)) == len(NAMES)


def test_links_are_replaced_and_the_files_stay(root: Path, tmp_path: Path) -> None:
    before = names(root)
    link_release(root, tmp_path / "links", disparity=True)
    for part in PARTS:
        part_path(root, part, NAMES[0]).unlink()
    link_release(root, tmp_path / "links", disparity=True)
    assert len(find(tmp_path / "links", "val", disparity=True)) == len(NAMES) - 1
    assert len(before - names(root)) == len(PARTS)


def test_links_to_a_relative_root_move_with_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    link_release(Path("release"), Path("data/links"), disparity=True)
    shutil.copytree(root, tmp_path / "moved/release")
    shutil.copytree(tmp_path / "data", tmp_path / "moved/data", symlinks=True)
    shutil.rmtree(root)
    for frame in find(tmp_path / "moved/data/links", "val", disparity=True):
        assert read_label(frame.label).shape == (32, 64)


def test_a_release_that_is_not_whole_leaves_the_links_as_they_were(
    root: Path, tmp_path: Path
) -> None:
    links = tmp_path / "links"
    link_release(root, links, disparity=True)
    before = names(links)
    part_path(root, "gtFine", NAMES[0]).unlink()
    with pytest.raises(CityscapesError, match="1 file is missing"):
        link_release(root, links, disparity=True)
    with pytest.raises(CityscapesError, match="put the official leftImg8bit_trainvaltest"):
        link_release(tmp_path / "nowhere", links, disparity=True)
    assert names(links) == before
