"""Every file that passes between stages: its name, its record, how it is read and written.

Paths are relative to the root of the repository (or of a temporary experiment). Files are written
whole under a temporary name first, so a file under its final name is complete. This is one list on
purpose, longer than other files: whoever looks for a file between stages looks here alone.
"""

import csv
import hashlib
import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from pipeline.files import whole_file, write_json
from pipeline.scoring.coded import Coded
from pipeline.scoring.examples import Examples
from pipeline.shards import Rows, chunks

if TYPE_CHECKING:  # stages that read no table must not wait for pandas
    import pandas as pd


class ArtifactError(ValueError):
    """A file from an earlier stage that is missing or damaged."""


class _Entries(dict[str, Any]):
    """What a file holds, by name. To ask for what it lacks raises an ArtifactError that names it.

    So no reader has to check, and none of those who use what was read.
    """

    def __init__(self, path: Path, entries: Mapping[str, Any], above: str = "") -> None:
        """above: what stands before each name in the file, such as `points/png/`."""
        super().__init__(entries)
        self.path, self.above = path, above

    def group(self, name: str) -> "_Entries":
        """Return what is there as `name/...`; an empty group if nothing is.

        Raises ArtifactError if it is an array.
        """
        found = self.get(name, _Entries(self.path, {}, f"{self.above}{name}/"))
        if not isinstance(found, _Entries):
            raise ArtifactError(
                f"{self.path}: entry {self.above}{name} is an array where entries "
                f"{self.above}{name}/... belong; run `dvc repro` to make it again"
            )
        return found

    def __missing__(self, name: str) -> Any:
        raise ArtifactError(
            f"{self.path} has no entry {self.above}{name}; run `dvc repro` to make it again"
        )


class ModelName(NamedTuple):
    """What tells one trained model from another; as text `<encoder>-<arm>-<seed>`."""

    encoder: str
    arm: str
    seed: int

    def __str__(self) -> str:
        return f"{self.encoder}-{self.arm}-{self.seed}"


CHECKED_FILE = Path("data/settings.txt")
"""Says that the settings were checked; it never changes."""
STREETS_FOLDER = Path("data/streets")
"""The built-in data set, in the official layout."""
RELEASE_FOLDER = Path("data/release")
"""Links to those files of data.root that are read, in the official layout."""
PREPARED_FOLDER = Path("data/prepared")
SPLITS = ("train", "val")
REPORT_FOLDER = Path("reports")
TABLES_FOLDER = REPORT_FOLDER / "tables"
FAMILY_FOLDER = REPORT_FOLDER / "family"
DRAWINGS_FOLDER = REPORT_FOLDER / "figures"
PAGE_FILE = REPORT_FOLDER / "index.html"
POINTS_FILE = REPORT_FOLDER / "points.csv"
BD_RATE_FILE = REPORT_FOLDER / "bd_rate.json"
SCORES_FILE = REPORT_FOLDER / "scores.json"
LOCK_FILE = Path("dvc.lock")
FRAMES_FILE = Path("data/frames.json")
"""What a report says of frames that stayed on another machine (see `FrameFacts`)."""
LEFT_FILE = Path("left_behind.json")
"""Path of a file that stayed on another machine -> SHA-256 of its bytes."""


def prepared_folder(split: str) -> Path:
    """Return the folder of the frames of `train` or `val`, as arrays."""
    return PREPARED_FOLDER / split


def model_folder(name: ModelName) -> Path:
    """Return the folder of a trained model: weights, description, history and MLflow run."""
    return Path("models") / str(name)


def weights_file(name: ModelName) -> Path:
    """Return the file of a trained model's weights."""
    return model_folder(name) / "model.safetensors"


def model_description(name: ModelName) -> Any:
    """Return what was noted of a model when it was trained (see `training.checkpoint`)."""
    return read_json(model_folder(name) / "model.json")


def history_file(name: ModelName) -> Path:
    """Return the file of a model's training, which has one row per epoch."""
    return model_folder(name) / "history.csv"


def features_file(name: ModelName) -> Path:
    """Return the file of the validation set's features, as the edge half puts them out."""
    return Path("features") / f"{name}.safetensors"


def diagnostics_file(name: ModelName) -> Path:
    """Return the file of what is measured on those features beside what is coded of them."""
    return Path("diagnostics") / f"{name}.safetensors"


def streams_folder(name: ModelName) -> Path:
    """Return the folder of a model's bitstreams, which has a file for each codec point."""
    return Path("streams") / str(name)


def streams_file(name: ModelName, codec: str) -> Path:
    """Return the file of the validation set's bitstreams at one point."""
    return streams_folder(name) / f"{codec}.safetensors"


def evaluation_folder(name: ModelName) -> Path:
    """Return the folder of an evaluated model: sums, example pictures and MLflow run."""
    return Path("evaluation") / str(name)


def sums_file(name: ModelName) -> Path:
    """Return the file of an evaluated model's per-image sums: its `Evaluation`."""
    return evaluation_folder(name) / "sums.safetensors"


def examples_file(name: ModelName) -> Path:
    """Return the file of an evaluated model's example pictures."""
    return evaluation_folder(name) / "examples.safetensors"


def sent_file(name: ModelName) -> Path:
    """Return the file of what a report shows of bitstreams that stayed elsewhere: their `Sent`."""
    return evaluation_folder(name) / "sent.safetensors"


# The MLflow run of a folder


def write_run_id(folder: Path, run_id: str | None) -> None:
    """Note which MLflow run the contents of a folder come from; None if nothing was tracked."""
    write_json(folder / "run.json", {"run_id": run_id})


def read_run_id(folder: Path) -> str | None:
    """Return the id of the MLflow run that made the contents of a folder, if one did."""
    return read_json(folder / "run.json")["run_id"]


# Features and what is measured on them


@dataclass(frozen=True)
class Features:
    """What the edge half makes of each image, before the quantiser."""

    features_NChw: np.ndarray
    """float32."""
    names: tuple[str, ...]
    """Of the frames."""


def features_to_fill(path: Path, shape_NChw: Sequence[int], names: Sequence[str]) -> Rows:
    """Return the file of a model's features, float32, to be filled a shard at a time.

    It is whole once all shards are written; until then it does not lie under its final name.
    """
    header = _header({"features": (np.dtype(np.float32), shape_NChw)}, {"names": list(names)})
    return Rows(path, header, shape_NChw, np.float32)


def read_features(path: Path) -> Features:
    """Open the features of one model; they stay on disk, memory-mapped."""
    places, facts = _places(path)
    return Features(places["features"].mapped(path), tuple(facts["names"]))


def write_diagnostics(
    path: Path, rate_loss_N_of: Mapping[str, np.ndarray], made_of: Mapping[str, str]
) -> None:
    """Write L_r of each image, float32, by the name of its form; `made_of` as in `Evaluation`."""
    _write_arrays(path, rate_loss_N_of, {"made_of": dict(made_of)})


def join_diagnostics(path: Path, parts: Sequence[Path], made_of: Mapping[str, str]) -> None:
    """Write L_r of all images from the files of their shards, in order."""
    of_shards = [_read_arrays(part)[0] for part in parts]
    forms = list(of_shards[0])
    rate_loss_N_of = {form: np.concatenate([x[form] for x in of_shards]) for form in forms}
    write_diagnostics(path, rate_loss_N_of, made_of)


def read_rate_loss(path: Path, form: str) -> np.ndarray:
    """Read L_r of each image in one form; raise ArtifactError if it is of another model."""
    arrays, facts = _read_arrays(path)
    check_made_of({path: facts["made_of"]})
    if form not in arrays:
        raise ArtifactError(
            f"{path} has no rate loss of the form {form}, only {', '.join(arrays)}; run `dvc repro`"
        )
    return arrays[form]


# Bitstreams


@dataclass(frozen=True)
class Bitstreams:
    """What one model's features become at one point of a curve."""

    streams: Sequence[bytes]
    names: tuple[str, ...]
    """Of the frames."""
    coder: str
    """Name and version of the program that wrote them."""


def write_streams(path: Path, coded: Bitstreams) -> None:
    """Write one bitstream per frame, end to end in one array."""
    ends = np.cumsum([0, *map(len, coded.streams)], dtype=np.int64)
    data = np.frombuffer(b"".join(coded.streams), np.uint8)
    facts = {"names": coded.names, "coder": coded.coder}
    _write_arrays(path, {"bytes": data, "ends": ends}, facts)


def join_streams(path: Path, parts: Sequence[Path]) -> int:
    """Write the bitstreams of all frames from the files of their shards, in order.

    Returns their bytes in all.
    """
    names: list[str] = []
    lengths: list[np.ndarray] = []
    for coded in map(read_streams, parts):
        names += coded.names
        lengths.append(np.diff(coded.streams.ends_N))
    ends_N = np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths]))
    size = int(ends_N[-1])
    tensors = {"bytes": (np.dtype(np.uint8), [size]), "ends": (ends_N.dtype, ends_N.shape)}
    header = _header(tensors, {"names": names, "coder": coded.coder})
    with whole_file(path) as part, part.open("wb") as whole:
        whole.write(header)
        whole.write(ends_N.data)
        for coded in map(read_streams, parts):
            whole.write(b"".join(coded.streams))
    return size


@dataclass(frozen=True, eq=False)
class StoredStreams(Sequence[bytes]):
    """Bitstreams in a file; each is read when it is asked for."""

    path: Path
    start: int
    """Of the first bitstream in the file, in bytes."""
    ends_N: np.ndarray
    """int64, bytes: 0, then the end of each bitstream, counted from `start`."""

    def __len__(self) -> int:
        """Return the number of bitstreams."""
        return len(self.ends_N) - 1

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        """Read one bitstream, or some."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        first, end = self.ends_N[range(len(self))[index] :][:2].tolist()
        with self.path.open("rb") as file:
            file.seek(self.start + first)
            return file.read(end - first)


@dataclass(frozen=True)
class StoredBitstreams:
    """`Bitstreams` in a file."""

    streams: StoredStreams
    names: tuple[str, ...]
    coder: str

    def shard(self, frames: range) -> Bitstreams:
        """Read the bitstreams of some frames that follow each other."""
        part = slice(frames.start, frames.stop)
        return Bitstreams(self.streams[part], self.names[part], self.coder)


def read_streams(path: Path) -> StoredBitstreams:
    """Open the bitstreams of one model at one point; each is read when it is asked for."""
    places, facts = _places(path)
    ends_N = np.array(places["ends"].mapped(path))
    names = tuple(facts["names"])
    if len(ends_N) - 1 != len(names):
        raise ArtifactError(f"{path} holds {len(ends_N) - 1} bitstreams for {len(names)} frames")
    return StoredBitstreams(
        StoredStreams(path, places["bytes"].offset, ends_N), names, facts["coder"]
    )


# What a report needs of bitstreams and frames


@dataclass(frozen=True)
class Sent:
    """What a report shows of one model's bitstreams."""

    levels: Mapping[str, float]
    """See `coding.statistics.LevelStatistics`; empty without a lossless point."""
    tile_HW: np.ndarray
    """Integers: the levels of the first frame at the first point, as the codecs see them."""
    sizes: Mapping[str, int]
    """codec -> bytes of the first frame."""


def write_sent(path: Path, sent: Sent) -> None:
    """Write what a report shows of one model's bitstreams."""
    facts = {"levels": dict(sent.levels), "sizes": dict(sent.sizes)}
    _write_arrays(path, {"tile": sent.tile_HW}, facts, deflate=True)


def read_sent(path: Path) -> Sent:
    """Read what a report shows of one model's bitstreams."""
    arrays, facts = _read_arrays(path)
    return Sent(facts["levels"], arrays["tile"], facts["sizes"])


class FrameFacts(NamedTuple):
    """What a report says of the frames."""

    trained: int
    """Number of frames to train on."""
    tested: int
    """Number of frames to test on."""
    pixels: int
    """Of a frame."""
    trivial: dict[str, float]
    """task -> score of a prediction that knows the training set alone."""


# Evaluations


@dataclass(frozen=True)
class Evaluation:
    """Per-image sums of one model, from which every score can be computed again."""

    points: Mapping[str, Coded]
    """codec -> all images coded by it."""
    elements: int
    """Feature elements per image, C h w."""
    names: tuple[str, ...]
    """Of the frames."""
    uncompressed: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    """task -> sums of the float features, neither quantised nor coded."""
    pictures: Mapping[str, Coded] = field(default_factory=dict)
    """JPEG quality -> the whole network run on the picture so coded."""
    coders: Mapping[str, str] = field(default_factory=dict)
    """codec -> name and version of the program that coded for it."""
    made_of: Mapping[str, str] = field(default_factory=dict)
    """Path of a file that it was made of -> SHA-256 of its bytes."""


def write_evaluation(path: Path, evaluation: Evaluation) -> None:
    """Write the per-image sums of one model."""
    groups = {"points": evaluation.points, "pictures": evaluation.pictures}
    arrays = {
        f"uncompressed/{task}/{name}": array
        for task, sums in evaluation.uncompressed.items()
        for name, array in sums.items()
    }
    for group, points in groups.items():
        for point, coded in points.items():
            arrays[f"{group}/{point}/header"] = coded.header_N
            arrays[f"{group}/{point}/payload"] = coded.payload_N
            for task, sums in coded.sums.items():
                arrays |= {f"{group}/{point}/{task}/{name}": x for name, x in sums.items()}
    facts = {
        "elements": evaluation.elements,
        "names": evaluation.names,
        "coders": dict(evaluation.coders),
        "made_of": dict(evaluation.made_of),
    }
    _write_arrays(path, arrays, facts, deflate=True)


def read_evaluation(path: Path) -> Evaluation:
    """Read the per-image sums of one model."""
    return _evaluation(path, *_read_arrays(path))


def join_evaluations(parts: Sequence[Path], folder: Path) -> Evaluation:
    """Return the sums of all images from the files of their shards, in order.

    They stay on disk, memory-mapped, in files that are made in `folder`. What is said of all images
    alike is that of the first shard.
    """
    folder.mkdir(exist_ok=True)
    names: list[str] = []
    first, facts = _read_arrays(parts[0])
    kinds = {key: (array.dtype, array.shape[1:]) for key, array in first.items()}
    del first
    for number, part in enumerate(parts):
        arrays, noted = _read_arrays(part)
        names += noted["names"]
        for place, key in enumerate(kinds):
            with (folder / str(place)).open("ab" if number else "wb") as file:
                file.write(np.ascontiguousarray(arrays[key]).data)
    mapped = {
        key: np.memmap(folder / str(place), dtype, "r", shape=(len(names), *shape))
        for place, (key, (dtype, shape)) in enumerate(kinds.items())
    }
    facts["names"] = names
    return _evaluation(parts[0], mapped, facts)


def _evaluation(
    path: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]
) -> Evaluation:
    tree = _tree(path, arrays)

    def coded(group: str) -> dict[str, Coded]:
        of_point = {}
        for point in tree.group(group):
            branch = tree.group(group).group(point)
            sums = {task: sums for task, sums in branch.items() if isinstance(sums, dict)}
            of_point[point] = Coded(
                branch["header"], branch["payload"], _Entries(path, sums, branch.above)
            )
        return _Entries(path, of_point, f"{group}/")

    return Evaluation(
        points=coded("points"),
        elements=facts["elements"],
        names=tuple(facts["names"]),
        uncompressed=tree.group("uncompressed"),
        pictures=coded("pictures"),
        coders=facts["coders"],
        made_of=facts["made_of"],
    )


def _tree(path: Path, arrays: Mapping[str, np.ndarray]) -> _Entries:
    """Return arrays by the parts of their names: what is `a/b` in the file is `["a"]["b"]`."""
    tree = _Entries(path, {})
    for key, array in arrays.items():
        *above, last = key.split("/")
        branch = tree
        for part in above:
            branch = branch.setdefault(part, branch.group(part))
        branch[last] = array
    return tree


def write_examples(path: Path, examples: Examples) -> None:
    """Write the example pictures of one model."""
    arrays = {"image": examples.image_BHW3}
    arrays |= {f"truth/{task}": x for task, x in examples.truths.items()}
    arrays |= {
        f"prediction/{codec}/{task}": x
        for codec, tasks in examples.predictions.items()
        for task, x in tasks.items()
    }
    _write_arrays(
        path, arrays, {"names": examples.names, "legends": examples.legends}, deflate=True
    )


def read_examples(path: Path) -> Examples:
    """Read the example pictures of one model."""
    arrays, facts = _read_arrays(path)
    tree = _tree(path, arrays)
    return Examples(
        names=tuple(facts["names"]),
        image_BHW3=tree["image"],
        truths=tree.group("truth"),
        predictions=tree.group("prediction"),
        legends={
            task: tuple((words, tuple(colour)) for words, colour in legend)
            for task, legend in facts["legends"].items()
        },
    )


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write the training of a model; a value that an epoch does not have is an empty cell."""
    columns = dict.fromkeys(key for row in rows for key in row)
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_history(name: ModelName) -> "pd.DataFrame":
    """Read the training of a model, one row per epoch."""
    import pandas as pd

    try:
        return pd.read_csv(history_file(name))
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"{history_file(name)} cannot be read: {error}; run `dvc repro`"
        ) from error


def read_json(path: Path) -> Any:
    """Read a JSON file that a stage has written."""
    try:
        return _parsed(path, path.read_text())
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}; run `dvc repro`") from error


def _parsed(path: Path, text: str) -> Any:
    """Return what JSON text from a file says; its objects name the file if they lack an entry."""
    return json.loads(text, object_hook=lambda entries: _Entries(path, entries))


# What was made of what


def hashes(paths: Iterable[Path]) -> dict[str, str]:
    """Return path -> SHA-256 of the bytes of each file."""
    found = {}
    for path in paths:
        with path.open("rb") as file:
            found[str(path)] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def check_made_of(made_of: Mapping[Path, Mapping[str, str]]) -> None:
    """Raise ArtifactError unless files were made of the files that are there now.

    made_of: file -> path of a file that it was made of -> SHA-256 noted then. A file that several
    were made of is read once. For a file that stayed on another machine, `LEFT_FILE` has its hash.
    The paths were written by whoever made the files, so none may lead out of the folder.
    """
    sources = {Path(source) for noted in made_of.values() for source in noted}
    for file, noted in made_of.items():
        for path in map(Path, noted):
            if path.is_absolute() or ".." in path.parts:
                raise ArtifactError(
                    f"{file} says that it was made of {path}, which is outside of this folder; "
                    "run `dvc repro` to make it again"
                )
    now = read_json(LEFT_FILE) if LEFT_FILE.is_file() else {}
    now |= hashes(path for path in sources if path.is_file())
    for file, noted in made_of.items():
        for source, then in noted.items():
            if source not in now:
                raise ArtifactError(f"{file} was made of {source}, which is gone; run `dvc repro`")
            if now[source] != then:
                raise ArtifactError(
                    f"{file} was made of another {source} than the one there is now; run "
                    "`dvc repro` to make it again"
                )


NOTES = "notes"
"""The entry of a file's metadata that holds everything but its arrays, as JSON."""


_KINDS = {"float32": "F32", "int64": "I64", "uint8": "U8"}
"""What safetensors calls the types of arrays that are written a shard at a time."""


def _header(
    tensors: Mapping[str, tuple[np.dtype, Sequence[int]]], facts: Mapping[str, Any]
) -> bytes:
    """Return what stands before the arrays in a file, the same bytes as `_write_arrays` gives.

    The arrays follow it end to end, those of larger values first, then by name.
    """
    notes = json.dumps({"facts": facts, "order": list(tensors)})
    entries: dict[str, Any] = {"__metadata__": {NOTES: notes}}
    end = 0
    for key, (dtype, shape) in sorted(tensors.items(), key=lambda x: (-x[1][0].itemsize, x[0])):
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        kind = _KINDS[dtype.name]
        entries[key] = {"dtype": kind, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


class _Place(NamedTuple):
    """Where an array lies in a file."""

    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int
    """Of its first byte in the file."""

    def mapped(self, path: Path) -> np.ndarray:
        """Return the array memory-mapped; an empty one cannot be."""
        if not math.prod(self.shape):
            return np.empty(self.shape, self.dtype)
        return np.memmap(path, self.dtype, "r", self.offset, self.shape)


def _places(path: Path) -> tuple[_Entries, _Entries]:
    """Return where the arrays of a file lie that are not deflated, and its facts."""
    dtype_of = {kind: np.dtype(name) for name, kind in _KINDS.items()}
    try:
        with safe_open(path, "numpy") as file:  # which checks that the file is whole
            notes = _parsed(path, (file.metadata() or {})[NOTES])
        with path.open("rb") as raw:
            size = int.from_bytes(raw.read(8), "little")
            entries = json.loads(raw.read(size))
        places = {
            key: _Place(
                dtype_of[entries[key]["dtype"]],
                tuple(entries[key]["shape"]),
                8 + size + entries[key]["data_offsets"][0],
            )
            for key in notes["order"]
        }
        return _Entries(path, places), notes["facts"]
    except ArtifactError:
        raise
    except (OSError, SafetensorError, LookupError, ValueError, TypeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ArtifactError:
    return ArtifactError(f"{path} is missing or damaged: {error}; run `dvc repro` to make it again")


def _write_arrays(
    path: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], *, deflate: bool = False
) -> None:
    """Write arrays and facts. deflate: counts that are mostly 0 shrink to a tenth."""
    # The format sorts its tensors, so their order travels beside them.
    notes: dict[str, Any] = {"facts": facts, "order": list(arrays)}
    if deflate:
        notes["deflated"] = {key: [array.dtype.str, array.shape] for key, array in arrays.items()}
        arrays = {key: _deflated(array) for key, array in arrays.items()}
    else:
        arrays = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    with whole_file(path) as part:
        # One entry: the format writes several in another order each time, and so in other bytes.
        save_file(arrays, part, metadata={NOTES: json.dumps(notes)})


def _read_arrays(path: Path) -> tuple[_Entries, _Entries]:
    try:
        with safe_open(path, "numpy") as file:
            notes = _parsed(path, (file.metadata() or {})[NOTES])
            arrays = {key: file.get_tensor(key) for key in notes["order"]}
        for key, (kind, shape) in notes.get("deflated", {}).items():
            arrays[key] = _inflated(arrays[key], np.dtype(kind), shape)
        return _Entries(path, arrays), notes["facts"]
    except ArtifactError:
        raise
    # What the notes hold may be of any type.
    except (OSError, SafetensorError, LookupError, ValueError, TypeError, zlib.error) as error:
        raise _damaged(path, error) from error


def _deflated(array: np.ndarray) -> np.ndarray:
    """Return an array as deflated bytes: all first bytes of its values, then all second ones."""
    packer, packed = zlib.compressobj(), bytearray()
    for place in range(array.itemsize):
        for part in chunks(array):
            values = np.ascontiguousarray(part).reshape(-1).view(np.uint8)
            packed += packer.compress(values[place :: array.itemsize].tobytes())
    return np.frombuffer(packed + packer.flush(), np.uint8)


def _inflated(data: np.ndarray, dtype: np.dtype, shape: Sequence[int]) -> np.ndarray:
    """Return the array that was deflated; raise ValueError if it has not the size that is noted."""
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or size < 0:
        raise ValueError(f"an array of shape {tuple(shape)} and type {dtype}")
    # No more than what is noted is inflated, whatever the bytes would give; 0 would be no limit.
    plain = zlib.decompressobj().decompress(data.tobytes(), size + 1)
    if len(plain) != size:
        raise ValueError(f"an array of shape {tuple(shape)} and type {dtype} has not {size} bytes")
    planes = np.frombuffer(plain, np.uint8).reshape(dtype.itemsize, -1)
    return np.ascontiguousarray(planes.T).view(dtype).reshape(shape)
