"""Bundles: whole, checked, and as exact as they say."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from pipeline.coding.bitstream import decode_features
from pipeline.inference.bundle import BundleError, load_cloud, read_bundle
from pipeline.inference.onnx import Edge, PictureError
from tests.support.tiny_bundle import SIZE, pictures, tiny_bundle, tiny_split


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "it").folder


def test_the_edge_half_gives_the_features_of_torch(folder: Path) -> None:
    edge = Edge(read_bundle(folder))
    image_NHW3 = pictures(6, seed=3)
    with torch.no_grad():
        image_N3HW = torch.from_numpy(image_NHW3).permute(0, 3, 1, 2).float() / 255
        expected_NChw = tiny_split().front(image_N3HW).numpy()
    found_NChw = np.stack([edge.features(x) for x in image_NHW3])
    assert expected_NChw.std() > 0.1
    np.testing.assert_allclose(found_NChw, expected_NChw, atol=1e-4 * expected_NChw.max())


def test_the_bitstream_is_that_of_the_features(folder: Path) -> None:
    bundle = read_bundle(folder)
    edge = Edge(bundle)
    (image_HW3,) = pictures(1)
    assert bundle.fitted is not None
    features_Chw = edge.features(image_HW3)
    step = bundle.fitted.step
    expected_Chw = np.rint(features_Chw / step) * step
    found_Chw = decode_features(edge.encode(image_HW3), bundle.fitted)
    np.testing.assert_allclose(found_Chw, expected_Chw, atol=1e-5 * step)


def test_the_same_picture_gives_the_same_bytes_in_another_process(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pipeline.inference.bundle import read_bundle;"
        "from pipeline.inference.onnx import Edge; from tests.support.tiny_bundle import pictures;"
        "edge = Edge(read_bundle(Path(sys.argv[1])));"
        "print([edge.encode(x).hex() for x in pictures(4)])"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code, folder], capture_output=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert len(runs[0]) > 100


def test_the_cloud_half_is_the_net_s_own(folder: Path) -> None:
    features_BChw = torch.rand(3, *read_bundle(folder).about.shape)
    with torch.no_grad():
        found, expected = load_cloud(read_bundle(folder)).back(features_BChw), tiny_split()
        for task, prediction in expected.back(features_BChw).items():
            torch.testing.assert_close(found[task], prediction)


def test_an_edge_needs_no_torch(folder: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from commands.edge import main;"
        "from pathlib import Path; from pipeline.inference.bundle import read_bundle;"
        "from pipeline.inference.onnx import Edge; Edge(read_bundle(Path(sys.argv[1])));"
        "known = {x.split('.')[0] for x in sys.modules if sys.modules[x]};"
        "print(known & {'mlflow', 'pandas', 'ruamel', 'safetensors', 'scipy', 'torchvision'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder], capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "set()"


def test_pictures_of_other_sizes_are_stretched(folder: Path, tmp_path: Path) -> None:
    edge = Edge(read_bundle(folder))
    (image_HW3,) = pictures(1)
    large = Image.fromarray(image_HW3.repeat(3, 0).repeat(3, 1))
    large.save(tmp_path / "large.png")
    np.testing.assert_array_equal(edge.read(tmp_path / "large.png"), image_HW3)
    large.resize((101, 33)).convert("RGBA").save(tmp_path / "odd.webp")
    assert edge.read((tmp_path / "odd.webp").read_bytes()).shape == (*SIZE, 3)


@pytest.mark.parametrize("content", [b"", b"no picture", b"GIF89a" + bytes(100)])
def test_what_is_no_picture_is_refused(folder: Path, content: bytes) -> None:
    with pytest.raises(PictureError, match="no whole picture; taken are JPEG, PNG, WEBP, AVIF"):
        Edge(read_bundle(folder)).read(content)


def test_a_picture_of_a_phone_stands_upright(folder: Path) -> None:
    upright = Image.fromarray(pictures(1)[0])
    lying, exif, buffer = upright.transpose(Image.Transpose.ROTATE_90), Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = 6  # to be seen, turn it by 90 degrees clockwise
    lying.save(buffer, "PNG", exif=exif)
    found_HW3 = Edge(read_bundle(folder)).read(buffer.getvalue())
    np.testing.assert_array_equal(found_HW3, np.asarray(upright))


def test_a_picture_of_16_bits_is_not_made_white(folder: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((32, 64), 40_000, np.uint16)).save(buffer, "PNG")
    with pytest.raises(PictureError, match="more than 8 bits a value"):
        Edge(read_bundle(folder)).read(buffer.getvalue())


def test_nothing_but_a_bundle_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(BundleError, match="holds something else than a bundle"):
        tiny_bundle(tmp_path)
    assert [x.name for x in tmp_path.iterdir()] == ["thesis.txt"]
    (tmp_path / "thesis.txt").unlink()
    for point in ("table/1", "png@4"):
        tiny_bundle(tmp_path, point)
    assert "fitted.npz" not in {x.name for x in tmp_path.iterdir()}
    assert len({x.stat().st_mode for x in tmp_path.iterdir()}) == 1, "some cannot read all files"


def test_missing_tables_are_missed(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy/fitted.npz").unlink()
    with pytest.raises(BundleError, match=r"lacks fitted\.npz, which edge and cloud both need"):
        read_bundle(tmp_path / "copy")


def test_a_changed_file_is_found(folder: Path, tmp_path: Path) -> None:
    for name in ("edge.onnx", "cloud.safetensors", "fitted.npz"):
        copy = tmp_path / name
        shutil.copytree(folder, copy)
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / name).write_bytes(data)
        with pytest.raises(BundleError, match=f"{name} is not what the bundle was written with"):
            read_bundle(copy)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "format 2; this version reads 1"),
        ({"height": "high"}, "describes no bundle: 1 faults"),
        ({"more": 1}, "describes no bundle"),
        ({"files": {"../edge.onnx": ""}}, "not a file of the bundle"),
    ],
)
def test_a_description_is_checked(
    folder: Path, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    path = copy / "bundle.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BundleError, match=words):
        read_bundle(copy)


def test_a_folder_without_a_description_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"bundle\.json describes no bundle"):
        read_bundle(tmp_path)


def test_each_machine_needs_its_own_half_alone(folder: Path, tmp_path: Path) -> None:
    for name in ("edge.onnx", "cloud.safetensors"):
        copy = tmp_path / name
        shutil.copytree(folder, copy)
        (copy / name).unlink()
        bundle = read_bundle(copy)
        with pytest.raises(BundleError, match=name):
            Edge(bundle) if name == "edge.onnx" else load_cloud(bundle)
