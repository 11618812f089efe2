import json
from pathlib import Path

import numpy as np
import pytest

from pipeline import artifacts
from pipeline.artifacts import (
    ArtifactError,
    Evaluation,
    Examples,
    Features,
    ModelName,
    evaluation_folder,
    features_file,
    model_folder,
    prepared_folder,
    read_evaluation,
    read_examples,
    read_features,
    read_json,
    read_streams,
    streams_file,
    write_evaluation,
    write_examples,
    write_features,
    write_streams,
)
from pipeline.files import write_json

NAMES = ("munster_000000_000019", "münster_000001_000019", "ulm_000000_000019")


def features(bits: int = 8) -> Features:
    rng = np.random.default_rng(bits)
    dtype = np.uint8 if bits <= 8 else np.uint16
    return Features(
        levels_NChw=rng.integers(0, 2**bits, (3, 5, 2, 7), dtype),
        low_N=rng.normal(size=3).astype(np.float32),
        high_N=np.float32([np.finfo(np.float32).max, 0.0, 1e-40]),
        rate_loss_N=rng.random(3, np.float32),
        bits=bits,
        names=NAMES,
    )


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


@pytest.mark.parametrize("bits", [1, 8, 9, 16])
def test_features(tmp_path: Path, bits: int) -> None:
    written = features(bits)
    write_features(tmp_path / "new" / "f.safetensors", written)
    found = read_features(tmp_path / "new" / "f.safetensors")
    for field in ("levels_NChw", "low_N", "high_N", "rate_loss_N"):
        assert_equal_array(getattr(found, field), getattr(written, field))
    assert (found.bits, found.names) == (bits, NAMES)


def test_features_laid_out_otherwise_in_memory(tmp_path: Path) -> None:
    written = features()
    levels_NhwC = np.ascontiguousarray(written.levels_NChw.transpose(0, 2, 3, 1))
    view = Features(
        levels_NhwC.transpose(0, 3, 1, 2),
        written.low_N[::-1],
        written.high_N,
        written.rate_loss_N,
        8,
        NAMES,
    )
    write_features(tmp_path / "f", view)
    assert_equal_array(read_features(tmp_path / "f").levels_NChw, written.levels_NChw)
    assert_equal_array(read_features(tmp_path / "f").low_N, written.low_N[::-1])


@pytest.mark.parametrize(
    "streams", [[b"abc", b"\x00\xff", b"x" * 1000], [b"", b"one", b""], [b"", b"", b""]]
)
def test_streams(tmp_path: Path, streams: list[bytes]) -> None:
    write_streams(tmp_path / "s", streams, NAMES)
    assert read_streams(tmp_path / "s") == (streams, NAMES)


def evaluation() -> Evaluation:
    rng = np.random.default_rng(0)
    codecs = ("png", "jpeg-90")
    return Evaluation(
        sums={
            codec: {
                "segmentation": {"confusion": rng.integers(0, 2**40, (3, 19, 19))},
                "disparity": {
                    "disparity_squared_error": rng.random(3),
                    "disparity_pixels": rng.integers(0, 100, 3),
                },
            }
            for codec in codecs
        },
        header_bytes={codec: rng.integers(0, 30, 3) for codec in codecs},
        payload_bytes={codec: rng.integers(0, 2**33, 3) for codec in codecs},
        elements=131072,
        names=NAMES,
    )


def test_evaluation(tmp_path: Path) -> None:
    written = evaluation()
    write_evaluation(tmp_path / "e", written)
    found = read_evaluation(tmp_path / "e")
    assert set(found.sums) == {"png", "jpeg-90"}
    for codec, tasks in written.sums.items():
        assert {t: set(x) for t, x in found.sums[codec].items()} == {
            t: set(x) for t, x in tasks.items()
        }
        for task, sums in tasks.items():
            for name, array in sums.items():
                assert_equal_array(found.sums[codec][task][name], array)
        assert_equal_array(found.header_bytes[codec], written.header_bytes[codec])
        assert_equal_array(found.payload_bytes[codec], written.payload_bytes[codec])
    assert (found.elements, found.names) == (131072, NAMES)


def test_examples(tmp_path: Path) -> None:
    written: Examples = {
        "png": {
            "segmentation": np.full((2, 4, 6), 255, np.uint8),
            "disparity": np.linspace(0, 126, 48).reshape(2, 4, 6).astype(np.float16),
        },
        "jpeg-10": {"reconstruction": np.arange(144, dtype=np.uint8).reshape(2, 3, 4, 6)},
    }
    write_examples(tmp_path / "x", written)
    found = read_examples(tmp_path / "x")
    assert {c: set(x) for c, x in found.items()} == {c: set(x) for c, x in written.items()}
    for codec, tasks in written.items():
        for task, array in tasks.items():
            assert_equal_array(found[codec][task], array)


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
        read_streams: lambda: write_streams(path, [b"abc", b"de", b"f"], NAMES),
        read_evaluation: lambda: write_evaluation(path, evaluation()),
        read_examples: lambda: write_examples(path, {"png": {"a": np.zeros(9, np.uint8)}}),
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
    write_streams(path, [b"old"], NAMES[:1])

    def fail(arrays: object, part: Path, metadata: object) -> None:
        part.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(artifacts, "save_file", fail)
    with pytest.raises(OSError, match="No space"):
        write_streams(path, [b"new"], NAMES[:1])
    assert read_streams(path)[0] == [b"old"]
    assert list(tmp_path.iterdir()) == [path]
