"""Files between stages: what is written is what is read, and damage is named.

Long on purpose: what holds of one thing is in one place.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from pipeline import artifacts
from pipeline.artifacts import (
    ArtifactError,
    Bitstreams,
    Evaluation,
    Features,
    ModelName,
    Sent,
    check_made_of,
    evaluation_folder,
    features_file,
    features_to_fill,
    hashes,
    history_file,
    join_streams,
    model_folder,
    prepared_folder,
    read_evaluation,
    read_examples,
    read_features,
    read_history,
    read_json,
    read_rate_loss,
    read_sent,
    read_streams,
    streams_file,
    write_diagnostics,
    write_evaluation,
    write_examples,
    write_history,
    write_sent,
    write_streams,
)
from pipeline.files import write_json
from pipeline.scoring.coded import Coded
from tests.support.report_models import some_examples

NAMES = ("munster_000000_000019", "münster_000001_000019", "ulm_000000_000019")


def features() -> Features:
    return Features(np.random.default_rng(8).normal(size=(3, 5, 2, 7)).astype(np.float32), NAMES)


def write_features(path: Path, features: Features) -> None:
    """Write features as `export` does, but two frames at a time."""
    rows = features_to_fill(path, features.features_NChw.shape, features.names)
    for first in range(0, len(features.names), 2):
        rows.write(first, features.features_NChw[first : first + 2])


def assert_equal_array(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_names_of_files() -> None:
    name = ModelName("encoder2", "proposed", 3)
    assert str(name) == "encoder2-proposed-3"
    assert prepared_folder("val") == Path("data/prepared/val")
    assert model_folder(name) == Path("models/encoder2-proposed-3")
    assert features_file(name) == Path("features/encoder2-proposed-3.safetensors")
    assert streams_file(name, "png") == Path("streams/encoder2-proposed-3/png.safetensors")
    assert evaluation_folder(name) == Path("evaluation/encoder2-proposed-3")


def test_features(tmp_path: Path) -> None:
    written = features()
    write_features(tmp_path / "new" / "f.safetensors", written)
    found = read_features(tmp_path / "new" / "f.safetensors")
    assert_equal_array(found.features_NChw, written.features_NChw)
    assert found.names == NAMES


def test_files_written_in_parts_are_the_library_s_own_bytes(tmp_path: Path) -> None:
    """As safetensors writes the same arrays and notes itself."""
    written = features()
    write_features(tmp_path / "f", written)
    notes = json.dumps({"facts": {"names": NAMES}, "order": ["features"]})
    save_file({"features": written.features_NChw}, tmp_path / "g", {"notes": notes})
    assert (tmp_path / "f").read_bytes() == (tmp_path / "g").read_bytes()

    streams = [b"abc", b"", b"x" * 1000, b"\x00"]
    names = ("a", 'ü "quoted"', "c", "d")
    write_streams(tmp_path / "whole", Bitstreams(streams, names, "zlib-ng 2.3"))
    cuts = [range(0, 3), range(3, 4)]
    for cut in cuts:
        part = slice(cut.start, cut.stop)
        write_streams(
            tmp_path / str(cut.start), Bitstreams(streams[part], names[part], "zlib-ng 2.3")
        )
    parts = [tmp_path / str(cut.start) for cut in cuts]
    assert join_streams(tmp_path / "joined", parts) == sum(map(len, streams))
    assert (tmp_path / "joined").read_bytes() == (tmp_path / "whole").read_bytes()


def test_what_a_report_shows_of_bitstreams(tmp_path: Path) -> None:
    tile_HW = np.arange(6, dtype=np.uint16).reshape(2, 3)
    write_sent(tmp_path / "s", Sent({"span": 1.5}, tile_HW, {"png": 7, "png@5": 3}))
    found = read_sent(tmp_path / "s")
    assert_equal_array(found.tile_HW, tile_HW)
    assert (found.levels, found.sizes) == ({"span": 1.5}, {"png": 7, "png@5": 3})


def test_the_training_of_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pandas writes it: the columns in order of appearance, a missing value as an empty cell."""
    monkeypatch.chdir(tmp_path)
    rows = [{"epoch": 0, "lr": 1e-05}, {"epoch": 1, "lr": 0.1 + 0.2, "val/miou": 1 / 3}]
    path = history_file(ModelName("encoder2", "proposed", 3))
    write_history(path, rows)
    assert path.read_text() == pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")
    assert read_history(ModelName("encoder2", "proposed", 3))["lr"].tolist() == [1e-05, 0.1 + 0.2]


def test_counts_that_are_mostly_zero_take_little(tmp_path: Path) -> None:
    confusion = np.zeros((50, 19, 19), np.int64)
    confusion[:, range(19), range(19)] = np.random.default_rng(0).integers(0, 9000, (50, 19))
    point = Coded(
        np.zeros(50, np.int64), np.zeros(50, np.int64), {"segmentation": {"c": confusion}}
    )
    write_evaluation(tmp_path / "e", Evaluation({"png": point}, 1, NAMES))
    assert (tmp_path / "e").stat().st_size < confusion.nbytes / 20
    found = read_evaluation(tmp_path / "e").points["png"].sums["segmentation"]["c"]
    assert_equal_array(found, confusion)


def test_features_laid_out_otherwise_in_memory(tmp_path: Path) -> None:
    written = features()
    features_NhwC = np.ascontiguousarray(written.features_NChw.transpose(0, 2, 3, 1))
    write_features(tmp_path / "f", Features(features_NhwC.transpose(0, 3, 1, 2), NAMES))
    assert_equal_array(read_features(tmp_path / "f").features_NChw, written.features_NChw)


def test_rate_losses_by_form(tmp_path: Path) -> None:
    losses = {"levels-transform": np.float32([1, 2]), "features": np.float32([3, 4])}
    write_diagnostics(tmp_path / "d", losses, {})
    for form, loss_N in losses.items():
        assert_equal_array(read_rate_loss(tmp_path / "d", form), loss_N)
    with pytest.raises(ArtifactError, match="no rate loss of the form levels, only levels-tr"):
        read_rate_loss(tmp_path / "d", "levels")


def some_streams(streams: list[bytes]) -> Bitstreams:
    return Bitstreams(streams, NAMES[: len(streams)], "zlib-ng 2.3")


@pytest.mark.parametrize(
    "streams", [[b"abc", b"\x00\xff", b"x" * 1000], [b"", b"one", b""], [b"", b"", b""]]
)
def test_streams(tmp_path: Path, streams: list[bytes]) -> None:
    coded = Bitstreams(streams, NAMES, "zlib-ng 2.3")
    write_streams(tmp_path / "s", coded)
    found = read_streams(tmp_path / "s")
    assert (list(found.streams), found.names, found.coder) == (streams, NAMES, coded.coder)
    assert found.streams[-1] == streams[-1]
    assert found.streams[::2] == streams[::2]
    assert found.shard(range(1, 3)) == Bitstreams(streams[1:], NAMES[1:], coded.coder)


def coded(seed: int, tasks: int = 2) -> Coded:
    rng = np.random.default_rng(seed)
    sums = {
        "segmentation": {"confusion": rng.integers(0, 2**40, (3, 19, 19))},
        "disparity": {
            "disparity_squared_error": rng.random(3),
            "disparity_pixels": rng.integers(0, 100, 3),
        },
    }
    return Coded(rng.integers(0, 30, 3), rng.integers(0, 2**33, 3), dict([*sums.items()][:tasks]))


def evaluation() -> Evaluation:
    return Evaluation(
        points={"png": coded(0), "jpeg-90": coded(1)},
        elements=131072,
        names=NAMES,
        uncompressed=coded(2).sums,
        pictures={"60": coded(3, tasks=1)},
        coders={"png": "zlib-ng 2.3"},
        made_of={"models/x/model.safetensors": "00ff"},
    )


def assert_equal_sums(
    found: Mapping[str, Mapping[str, np.ndarray]], expected: Mapping[str, Mapping[str, np.ndarray]]
) -> None:
    assert {task: list(x) for task, x in found.items()} == {t: list(x) for t, x in expected.items()}
    for task, sums in expected.items():
        for name, array in sums.items():
            assert_equal_array(found[task][name], array)


def test_evaluation(tmp_path: Path) -> None:
    written = evaluation()
    write_evaluation(tmp_path / "e", written)
    found = read_evaluation(tmp_path / "e")
    for points, expected in (
        (found.points, written.points),
        (found.pictures, written.pictures),
    ):
        assert list(points) == list(expected)
        for name, at in expected.items():
            assert_equal_array(points[name].header_N, at.header_N)
            assert_equal_array(points[name].payload_N, at.payload_N)
            assert_equal_sums(points[name].sums, at.sums)
    assert_equal_sums(found.uncompressed, written.uncompressed)
    assert (found.elements, found.names) == (131072, NAMES)


def test_examples(tmp_path: Path) -> None:
    written = some_examples(("segmentation", "reconstruction"), codecs=("png", "jpeg-10"), frames=2)
    write_examples(tmp_path / "x", written)
    found = read_examples(tmp_path / "x")
    assert (found.names, found.legends) == (written.names, written.legends)
    assert_equal_array(found.image_BHW3, written.image_BHW3)
    assert_equal_sums({"truth": found.truths}, {"truth": written.truths})
    assert_equal_sums(found.predictions, written.predictions)


def test_an_evaluation_without_points_and_pictures(tmp_path: Path) -> None:
    write_evaluation(tmp_path / "e", Evaluation({}, 4, ()))
    found = read_evaluation(tmp_path / "e")
    assert (found.points, found.uncompressed, found.pictures) == ({}, {}, {})


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    """Or DVC would take a file that was made again for another one.

    The library alone writes several entries of metadata in any order: one of 20 files would differ.
    """
    coded = Bitstreams([b"a", b""], ('\xfc "1"\n', "2"), "coder")
    examples, path = some_examples(("segmentation",), codecs=("png",), frames=1), tmp_path / "again"
    for write in (
        lambda: write_streams(path, coded),
        lambda: write_examples(path, examples),
        lambda: write_evaluation(path, Evaluation({}, 3, NAMES, made_of={"a": "b"})),
    ):
        found = set()
        for _ in range(20):
            write()
            found.add(path.read_bytes())
        assert len(found) == 1
    write_streams(path, coded)
    again = read_streams(path)
    assert (list(again.streams), again.names) == (coded.streams, coded.names)


def test_json(tmp_path: Path) -> None:
    value = {"miou": 0.1 + 0.2, "run_id": None, "names": ["ü"], "deep": {"x": [1, 2.5]}}
    write_json(tmp_path / "deep" / "er" / "m.json", value)
    text = (tmp_path / "deep" / "er" / "m.json").read_text()
    assert json.loads(text) == value == read_json(tmp_path / "deep" / "er" / "m.json")
    assert text.endswith("}\n")


READERS = [read_features, read_streams, read_evaluation, read_examples]


@pytest.mark.parametrize("read", [*READERS, read_json])
def test_missing_file_is_named(tmp_path: Path, read) -> None:
    with pytest.raises(ArtifactError, match=r"gone.*dvc repro"):
        read(tmp_path / "gone")


@pytest.mark.parametrize("read", READERS)
def test_damaged_file_is_named(tmp_path: Path, read) -> None:
    path = tmp_path / "f.safetensors"
    {
        read_features: lambda: write_features(path, features()),
        read_streams: lambda: write_streams(path, some_streams([b"abc", b"de", b"f"])),
        read_evaluation: lambda: write_evaluation(path, evaluation()),
        read_examples: lambda: write_examples(path, some_examples(("disparity",))),
    }[read]()
    whole = path.read_bytes()
    for cut in (0, 4, 8, 20, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(ArtifactError, match=r"f\.safetensors.*dvc repro"):
            read(path)


def test_damaged_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"miou": 0.')
    with pytest.raises(ArtifactError, match=r"m\.json.*dvc repro"):
        read_json(tmp_path / "m.json")


def test_write_that_fails_half_way_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s"
    write_streams(path, some_streams([b"old"]))

    def fail(arrays: object, part: Path, metadata: object) -> None:
        part.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(artifacts, "save_file", fail)
    with pytest.raises(OSError, match="No space"):
        write_streams(path, some_streams([b"new"]))
    assert list(read_streams(path).streams) == [b"old"]
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_made_of_other_bytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("weights")
    file.write_bytes(b"abc")
    made_of = hashes([file])
    assert made_of == {
        "weights": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
    }
    check_made_of({Path("sums"): made_of})
    file.write_bytes(b"abd")
    with pytest.raises(ArtifactError, match=r"sums was made of another weights .* run `dvc repro`"):
        check_made_of({Path("sums"): made_of})
    file.unlink()
    with pytest.raises(ArtifactError, match="made of weights, which is gone"):
        check_made_of({Path("sums"): made_of})


def test_a_rate_loss_of_another_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("weights").write_bytes(b"one")
    write_diagnostics(Path("d"), {"features": np.float32([3])}, hashes([Path("weights")]))
    Path("weights").write_bytes(b"another")
    with pytest.raises(ArtifactError, match="d was made of another weights"):
        read_rate_loss(Path("d"), "features")
