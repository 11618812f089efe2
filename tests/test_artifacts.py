"""Files between stages: what is written is what is read, and damage is one error that names it."""

import re
import resource
import zipfile
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.artifacts import (
    EXAMPLES,
    FACTS,
    ArtifactError,
    Coded,
    Diagnostics,
    Evaluation,
    Examples,
    ModelName,
    add_coded,
    add_sums,
    array_rows,
    array_shape,
    array_writer,
    arrays_writer,
    diagnostics_file,
    digest,
    evaluation_folder,
    features_file,
    open_streams,
    read_diagnostics,
    read_evaluation,
    read_examples,
    read_history,
    read_json,
    streams_file,
    sums_file,
    weights_file,
    write_diagnostics,
    write_examples,
    write_streams,
)
from pipeline.files import write_json, write_rows
from tests.support.foreign import Foreign

NAME = ModelName("encoder2", "proposed", 3)
FRAMES = ("munster_000000_000019", "münster_000001_000019", "ulm_000000_000019")
FEATURES_NChw = np.random.default_rng(8).normal(size=(150, 5, 2, 7)).astype(np.float32)
STREAMS = [b"abc", b"", b"x" * 1000]
HISTORY = Path("evaluation/encoder2-proposed-3/history.csv")


def coded(seed: int, tasks: int = 2) -> Coded:
    rng = np.random.default_rng(seed)
    sums = {
        "segmentation": {"confusion": rng.integers(0, 2**40, (3, 19, 19))},
        "disparity": {"error": rng.random(3), "pixels": rng.integers(0, 100, 3)},
    }
    return Coded(rng.integers(0, 30, 3), rng.integers(0, 2**33, 3), dict([*sums.items()][:tasks]))


EVALUATION = Evaluation(
    points={"png": coded(0), "jpeg-90": coded(1)},
    pictures={"jpeg-60": coded(3)},
    uncompressed=coded(2).sums,
    names=FRAMES,
    elements=131072,
    pixels=8192,
    trained=24,
    floor={"disparity": 0.1 + 0.2},
    coders={"png": "zlib-ng 2.3", "jpeg-90": "libjpeg-turbo 3"},
    runtime={"device": "cpu"},
    weights="0123456789abcdef",
)
PICTURE_BHW3 = np.arange(48, dtype=np.uint8).reshape(2, 2, 4, 3)
PREDICTED = {"segmentation": PICTURE_BHW3, "disparity": PICTURE_BHW3 + 1}
SHOWN = Examples(
    PICTURE_BHW3,
    dict.fromkeys(PREDICTED, PICTURE_BHW3),
    {"png": PREDICTED, "jpeg-90": PREDICTED},
    np.arange(6, dtype=np.uint16).reshape(2, 3),
    {"disparity": (("near", (1, 2, 3)),), "segmentation": ()},
)
DIAGNOSTICS = Diagnostics({"levels": np.float32([1, 2])}, np.float32([3, 4]), np.float32([5, 6]))


def write_features() -> None:
    with array_writer(features_file(NAME), FEATURES_NChw.shape, np.float32) as write:
        for first in range(0, 150, 40):
            # As convolutions lay them out.
            rows = np.ascontiguousarray(FEATURES_NChw[first : first + 40].transpose(0, 2, 3, 1))
            write(rows.transpose(0, 3, 1, 2))


def write_evaluation() -> None:
    with arrays_writer(sums_file(NAME)) as add:
        for point, at in EVALUATION.points.items():
            add_coded(add, f"points/{point}", at)
        for codec, at in EVALUATION.pictures.items():
            add_coded(add, f"pictures/{codec}", at)
        for task, sums in EVALUATION.uncompressed.items():
            add_sums(add, f"uncompressed/{task}", sums)
    plain = ("names", "elements", "pixels", "trained", "floor", "coders", "runtime", "weights")
    facts = {name: getattr(EVALUATION, name) for name in plain}
    facts |= {"tasks": list(EVALUATION.uncompressed), "pictures": list(EVALUATION.pictures)}
    write_json(evaluation_folder(NAME) / FACTS, facts | {"legends": SHOWN.legends})
    write_examples(evaluation_folder(NAME) / EXAMPLES, SHOWN)


def read_streams() -> tuple[list[bytes], tuple[str, ...], str, list[bytes]]:
    with open_streams(streams_file(NAME, "png")) as streams:
        return list(streams), streams.names, streams.coder, streams[::2]


Kind = tuple[Path, Callable[[], Any], Callable[[], Any], Any]
KINDS: dict[str, Kind] = {
    "features": (
        features_file(NAME),
        write_features,
        lambda: np.concatenate([*array_rows(features_file(NAME))]),
        FEATURES_NChw,
    ),
    "streams": (
        streams_file(NAME, "png"),
        lambda: write_streams(streams_file(NAME, "png"), FRAMES, STREAMS, "zlib-ng 2.3"),
        read_streams,
        (STREAMS, FRAMES, "zlib-ng 2.3", STREAMS[::2]),
    ),
    "diagnostics": (
        diagnostics_file(NAME),
        lambda: write_diagnostics(diagnostics_file(NAME), DIAGNOSTICS),
        lambda: read_diagnostics(diagnostics_file(NAME)),
        DIAGNOSTICS,
    ),
    "sums": (sums_file(NAME), write_evaluation, lambda: read_evaluation(NAME), EVALUATION),
    "facts": (
        evaluation_folder(NAME) / FACTS,
        write_evaluation,
        lambda: read_evaluation(NAME),
        EVALUATION,
    ),
    "examples": (
        evaluation_folder(NAME) / EXAMPLES,
        write_evaluation,
        lambda: read_examples(NAME),
        SHOWN,
    ),
    "history": (
        HISTORY,
        lambda: write_rows(HISTORY, [{"epoch": 0, "lr": 1e-05}, {"epoch": 1, "lr": 0.1 + 0.2}]),
        lambda: read_history(NAME).to_dict("list"),
        {"epoch": [0, 1], "lr": [1e-05, 0.1 + 0.2]},
    ),
}


def assert_same(found: Any, expected: Any) -> None:
    """Equal, arrays in their dtype too."""
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    elif is_dataclass(expected):
        for field in fields(expected):
            assert_same(getattr(found, field.name), getattr(expected, field.name))
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert_same(found[key], value)
    else:
        assert found == expected


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kind:
    monkeypatch.chdir(tmp_path)
    KINDS[request.param][1]()
    return KINDS[request.param]


def test_what_is_written_is_what_is_read_and_the_same_bytes_twice(kind: Kind) -> None:
    path, write, read, expected = kind
    assert_same(read(), expected)
    before = path.read_bytes()
    write()
    assert path.read_bytes() == before


def test_damage_is_named(kind: Kind) -> None:
    path, _, read, _ = kind
    whole = path.read_bytes()
    cuts = [*(whole[:cut] for cut in (4, 11, 130, len(whole) // 2, len(whole) - 20)), b"\0" * 99]
    if path == HISTORY:  # a table that ends early is a table
        cuts = []
    for content in (None, b"", *cuts):
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(ArtifactError, match=f"^{path}|^{path.parent} ") as error:
            read()
        assert str(error.value).endswith("; run `dvc repro` to make it again")


def rewrite(path: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files}
    change(arrays)
    np.savez(path, **arrays)


ENTRIES = {
    "diagnostics": ["rate_loss/levels", "span", "deviation"],
    "sums": ["points/png/header", "pictures/jpeg-60/payload", "points/jpeg-90/disparity/"],
    "examples": ["image", "tile", "truth/disparity", "prediction/jpeg-90/"],
    "facts": ["tasks", "names", "elements", "pixels", "trained", "floor", "coders", "pictures"],
}


@pytest.mark.parametrize(("name", "entry"), [(x, entry) for x in ENTRIES for entry in ENTRIES[x]])
def test_a_missing_entry_and_one_that_would_run_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, entry: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path, write, read, _ = KINDS[name]
    write()
    whole, words = path.read_bytes(), f"^{path}|^{path.parent} .*{re.escape(entry)}"

    def drop(entries: dict[str, Any]) -> None:
        for key in [key for key in entries if key == entry or key.startswith(f"{entry}")]:
            del entries[key]

    if name == "facts":
        facts = read_json(path)
        drop(facts)
        write_json(path, facts)
    else:
        rewrite(path, drop)
    with pytest.raises(ArtifactError, match=words):
        read()
    path.write_bytes(whole)
    if name != "facts" and not entry.endswith("/"):
        trap = np.array([Foreign(tmp_path / "ran")], object)
        rewrite(path, lambda arrays: arrays.update({entry: trap}))
        with pytest.raises(ArtifactError, match="Object arrays cannot be loaded"):
            read()
        assert not (tmp_path / "ran").exists()


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize(
    "change",
    [
        lambda head: head.replace(b"(150, 5, 2, 7)", b"(2**40, 2)    "),
        lambda head: head.replace(b"(150, 5, 2, 7)", b"(9999999, 9, 9)"[:14]),
        lambda head: head.replace(b"(150, 5, 2, 7)", b"(-2, -5, 2, 7)"),
        lambda head: head.replace(b"<f4", b"|O8"),
        lambda head: head.replace(b"False", b"True "),
        lambda head: head.replace(b"{'descr'", b"{((((((("),
        lambda head: head.replace(b"\x01\x00", b"\x02\x00", 1),
        lambda head: head + b"more",
    ],
)
def test_a_head_of_an_array_that_lies_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_features()
    path = features_file(NAME)
    assert array_shape(path) == FEATURES_NChw.shape == np.load(path).shape
    path.write_bytes(change(path.read_bytes()))
    before = peak_kib()
    for read in (array_shape, lambda path: next(array_rows(path))):
        with pytest.raises(ArtifactError, match=f"^{path} is missing or damaged"):
            read(path)
    assert peak_kib() - before < 20_000


def test_an_array_has_as_many_rows_as_were_promised(tmp_path: Path) -> None:
    def write(rows: int) -> None:
        with array_writer(tmp_path / "a.npy", (3, 2), np.float32) as add:
            add(np.zeros((rows, 2)))

    for rows in (2, 4):
        with pytest.raises(ValueError, match="was to have 3 rows"):
            write(rows)
    assert not [*tmp_path.iterdir()]
    write(3)


def test_a_zip_file_of_more_than_bitstreams_is_refused(tmp_path: Path) -> None:
    path, before = tmp_path / "png.zip", peak_kib()
    for member, method in (("a.png", zipfile.ZIP_STORED), ("a.cfs", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr(member, bytes(2**26))
        with pytest.raises(ArtifactError, match=f"{member} in it is no bitstream"):
            open_streams(path).__enter__()
    assert peak_kib() - before < 200_000
    write_streams(path, ["a"], [b"1"], "coder")
    path.write_bytes(path.read_bytes().replace(b"coder", b"c\xff\xffer"))
    with pytest.raises(ArtifactError, match=re.escape(str(path))):
        open_streams(path).__enter__()
    with pytest.raises(ValueError, match="zip"):
        write_streams(tmp_path / "few.zip", ["a", "b"], [b"1"], "coder")
    assert [*tmp_path.iterdir()] == [path]


def test_names_and_digests_of_files(tmp_path: Path) -> None:
    assert streams_file(NAME, "png@5") == Path("streams/encoder2-proposed-3/png@5.zip")
    assert streams_file(NAME, "klt/1.2") == Path("streams/encoder2-proposed-3/klt_1.2.zip")
    assert weights_file(NAME) == Path("models/encoder2-proposed-3/model.safetensors")
    (tmp_path / "a").write_bytes(b"abc")
    assert digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223"  # FIPS 180-2


def test_counts_that_are_mostly_zero_take_little(tmp_path: Path) -> None:
    confusion_NKK = np.zeros((50, 19, 19), np.int64)
    confusion_NKK[:, range(19), range(19)] = np.random.default_rng(0).integers(0, 9000, (50, 19))
    with arrays_writer(tmp_path / "e") as add:
        add("confusion", confusion_NKK)
    assert (tmp_path / "e").stat().st_size < confusion_NKK.nbytes / 20
