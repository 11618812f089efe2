"""Every file that passes between stages: its name, how it is read and how it is written.

Paths are relative to the root of the repository (or of a temporary experiment). Files are written
whole under a temporary name first, so a file under its final name is complete.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from pipeline.files import whole_file


class ArtifactError(ValueError):
    """A file from an earlier stage that is missing or damaged."""


class ModelName(NamedTuple):
    """What tells one trained model from another; as text `<encoder>-<arm>-<seed>`."""

    encoder: str
    arm: str
    seed: int

    def __str__(self) -> str:
        return f"{self.encoder}-{self.arm}-{self.seed}"


STREETS_FOLDER = Path("data/streets")
"""The built-in data set, in the official layout."""


def prepared_folder(split: str) -> Path:
    """The frames of `train` or `val` as arrays."""
    return Path("data/prepared") / split


def model_folder(name: ModelName) -> Path:
    """model.safetensors, model.json, history.csv, run.json of a trained model."""
    return Path("models") / str(name)


def features_file(name: ModelName) -> Path:
    """The quantised features of the validation set."""
    return Path("features") / f"{name}.safetensors"


def streams_file(name: ModelName, codec: str) -> Path:
    """The bitstreams of the validation set."""
    return Path("streams") / str(name) / f"{codec}.safetensors"


def evaluation_folder(name: ModelName) -> Path:
    """sums.safetensors and run.json of an evaluated model."""
    return Path("evaluation") / str(name)


REPORT_FOLDER = Path("reports")


@dataclass(frozen=True)
class Features:
    """What the edge sends of each image, before the codec."""

    levels_NChw: np.ndarray
    """uint8, or uint16 above 8 bits."""
    low_N: np.ndarray
    """float32, the feature value of level 0."""
    high_N: np.ndarray
    """float32, the feature value of the highest level."""
    rate_loss_N: np.ndarray
    """float32, L_r of each image in the form that `loss` gives it in training."""
    bits: int
    names: tuple[str, ...]
    """Of the frames."""


def write_features(path: Path, features: Features) -> None:
    arrays = {
        "levels": features.levels_NChw,
        "low": features.low_N,
        "high": features.high_N,
        "rate_loss": features.rate_loss_N,
    }
    _write_arrays(path, arrays, {"bits": features.bits, "names": features.names})


def read_features(path: Path) -> Features:
    arrays, facts = _read_arrays(path)
    return Features(
        levels_NChw=arrays["levels"],
        low_N=arrays["low"],
        high_N=arrays["high"],
        rate_loss_N=arrays["rate_loss"],
        bits=facts["bits"],
        names=tuple(facts["names"]),
    )


def read_rate_loss(path: Path) -> np.ndarray:
    """rate_loss_N alone, without reading the features it stands beside."""
    return _read_arrays(path, only="rate_loss")[0]["rate_loss"]


def write_streams(path: Path, streams: Sequence[bytes], names: Sequence[str]) -> None:
    """One bitstream per frame, end to end in one array."""
    ends = np.cumsum([0, *map(len, streams)], dtype=np.int64)
    data = np.frombuffer(b"".join(streams), np.uint8)
    _write_arrays(path, {"bytes": data, "ends": ends}, {"names": list(names)})


def read_streams(path: Path) -> tuple[list[bytes], tuple[str, ...]]:
    """The bitstreams and the names of their frames."""
    arrays, facts = _read_arrays(path)
    data, ends = arrays["bytes"].tobytes(), arrays["ends"].tolist()
    streams = [data[a:b] for a, b in pairwise(ends)]
    names = tuple(facts["names"])
    if len(streams) != len(names):
        raise ArtifactError(f"{path} holds {len(streams)} bitstreams for {len(names)} frames")
    return streams, names


@dataclass(frozen=True)
class Evaluation:
    """Per-image sums of one model, from which every score can be computed again."""

    sums: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]
    """codec -> task -> sum -> array over images (see `pipeline.scoring.sums`)."""
    header_bytes: Mapping[str, np.ndarray]
    """codec -> (N,) int64."""
    payload_bytes: Mapping[str, np.ndarray]
    """codec -> (N,) int64."""
    elements: int
    """Feature elements per image, C h w."""
    names: tuple[str, ...]
    uncompressed: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    """task -> sum -> array over images, of the float features, neither quantised nor coded."""
    picture_sums: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]] = field(default_factory=dict)
    """JPEG quality -> task -> sum -> array, of the whole network run on the picture so coded."""
    picture_bytes: Mapping[str, np.ndarray] = field(default_factory=dict)
    """JPEG quality -> (N,) int64, the coded picture."""


UNCOMPRESSED, PICTURE = "uncompressed", "picture-"
"""Where the reference points stand among the codecs in an evaluation's file."""


def write_evaluation(path: Path, evaluation: Evaluation) -> None:
    of_pictures = {f"{PICTURE}{key}": tasks for key, tasks in evaluation.picture_sums.items()}
    points = {**evaluation.sums, UNCOMPRESSED: evaluation.uncompressed, **of_pictures}
    arrays = {
        f"{codec}/{task}/{name}": array
        for codec, tasks in points.items()
        for task, parts in tasks.items()
        for name, array in parts.items()
    }
    arrays |= {f"{codec}/header_bytes": x for codec, x in evaluation.header_bytes.items()}
    arrays |= {f"{codec}/payload_bytes": x for codec, x in evaluation.payload_bytes.items()}
    arrays |= {f"{PICTURE}{key}/bytes": x for key, x in evaluation.picture_bytes.items()}
    facts = {"elements": evaluation.elements, "names": evaluation.names}
    _write_arrays(path, arrays, facts)


def read_evaluation(path: Path) -> Evaluation:
    arrays, facts = _read_arrays(path)
    sums: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    counts: dict[str, dict[str, np.ndarray]] = {
        "header_bytes": {},
        "payload_bytes": {},
        "bytes": {},
    }
    for key, array in arrays.items():
        codec, *rest = key.split("/")
        if len(rest) == 1:
            counts[rest[0]][codec] = array
        else:
            sums.setdefault(codec, {}).setdefault(rest[0], {})[rest[1]] = array
    pictures = [key for key in sums if key.startswith(PICTURE)]
    return Evaluation(
        uncompressed=sums.pop(UNCOMPRESSED, {}),
        picture_sums={key.removeprefix(PICTURE): sums.pop(key) for key in pictures},
        picture_bytes={key.removeprefix(PICTURE): x for key, x in counts["bytes"].items()},
        sums=sums,
        header_bytes=counts["header_bytes"],
        payload_bytes=counts["payload_bytes"],
        elements=facts["elements"],
        names=tuple(facts["names"]),
    )


Examples = dict[str, dict[str, np.ndarray]]
"""codec -> task -> the predictions of the first frames: train ids BHW uint8, disparity BHW float16
in pixels, reconstruction B3HW uint8."""


def write_examples(path: Path, examples: Examples) -> None:
    arrays = {
        f"{codec}/{task}": x for codec, tasks in examples.items() for task, x in tasks.items()
    }
    _write_arrays(path, arrays, {})


def read_examples(path: Path) -> Examples:
    examples: Examples = {}
    for key, array in _read_arrays(path)[0].items():
        codec, task = key.split("/")
        examples.setdefault(codec, {})[task] = array
    return examples


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}; run `dvc repro`") from error


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    arrays = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    with whole_file(path) as part:
        save_file(arrays, part, metadata={"facts": json.dumps(facts)})


def _read_arrays(
    path: Path, only: str | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        with safe_open(path, "numpy") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            keys = [only] if only else file.keys()
            return {key: file.get_tensor(key) for key in keys}, facts
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ArtifactError(
            f"{path} is missing or damaged: {error}; run `dvc repro` to make it again"
        ) from error
