"""Holds that prepared frames are the release's pixels, reduced, and are whole or not there."""

import pickle
import struct
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.data.cityscapes import CityscapesError
from pipeline.data.frames import (
    FramesError,
    disparity_px,
    open_frames,
)
from pipeline.data.prepare import nearest, prepare_split, reduce_image
from pipeline.labels import LABELS
from tests.support.foreign import Foreign
from tests.support.synthetic_release import NAMES, PARTS, part_path, pixels, write_release, zip_part

SMALL = {"width": 16, "height": 8, "disparity": True}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("release")
    write_release(root)
    return root


@pytest.fixture
def own_release(tmp_path: Path) -> Path:
    write_release(tmp_path / "own")
    return tmp_path / "own"


def test_prepared_arrays(release: Path, tmp_path: Path) -> None:
    frames = prepare_split(release, "val", tmp_path, **SMALL)
    assert frames.names == tuple(sorted(NAMES))
    assert frames.disparity_NHW is not None
    train_id_of = {label.id: label.train_id for label in LABELS}
    for n, name in enumerate(frames.names):
        image_HW3 = pixels(part_path(release, "leftImg8bit", name)).astype(float)
        means_HW3 = image_HW3.reshape(8, 4, 16, 4, 3).mean((1, 3))
        # Half a level of rounding.
        assert np.abs(frames.image_NHW3[n] - means_HW3).max() <= 0.5
        ids_HW = pixels(part_path(release, "gtFine", name))[2::4, 2::4]
        assert frames.label_NHW[n].tolist() == [[train_id_of[x] for x in row] for row in ids_HW]
        np.testing.assert_array_equal(
            frames.disparity_NHW[n], pixels(part_path(release, "disparity", name))[2::4, 2::4]
        )
    assert (frames.image_NHW3.dtype, frames.label_NHW.dtype) == (np.uint8, np.uint8)
    assert frames.disparity_NHW.dtype == np.uint16
    assert isinstance(frames.image_NHW3, np.memmap)


@pytest.mark.parametrize("workers", [1, 3])
def test_zip_files_and_folders_give_equal_files(
    release: Path, tmp_path: Path, workers: int
) -> None:
    for part in PARTS:
        zip_part(release, part, tmp_path / "zips")
    prepare_split(release, "val", tmp_path / "a", **SMALL)
    prepare_split(tmp_path / "zips", "val", tmp_path / "b", **SMALL, workers=workers)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


@pytest.mark.parametrize(("width", "height"), [(64, 32), (13, 7), (21, 32), (64, 5), (1, 1)])
def test_nearest_takes_the_pixel_under_the_centre(width: int, height: int) -> None:
    source_HW = np.random.default_rng(0).integers(0, 2**16, (32, 64), dtype=np.uint16)
    rows = [int((y + 0.5) * 32 / height) for y in range(height)]
    columns = [int((x + 0.5) * 64 / width) for x in range(width)]
    expected_HW = [[source_HW[y, x] for x in columns] for y in rows]
    target_HW = nearest(source_HW, width=width, height=height)
    assert target_HW.dtype == np.uint16
    np.testing.assert_array_equal(target_HW, expected_HW)


@pytest.mark.parametrize(("width", "height"), [(13, 7), (21, 32), (40, 20), (63, 31)])
def test_disparity_is_never_mixed(release: Path, tmp_path: Path, width: int, height: int) -> None:
    frames = prepare_split(release, "val", tmp_path, width=width, height=height, disparity=True)
    assert frames.disparity_NHW is not None
    for name, disparity_HW in zip(frames.names, frames.disparity_NHW, strict=True):
        source = pixels(part_path(release, "disparity", name))
        assert disparity_HW.shape == (height, width)
        assert set(disparity_HW.flat) <= set(source.flat)


@pytest.mark.parametrize(("width", "height"), [(13, 7), (21, 32), (40, 20), (63, 31)])
def test_images_at_other_ratios_are_antialiased(width: int, height: int) -> None:
    image_HW3 = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(image_HW3).permute(2, 0, 1)[None].double(),
        (height, width),
        mode="bilinear",
        antialias=True,
    )[0].permute(1, 2, 0)
    reduced = reduce_image(Image.fromarray(image_HW3), width=width, height=height)
    # Rounded to a level after each of the two directions.
    assert np.abs(reduced - expected.numpy()).max() <= 1.01


def test_disparity_in_pixels() -> None:
    encoded = np.array([[0, 1, 2, 257], [65535, 6401, 0, 129]], np.uint16)
    pixels_HW = disparity_px(encoded)
    assert pixels_HW.dtype == np.float32
    assert pixels_HW.tolist() == [[0, 0, 1 / 256, 1], [65534 / 256, 25, 0, 0.5]]


def test_without_disparity(release: Path, tmp_path: Path) -> None:
    prepare_split(release, "val", tmp_path, **SMALL)
    frames = prepare_split(release, "val", tmp_path, width=16, height=8, disparity=False)
    assert frames.disparity_NHW is None
    assert not (tmp_path / "disparity.npy").exists()


def small_image(path: Path) -> None:
    Image.new("RGB", (32, 16)).save(path)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def eight_bits(path: Path) -> None:
    Image.new("L", (64, 32)).save(path)


def train_ids(path: Path) -> None:
    Image.new("L", (64, 32), 255).save(path)


BAD = [
    ("leftImg8bit", small_image, "32x16 pixels"),
    ("leftImg8bit", cut_short, "no whole PNG"),
    ("gtFine", cut_short, "no whole PNG"),
    ("gtFine", train_ids, "train ids"),
    ("disparity", eight_bits, "8-bit grey"),
    ("disparity", cut_short, "no whole PNG"),
]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(("part", "spoil", "message"), BAD)
def test_a_bad_file_is_named_and_nothing_is_left(
    own_release: Path, tmp_path: Path, part: str, spoil, message: str, zipped: bool
) -> None:
    path = part_path(own_release, part, sorted(NAMES)[1])
    spoil(path)
    if zipped:
        for each in PARTS:
            zip_part(own_release, each, tmp_path / "zips")
    root = tmp_path / "zips" if zipped else own_release
    with pytest.raises(CityscapesError, match=f"{path.name}: .*{message}"):
        prepare_split(root, "val", tmp_path / "out", **SMALL)
    assert [*tmp_path.glob("out/*")] == []


def test_a_failed_run_leaves_the_frames_of_the_last(own_release: Path, tmp_path: Path) -> None:
    prepare_split(own_release, "val", tmp_path / "out", **SMALL)
    before = {x.name: x.read_bytes() for x in (tmp_path / "out").iterdir()}
    cut_short(part_path(own_release, "gtFine", NAMES[0]))
    with pytest.raises(CityscapesError):
        prepare_split(own_release, "val", tmp_path / "out", **SMALL)
    assert {x.name: x.read_bytes() for x in (tmp_path / "out").iterdir()} == before


@pytest.mark.parametrize(("width", "height"), [(65, 8), (16, 33), (0, 8)])
def test_a_size_that_cannot_be_prepared(
    release: Path, tmp_path: Path, width: int, height: int
) -> None:
    with pytest.raises(ValueError, match=rf"{width}x{height} pixels from 64x32"):
        prepare_split(release, "val", tmp_path / "o", width=width, height=height, disparity=True)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("name", ["image.npy", "label.npy", "frames.csv"])
def test_a_prepared_file_is_missing(release: Path, tmp_path: Path, name: str) -> None:
    prepare_split(release, "val", tmp_path, **SMALL)
    (tmp_path / name).unlink()
    with pytest.raises(FramesError, match=name):
        open_frames(tmp_path)


@pytest.mark.parametrize("name", ["image.npy", "label.npy", "disparity.npy"])
def test_a_prepared_file_is_not_like_the_others(release: Path, tmp_path: Path, name: str) -> None:
    prepare_split(release, "val", tmp_path, **SMALL)
    array = np.load(tmp_path / name)
    np.save(tmp_path / name, array[:-1])
    with pytest.raises(FramesError, match=rf"{name}: shape"):
        open_frames(tmp_path)
    np.save(tmp_path / name, array.astype(np.float32))
    with pytest.raises(FramesError, match=rf"{name}: holds float32"):
        open_frames(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:200])
    with pytest.raises(FramesError, match=name):
        open_frames(tmp_path)


def head(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + f"{text}\n".encode()


def objects(file: Path, trace: Path) -> bytes:
    np.save(file, np.array([Foreign(trace)], object))
    return file.read_bytes()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["image.npy", "label.npy", "disparity.npy"])
def test_a_prepared_array_runs_nothing_and_raises_one_error_alone(
    release: Path, tmp_path: Path, name: str
) -> None:
    prepare_split(release, "val", tmp_path / "out", **SMALL)
    path, trace = tmp_path / "out" / name, tmp_path / "ran"
    whole = path.read_bytes()
    for content in (
        objects(path, trace),
        pickle.dumps(Foreign(trace)),
        head("{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776,)}"),
        head(f"__import__('pathlib').Path({str(trace)!r}).touch()"),
        head("(" * 118),
        b"",
    ):
        path.write_bytes(content)
        with pytest.raises(FramesError, match=name):
            open_frames(path.parent)
    generator = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(whole)
        for place in generator.integers(0, 128, 3):
            damaged[place] = generator.choice(list(b"(){}[],'0123-\n\t\\#\x00\xff"))
        path.write_bytes(damaged)
        with suppress(FramesError):
            open_frames(path.parent)
    assert not trace.exists()


@pytest.mark.parametrize(
    "table", [b"index,name\n0\n1,b\n", b"index,name\n0,\xff\n1,b\n", b'index,name\n0,"a\n', b"\0"]
)
def test_a_damaged_table_is_named(release: Path, tmp_path: Path, table: bytes) -> None:
    prepare_split(release, "val", tmp_path, **SMALL)
    (tmp_path / "frames.csv").write_bytes(table)
    with pytest.raises(FramesError):
        open_frames(tmp_path)


def test_no_member_of_a_zip_file_leaves_the_folder(release: Path, tmp_path: Path) -> None:
    root = tmp_path / "deep" / "zips"
    for part, suffix in PARTS.items():
        zip_part(release, part, root)
        with zipfile.ZipFile(root / f"{part}_trainvaltest.zip", "a") as file:
            pixels = file.read(next(x for x in file.namelist() if x.endswith(suffix)))
            for place in ("../../../evil", "a/../../../../evil", str(tmp_path / "evil")):
                file.writestr(f"{part}/val/{place}{suffix}", pixels)
    before = {x for x in tmp_path.rglob("*") if x.is_file()}
    prepare_split(root, "val", tmp_path / "deep" / "prepared", **SMALL)
    after = {x for x in tmp_path.rglob("*") if x.is_file()} - before
    assert {x.parent for x in after} == {tmp_path / "deep" / "prepared"}


def test_preparing_needs_no_torch() -> None:
    code = "import sys, pipeline.data.frames; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=root).returncode == 0
