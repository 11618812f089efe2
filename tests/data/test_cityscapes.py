"""Holds that the release is found and decoded, and that each fault of it is told by file."""

import re
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data import cityscapes
from pipeline.data.cityscapes import CityscapesError, ReleaseFile
from pipeline.labels import LABELS, PALETTE
from tests.support.synthetic_release import NAMES, PARTS, part_path, pixels, write_release, zip_part


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_release(tmp_path / "release")
    return tmp_path / "release"


def a_png(path: Path, array: np.ndarray) -> ReleaseFile:
    Image.fromarray(array).save(path)
    return path


def test_frames_are_paired_and_sorted_by_name(root: Path) -> None:
    frames = cityscapes.find(root, "val", disparity=True)
    assert [frame.name for frame in frames] == sorted(NAMES)
    for frame in frames:
        assert frame.image == part_path(root, "leftImg8bit", frame.name)
        assert frame.label == part_path(root, "gtFine", frame.name)
        assert frame.disparity is not None
        assert frame.disparity == part_path(root, "disparity", frame.name)


@pytest.mark.parametrize("zipped", [("leftImg8bit",), ("gtFine", "disparity"), tuple(PARTS)])
def test_zip_files_hold_the_same_frames(root: Path, tmp_path: Path, zipped: tuple) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for part in PARTS:
        if part in zipped:
            zip_part(root, part, mixed)
        else:
            (mixed / part).symlink_to(root / part)
    for frame in cityscapes.find(mixed, "val", disparity=True):
        assert frame.disparity is not None
        image_HW3 = np.asarray(cityscapes.read_image(frame.image))
        np.testing.assert_array_equal(image_HW3, pixels(part_path(root, "leftImg8bit", frame.name)))
        label_HW = cityscapes.read_label(frame.label)
        np.testing.assert_array_equal(label_HW, pixels(part_path(root, "gtFine", frame.name)))
        disparity_HW = cityscapes.read_disparity(frame.disparity)
        assert disparity_HW.dtype == np.uint16
        np.testing.assert_array_equal(
            disparity_HW, pixels(part_path(root, "disparity", frame.name))
        )


def test_folders_win_over_zip_files(root: Path) -> None:
    (root / "gtFine_trainvaltest.zip").write_bytes(b"never looked at")
    frames = cityscapes.find(root, "val", disparity=False)
    assert all(isinstance(frame.label, Path) for frame in frames)


def test_files_a_mac_leaves_behind_are_no_frames(root: Path) -> None:
    path = part_path(root, "leftImg8bit", NAMES[0])
    path.with_name(f"._{path.name}").write_bytes(b"resource fork")
    assert len(cityscapes.find(root, "val", disparity=True)) == len(NAMES)


def test_without_a_disparity_release(tmp_path: Path) -> None:
    write_release(tmp_path, disparity=False)
    frames = cityscapes.find(tmp_path, "val", disparity=False)
    assert all(frame.disparity is None for frame in frames)
    with pytest.raises(CityscapesError, match=r"put the official disparity_trainvaltest\.zip"):
        cityscapes.find(tmp_path, "val", disparity=True)


def test_a_root_without_the_release_names_the_file_to_put_there(tmp_path: Path) -> None:
    with pytest.raises(CityscapesError, match=r"leftImg8bit_trainvaltest\.zip"):
        cityscapes.find(tmp_path, "train", disparity=False)


def test_an_empty_split(root: Path) -> None:
    for part in PARTS:
        (root / part / "train").mkdir()
    with pytest.raises(CityscapesError, match="split 'train' is empty"):
        cityscapes.find(root, "train", disparity=True)


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_partner_is_named(root: Path, part: str) -> None:
    path = part_path(root, part, NAMES[1])
    path.unlink()
    with pytest.raises(CityscapesError, match=rf"1 file is missing(?s:.*){re.escape(str(path))}"):
        cityscapes.find(root, "val", disparity=True)


def test_a_partner_missing_in_a_zip_file_is_named(root: Path, tmp_path: Path) -> None:
    part_path(root, "gtFine", NAMES[1]).unlink()
    for part in PARTS:
        zip_part(root, part, tmp_path / "zips")
    expected = "gtFine_trainvaltest.zip/gtFine/val/aachen/aachen_000002_000019_gtFine_labelIds.png"
    with pytest.raises(CityscapesError, match=expected):
        cityscapes.find(tmp_path / "zips", "val", disparity=True)


def test_ten_of_many_missing_partners_are_named(root: Path) -> None:
    image = part_path(root, "leftImg8bit", NAMES[0])
    for frame in range(13):
        image.with_name(f"ulm_000007_{frame:06}_leftImg8bit.png").write_bytes(image.read_bytes())
    with pytest.raises(CityscapesError, match="13 files are missing") as caught:
        cityscapes.find(root, "val", disparity=False)
    assert str(caught.value).count("_gtFine_labelIds.png") == 10
    assert "and 3 more" in str(caught.value)


def test_labels_in_train_ids_only(root: Path) -> None:
    path = part_path(root, "gtFine", NAMES[0])
    path.rename(path.with_name(f"{NAMES[0]}_gtFine_labelTrainIds.png"))
    with pytest.raises(CityscapesError, match=rf"{NAMES[0]}_gtFine_labelTrainIds.*own ids"):
        cityscapes.find(root, "val", disparity=False)


def test_a_zip_file_cut_short(root: Path) -> None:
    zip_part(root, "gtFine", root)
    (root / "gtFine").rename(root / "aside")
    path = root / "gtFine_trainvaltest.zip"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CityscapesError, match=r"gtFine_trainvaltest\.zip: no whole zip"):
        cityscapes.find(root, "val", disparity=False)


def test_a_corrupt_zip_member(root: Path) -> None:
    zip_part(root, "gtFine", root)
    (root / "gtFine").rename(root / "aside")
    path = root / "gtFine_trainvaltest.zip"
    file = cityscapes.find(root, "val", disparity=False)[0].label
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo(file.at).header_offset
    data = bytearray(path.read_bytes())
    data[at + 300] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(CityscapesError, match=re.escape(file.at)):
        cityscapes.read_label(file)


def test_a_link_to_nowhere(root: Path) -> None:
    path = part_path(root, "leftImg8bit", NAMES[0])
    path.unlink()
    path.symlink_to("gone.png")
    file = next(x for x in cityscapes.find(root, "val", disparity=True) if x.name == NAMES[0])
    with pytest.raises(CityscapesError, match=rf"{re.escape(str(path))}: no whole PNG file"):
        cityscapes.read_image(file.image)


@pytest.mark.parametrize("kept", [0, 5, 20, 60, -200, -12])
def test_a_truncated_png(root: Path, kept: int) -> None:
    path = part_path(root, "leftImg8bit", NAMES[0])
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CityscapesError, match=rf"{re.escape(str(path))}: no whole PNG file"):
        cityscapes.read_image(path)


@pytest.mark.parametrize("at", [20, 60, 500, -14, -20])
def test_one_wrong_byte_in_a_png(root: Path, at: int) -> None:
    path = part_path(root, "leftImg8bit", NAMES[0])
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(CityscapesError, match=rf"{re.escape(str(path))}: no whole PNG file"):
        cityscapes.read_image(path)


@pytest.mark.parametrize("tag", [b"fcTL", b"tRNS", b"gAMA", b"cHRM", b"pHYs", b"iCCP", b"zTXt"])
def test_a_chunk_that_is_too_short_is_no_other_error(tmp_path: Path, tag: bytes) -> None:
    """Pillow raises errors of many types for them, or accepts them."""
    file = a_png(tmp_path / "a.png", np.zeros((5, 7, 3), np.uint8))
    data = file.read_bytes()
    for length in range(6):
        body = tag + bytes(length)
        chunk = struct.pack(">I", length) + body + struct.pack(">I", zlib.crc32(body))
        for at in (33, len(data) - 12):  # after the header; before the end
            file.write_bytes(data[:at] + chunk + data[at:])
            try:
                image = cityscapes.read_image(file)
            except CityscapesError:
                continue
            assert not np.asarray(image).any()


def test_a_frame_of_another_size(root: Path) -> None:
    file = part_path(root, "leftImg8bit", NAMES[0])
    assert cityscapes.image_size(file) == (64, 32)
    with pytest.raises(CityscapesError, match=r"leftImg8bit\.png: 64x32 pixels, expected 32x16"):
        cityscapes.read_image(file, size=(32, 16))


def test_files_of_another_kind(tmp_path: Path) -> None:
    grey = a_png(tmp_path / "a_disparity.png", np.zeros((4, 6), np.uint8))
    with pytest.raises(CityscapesError, match=r"a_disparity\.png: .*8-bit grey.*16-bit grey"):
        cityscapes.read_disparity(grey)
    with pytest.raises(CityscapesError, match="8-bit RGB"):
        cityscapes.read_image(grey)
    instances = a_png(tmp_path / "a_gtFine_instanceIds.png", np.zeros((4, 6), np.uint16))
    with pytest.raises(CityscapesError, match=r"instanceIds\.png: .*16-bit grey.*own ids"):
        cityscapes.read_label(instances)
    text = tmp_path / "pointer.png"
    text.write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(CityscapesError, match=r"pointer\.png: no whole PNG file"):
        cityscapes.read_image(text)


@pytest.mark.parametrize("part", PARTS)
def test_more_pixels_than_pillow_decodes(
    root: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    read = {
        "leftImg8bit": cityscapes.read_image,
        "gtFine": cityscapes.read_label,
        "disparity": cityscapes.read_disparity,
    }[part]
    path = part_path(root, part, NAMES[0])
    with pytest.raises(CityscapesError, match=rf"{re.escape(str(path))}: .*2048 pixels.* exceeds"):
        read(path)


def test_ids_that_are_not_official(tmp_path: Path) -> None:
    label_HW = np.full((4, 6), 33, np.uint8)
    np.testing.assert_array_equal(
        cityscapes.read_label(a_png(tmp_path / "good.png", label_HW)), label_HW
    )
    label_HW[1, 2] = 34
    with pytest.raises(CityscapesError, match=r"bad\.png: label id 34 .* 0 to 33"):
        cityscapes.read_label(a_png(tmp_path / "bad.png", label_HW))
    label_HW[1, 2] = 255
    with pytest.raises(CityscapesError, match=r"worse\.png: in train ids already"):
        cityscapes.read_label(a_png(tmp_path / "worse.png", label_HW))
    named = a_png(tmp_path / "a_gtFine_labelTrainIds.png", np.zeros((4, 6), np.uint8))
    with pytest.raises(CityscapesError, match="in train ids already"):
        cityscapes.read_label(named)


@pytest.mark.parametrize("colours", ["official", "any"])
def test_a_palette_whose_indices_are_ids(tmp_path: Path, colours: str) -> None:
    label_HW = np.arange(34, dtype=np.uint8).reshape(2, 17)
    image = Image.fromarray(label_HW)
    of_id = [label.colour for label in LABELS] if colours == "official" else [(9, 9, 9)] * 34
    image.putpalette([x for colour in of_id for x in colour])
    image.save(tmp_path / "a.png", bits=8)
    np.testing.assert_array_equal(cityscapes.read_label(tmp_path / "a.png"), label_HW)


@pytest.mark.parametrize("kind", ["train ids", "a colour picture"])
def test_palettes_whose_indices_are_no_ids(tmp_path: Path, kind: str) -> None:
    colours_HW3 = np.array([label.colour for label in LABELS], np.uint8)[None]
    image = Image.fromarray(colours_HW3).quantize(40)
    if kind == "train ids":
        image = Image.fromarray(np.arange(19, dtype=np.uint8)[None])
        image.putpalette(PALETTE[:19].tobytes())
    image.save(tmp_path / "a.png", bits=8)
    with pytest.raises(CityscapesError, match=r"a\.png: its palette has the colour of road at"):
        cityscapes.read_label(tmp_path / "a.png")
