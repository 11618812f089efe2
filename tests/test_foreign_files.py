"""Holds that files from elsewhere run nothing, ask for no memory, and lead to no other folder.

Long on purpose: every place where a file from elsewhere comes in is here.
"""

import io
import json
import pickle
import resource
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from pipeline.data.link import link_release
from safetensors.numpy import save_file

from pipeline.artifacts import (
    ArtifactError,
    check_made_of,
    hashes,
    read_evaluation,
    read_examples,
    read_features,
    read_rate_loss,
    read_sent,
    read_streams,
)
from pipeline.data.frames import FramesError, open_frames
from pipeline.data.prepare import prepare_split
from pipeline.nets.encoder import WeightsError, read_weights
from pipeline.training.checkpoint import Checkpoints, ModelError, load_model
from tests.support.synthetic_release import NAMES, PARTS, write_release, zip_part


class Foreign:
    """Something that runs code when a careless reader unpickles it."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.target,)


def test_the_trap_works(tmp_path: Path) -> None:
    # So that nothing below passes only because its trap would never spring.
    pickle.loads(pickle.dumps(Foreign(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


# Prepared frames


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "frames.csv").write_text("index,name\n0,a\n1,b\n")
    np.save(folder / "image.npy", np.zeros((2, 4, 6, 3), np.uint8))
    np.save(folder / "label.npy", np.zeros((2, 4, 6), np.uint8))
    np.save(folder / "disparity.npy", np.zeros((2, 4, 6), np.uint16))
    assert open_frames(folder).names == ("a", "b")
    return folder


def objects(trace: Path) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Foreign(trace)], object), allow_pickle=True)
    return buffer.getvalue()


def archive(trace: Path) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, image=np.array([Foreign(trace)], object))
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["image.npy", "label.npy", "disparity.npy"])
@pytest.mark.parametrize(
    "content",
    [
        objects,
        archive,
        lambda trace: pickle.dumps(Foreign(trace)),
        lambda trace: b"\x93NUMPY\x01\x00\x76\x00" + b"(" * 118,
        lambda trace: npy_head("{'descr': '|u1', 'fortran_order': False, 'shape': (2**40,)}"),
        lambda trace: npy_head(
            "{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776,)}"
        ),
        lambda trace: npy_head("__import__('pathlib').Path('ran').touch()"),
    ],
)
def test_a_prepared_array_runs_nothing(
    frames: Path, tmp_path: Path, name: str, content: Callable[[Path], bytes]
) -> None:
    (frames / name).write_bytes(content(tmp_path / "ran"))
    with pytest.raises(FramesError, match=name):
        open_frames(frames)
    assert not (tmp_path / "ran").exists()
    assert not Path("ran").exists()


def npy_head(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + f"{text}\n".encode()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["image.npy", "label.npy"])
def test_a_damaged_array_raises_one_error_alone(frames: Path, name: str) -> None:
    whole = (frames / name).read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(500):
        damaged = bytearray(whole)
        for place in generator.integers(0, 128, 3):
            damaged[place] = generator.choice(list(b"(){}[],'0123-\n\t\\#\x00\xff"))
        (frames / name).write_bytes(damaged)
        with suppress(FramesError):
            open_frames(frames)


@pytest.mark.parametrize(
    "table", [b"index,name\n0\n1,b\n", b"index,name\n0,\xff\n1,b\n", b'index,name\n0,"a\n', b"\0"]
)
def test_a_damaged_table_of_frames_is_named(frames: Path, table: bytes) -> None:
    (frames / "frames.csv").write_bytes(table)
    with pytest.raises(FramesError):
        open_frames(frames)


# safetensors


def huge_header() -> bytes:
    return struct.pack("<Q", 2**62) + b"{}" + bytes(64)


def large_header() -> bytes:
    """Below the library's limit of 100 MB, but the file does not have so many bytes."""
    return struct.pack("<Q", 90_000_000) + b"{}" + bytes(64)


def overlapping() -> bytes:
    entry = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    header = json.dumps({"a": entry, "b": {**entry, "data_offsets": [8, 24]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(24)


def too_far() -> bytes:
    entry = {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}
    header = json.dumps({"a": entry}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(16)


TENSORS = [huge_header, large_header, overlapping, too_far]


@pytest.mark.parametrize("content", TENSORS)
def test_weights_that_lie_about_their_size_are_refused(
    tmp_path: Path, content: Callable[[], bytes]
) -> None:
    (tmp_path / "w.safetensors").write_bytes(content())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WeightsError, match=r"model\.file: .*w\.safetensors"):
        read_weights(tmp_path / "w.safetensors")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


@pytest.mark.parametrize("content", TENSORS)
def test_a_model_that_lies_about_its_size_is_refused(
    tmp_path: Path, content: Callable[[], bytes]
) -> None:
    description = {"encoder": "encoder2", "tasks": ["reconstruction"]}
    (tmp_path / "model.json").write_text(json.dumps(description))
    (tmp_path / "model.safetensors").write_bytes(content())
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        load_model(tmp_path)


READERS = [
    read_features,
    read_streams,
    read_evaluation,
    read_examples,
    read_sent,
    lambda path: read_rate_loss(path, "levels"),
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("content", TENSORS)
def test_an_artifact_that_lies_about_its_size_is_refused(
    tmp_path: Path, read: Callable[[Path], object], content: Callable[[], bytes]
) -> None:
    (tmp_path / "a.safetensors").write_bytes(content())
    with pytest.raises(ArtifactError, match=r"a\.safetensors"):
        read(tmp_path / "a.safetensors")


def test_a_bomb_in_an_artifact_is_not_inflated(tmp_path: Path) -> None:
    bomb = np.frombuffer(zlib.compress(bytes(2**28)), np.uint8)
    for kind, shape in (["|u1", [3]], ["|u1", []], ["|O", [3]], ["|u1", [-1]], [3, "x"]):
        notes = {"facts": {}, "order": ["tile"], "deflated": {"tile": [kind, shape]}}
        save_file({"tile": bomb}, tmp_path / "a", metadata={"notes": json.dumps(notes)})
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(ArtifactError, match="damaged"):
            read_sent(tmp_path / "a")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


# Checkpoints


@pytest.mark.parametrize("plain", [True, False])
def test_a_foreign_checkpoint_is_no_checkpoint(tmp_path: Path, plain: bool) -> None:
    path, trace = tmp_path / "model.pt", tmp_path / "ran"
    content = {"position": {"epoch": 3}, "net": Foreign(trace)}
    path.write_bytes(pickle.dumps(content, protocol=2)) if plain else torch.save(content, path)
    assert Checkpoints(path, 1).load() is None
    assert not trace.exists()


# Paths in files


@pytest.mark.parametrize("outside", ["../secret", "/etc/hostname", "data/../../secret"])
def test_what_a_file_was_made_of_lies_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outside: str
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "secret").write_text("a")
    monkeypatch.chdir(tmp_path / "here")
    read: list[Path] = []

    def noted(paths: "list[Path]") -> dict[str, str]:
        read.extend(paths)
        return hashes(read)

    monkeypatch.setattr("pipeline.artifacts.hashes", noted)
    Path("left_behind.json").write_text(json.dumps({outside: "0" * 64}))
    with pytest.raises(ArtifactError, match="outside of this folder"):
        check_made_of({Path("sums"): {outside: "0" * 64}})
    assert not read


@pytest.mark.parametrize(
    ("member", "is_read"),
    [
        ("../../../{}", False),
        ("../../../../../{}", False),
        ("a/../../../../{}", False),
        ("/tmp/{}", True),
        ("\\..\\..\\{}", True),
    ],
)
def test_no_member_of_a_zip_file_leaves_the_folder(
    tmp_path: Path, member: str, is_read: bool
) -> None:
    write_release(tmp_path / "release")
    root = tmp_path / "deep" / "zips"
    root.mkdir(parents=True)
    for part in PARTS:
        zip_part(tmp_path / "release", part, root)
    for part, suffix in PARTS.items():
        with zipfile.ZipFile(root / f"{part}_trainvaltest.zip", "a") as file:
            pixels = file.read(next(x for x in file.namelist() if x.endswith(suffix)))
            file.writestr(f"{part}/val/{member.format('evil')}{suffix}", pixels)
    before = {x for x in tmp_path.rglob("*") if x.is_file()}
    prepare_split(root, "val", tmp_path / "deep" / "prepared", width=8, height=4, disparity=True)
    after = {x for x in tmp_path.rglob("*") if x.is_file()} - before
    assert {x.parent for x in after} == {tmp_path / "deep" / "prepared"}
    names = open_frames(tmp_path / "deep" / "prepared").names
    assert len(names) == len(NAMES) + is_read
    assert not Path("/tmp/evil_leftImg8bit.png").exists()


def test_links_to_a_release_stay_in_their_folder(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_release(tmp_path / "release", split=split)
    for part in PARTS:
        zip_part(tmp_path / "release", part, tmp_path)
    link_release(tmp_path, tmp_path / "deep" / "links", disparity=True)
    links = {x for x in (tmp_path / "deep").rglob("*") if x.is_symlink()}
    assert {x.parent for x in links} == {tmp_path / "deep" / "links"}
