"""Holds that a file which lacks an entry is refused by name: the file, the entry, what to do."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pipeline.scoring.examples import Examples
from safetensors import safe_open
from safetensors.numpy import save_file

from pipeline.artifacts import (
    ArtifactError,
    Bitstreams,
    Evaluation,
    Sent,
    features_to_fill,
    join_diagnostics,
    join_evaluations,
    read_evaluation,
    read_examples,
    read_features,
    read_rate_loss,
    read_sent,
    read_streams,
    write_diagnostics,
    write_evaluation,
    write_examples,
    write_sent,
    write_streams,
)
from pipeline.scoring.coded import Coded

SUMS = {"disparity_squared_error": np.ones(2), "disparity_pixels": np.full(2, 3)}
CODED = Coded(np.full(2, 4), np.full(2, 5), {"disparity": SUMS})
PICTURES = np.zeros((1, 2, 2, 3), np.uint8)
EVALUATION = Evaluation({"png": CODED}, 6, ("a", "b"), {"disparity": SUMS}, {"90": CODED})
EXAMPLES = Examples(
    ("a",), PICTURES, {"t": PICTURES}, {"png": {"t": PICTURES, "u": PICTURES}}, {"t": ()}
)


def write_features(path: Path) -> None:
    features_to_fill(path, (2, 1, 1, 1), ["a", "b"]).write(0, np.ones((2, 1, 1, 1), np.float32))


def use_evaluation(path: Path, folder: Path | None = None) -> None:
    """Read an evaluation, and what a report reads of it."""
    read = join_evaluations([path, path], folder) if folder else read_evaluation(path)
    assert len(read.points["png"].values(read.elements)) == 3
    assert len(read.pictures["90"].values(read.elements)) == 3
    assert set(read.points["png"].sums["disparity"]) == set(SUMS)
    assert set(read.uncompressed["disparity"]["disparity_pixels"]) == {3}


def use_examples(path: Path) -> None:
    """Read examples, and what a report reads of them."""
    read = read_examples(path)
    assert read.truths["t"].shape == read.predictions["png"]["t"].shape


KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], object], list[str]]] = {
    "features": (write_features, read_features, ["features", "names"]),
    "streams": (
        lambda path: write_streams(path, Bitstreams([b"1", b"2"], ("a", "b"), "coder")),
        read_streams,
        ["bytes", "ends", "names", "coder"],
    ),
    "sent": (
        lambda path: write_sent(path, Sent({}, np.zeros((2, 2)), {})),
        read_sent,
        ["tile", "levels", "sizes"],
    ),
    "diagnostics": (
        lambda path: write_diagnostics(path, {"levels": np.ones(2)}, {}),
        lambda path: read_rate_loss(path, "levels"),
        ["made_of"],
    ),
    "joined diagnostics": (
        lambda path: write_diagnostics(path, {"levels": np.ones(2)}, {}),
        lambda path: join_diagnostics(path.parent / "joined", [path.parent / "other", path], {}),
        ["levels"],
    ),
    "evaluation": (
        lambda path: write_evaluation(path, EVALUATION),
        use_evaluation,
        [
            *(f"points/png/{x}" for x in ("header", "payload")),
            *(f"points/png/disparity/{x}" for x in SUMS),
            *(f"pictures/90/disparity/{x}" for x in SUMS),
            "uncompressed/disparity/disparity_pixels",
            *("elements", "names", "coders", "made_of"),
        ],
    ),
    "joined evaluation": (
        lambda path: write_evaluation(path, EVALUATION),
        lambda path: use_evaluation(path, path.parent / "joined"),
        ["points/png/header", "points/png/disparity/disparity_pixels", "elements", "names"],
    ),
    "second shard of an evaluation": (
        lambda path: write_evaluation(path, EVALUATION),
        lambda path: join_evaluations([path.parent / "other", path], path.parent / "joined"),
        ["points/png/header", "points/png/disparity/disparity_pixels", "names"],
    ),
    "examples": (
        lambda path: write_examples(path, EXAMPLES),
        use_examples,
        ["image", "truth/t", "prediction/png/t", "names", "legends"],
    ),
}


def rewrite(path: Path, lacking: str | None) -> None:
    """Write a file again with all that it holds, but one array or fact."""
    with safe_open(path, "numpy") as file:
        notes = json.loads(file.metadata()["notes"])
        arrays = {key: file.get_tensor(key) for key in file.keys() if key != lacking}  # noqa: SIM118
    everything = {*notes["order"], *notes["facts"]}
    assert lacking is None or lacking in everything
    notes["order"] = [key for key in notes["order"] if key != lacking]
    notes["facts"].pop(lacking, None)
    notes.get("deflated", {}).pop(lacking, None)
    save_file(arrays, path, metadata={"notes": json.dumps(notes)})


@pytest.mark.parametrize(
    ("kind", "lacking"), [(kind, entry) for kind in KINDS for entry in (None, *KINDS[kind][2])]
)
def test_the_missing_entry_is_named(tmp_path: Path, kind: str, lacking: str | None) -> None:
    write, read, _ = KINDS[kind]
    path = tmp_path / "some.safetensors"
    write(tmp_path / "other")
    write(path)
    rewrite(path, lacking)
    if lacking is None:  # so the file is refused for what it lacks alone
        read(path)
        return
    words = f"{path} has no entry {lacking}; run `dvc repro` to make it again"
    with pytest.raises(ArtifactError, match=f"^{re.escape(words)}$"):
        read(path)


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("points/jpeg-90", lambda x: x.points["jpeg-90"]),
        ("points/png/segmentation", lambda x: x.points["png"].sums["segmentation"]),
        ("uncompressed/segmentation", lambda x: x.uncompressed["segmentation"]),
        ("pictures/10", lambda x: x.pictures["10"]),
    ],
)
def test_a_point_or_task_that_was_not_evaluated_is_named(
    tmp_path: Path, name: str, ask: Callable[[Evaluation], object]
) -> None:
    path = tmp_path / "sums.safetensors"
    write_evaluation(path, EVALUATION)
    read = read_evaluation(path)
    with pytest.raises(ArtifactError, match=rf"sums\.safetensors has no entry {name};"):
        ask(read)


@pytest.mark.parametrize("entry", ["points", "points/png", "uncompressed", "pictures/90"])
def test_an_array_where_a_group_belongs_is_named(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "sums.safetensors"
    write_evaluation(path, EVALUATION)
    with safe_open(path, "numpy") as file:
        notes = json.loads(file.metadata()["notes"])
        arrays = {key: file.get_tensor(key) for key in notes["order"]}
    arrays = {key: x for key, x in arrays.items() if not key.startswith(f"{entry}/")}
    arrays[entry] = np.ones(2)
    notes["order"] = list(arrays)
    notes["deflated"] = {key: x for key, x in notes["deflated"].items() if key in arrays}
    save_file(arrays, path, metadata={"notes": json.dumps(notes)})
    with pytest.raises(ArtifactError, match=rf"sums\.safetensors: entry {entry} is an array"):
        read_evaluation(path)


@pytest.mark.parametrize("lacking", ["notes", "facts", "order"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_program_is_refused(tmp_path: Path, kind: str, lacking: str) -> None:
    write, read, _ = KINDS[kind]
    path = tmp_path / "some.safetensors"
    write(tmp_path / "other")
    write(path)
    with safe_open(path, "numpy") as file:
        metadata = {"notes": json.loads(file.metadata()["notes"])}
    metadata.pop(lacking, None)
    metadata.get("notes", {}).pop(lacking, None)
    save_file({}, path, metadata={key: json.dumps(value) for key, value in metadata.items()})
    with pytest.raises(
        ArtifactError, match=r"some\.safetensors .*run `dvc repro` to make it again"
    ):
        read(path)
