"""Every file that passes between stages: its name, its record, how it is read and written.

Paths are relative to the root of the repository (or of a temporary experiment). A file under its
final name is complete. All formats are open ones: `.npy`, `.npz`, `.safetensors`, `.zip`, JSON and
CSV. A large array is written and read a few rows at a time.
"""

import hashlib
import json
import math
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from pipeline.files import whole_file

if TYPE_CHECKING:  # stages that read no table must not wait for pandas
    import pandas as pd

ARMS = ("benchmark", "proposed", "entropy")
"""Trained without the rate term, with it, and with a learned entropy model; every comparison is
against the first."""
PICTURE_ARM = "picture"
"""A benchmark that is trained on coded pictures: the rival of all arms, which sends no features."""
ARM_COLOURS = {"benchmark": "#0072B2", "proposed": "#D55E00", "entropy": "#009E73"}
ARM_COLOURS[PICTURE_ARM] = "#CC79A7"
"""Of Okabe and Ito's colour-blind-safe colours, wherever an arm is drawn."""

STREETS_FOLDER = Path("data/streets")
"""The built-in data set, in the official layout."""
PREPARED_FOLDER = Path("data/prepared")
SPLITS = ("train", "val")
REPORT_FOLDER = Path("reports")
LOCK_FILE = Path("dvc.lock")
PICTURES_FOLDER = Path("streams/pictures")
"""The validation set's pictures themselves, coded: a file for each codec of pictures."""
STREAM_SUFFIX = ".cfs"
SUMS, FACTS, EXAMPLES = "sums.npz", "evaluation.json", "examples.npz"
"""The files of an evaluation."""
HISTORY = "history.csv"
"""The table of a training, in the folder of the model and, copied, in that of its evaluation."""
ROWS = 64
"""Rows of a large array that are read at once: 32 MiB of Encoder2's features of 512x256 frames."""


class ArtifactError(ValueError):
    """A file from an earlier stage that is missing or damaged."""


class ModelName(NamedTuple):
    """What tells one trained model from another; as text `<encoder>-<arm>-<seed>`."""

    encoder: str
    arm: str
    seed: int

    def __str__(self) -> str:
        return f"{self.encoder}-{self.arm}-{self.seed}"


def prepared_folder(split: str) -> Path:
    """Return the folder of the frames of `train` or `val`, as arrays."""
    return PREPARED_FOLDER / split


def model_folder(name: ModelName) -> Path:
    """Return the folder of a trained model: `weights_file`, model.json and history.csv."""
    return Path("models") / str(name)


def weights_file(name: ModelName) -> Path:
    """Return the file of a trained model's weights."""
    return model_folder(name) / "model.safetensors"


def history_file(name: ModelName) -> Path:
    """Return the table of a model's training, which has a row for each epoch."""
    return model_folder(name) / HISTORY


def fitted_file(name: ModelName) -> Path:
    """Return the file of the tables and transforms that a model's edge and cloud share."""
    return Path("fitted") / f"{name}.npz"


def features_file(name: ModelName) -> Path:
    """Return the file of the validation set's features, as the edge half puts them out."""
    return Path("features") / f"{name}.npy"


def diagnostics_file(name: ModelName) -> Path:
    """Return the file of what is measured on those features: see `Diagnostics`."""
    return Path("diagnostics") / f"{name}.npz"


def streams_folder(name: ModelName) -> Path:
    """Return the folder of the validation set's bitstreams, which has a file for each point."""
    return Path("streams") / str(name)


def streams_file(name: ModelName, point: str) -> Path:
    """Return the file of the bitstreams at one point of a curve, `table_1.2.zip` of `table/1.2`."""
    return streams_folder(name) / f"{point.replace('/', '_')}.zip"


def pictures_file(codec: str) -> Path:
    """Return the file of the validation set's pictures, coded by such as `jpeg-90`."""
    return PICTURES_FOLDER / f"{codec}.zip"


def evaluation_folder(name: ModelName) -> Path:
    """Return the folder of an evaluated model: `sums_file`, `FACTS`, `EXAMPLES`, `HISTORY`."""
    return Path("evaluation") / str(name)


def sums_file(name: ModelName) -> Path:
    """Return the file of an evaluated model's per-image sums."""
    return evaluation_folder(name) / SUMS


def times_file(encoder: str, arm: str) -> Path:
    """Return the file of how long a frame takes: milliseconds, of the first seed."""
    return Path("times") / f"{encoder}-{arm}.json"


def digest(path: Path) -> str:
    """Return the first 32 hex digits of a file's SHA-256: the tag `artifact` of its MLflow run."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


# Arrays


@contextmanager
def array_writer(
    path: Path, shape: Sequence[int], dtype: type[np.generic]
) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that appends rows to an `.npy` file, which is whole once all are written.

    The array is not memory-mapped: mapped pages would count as memory of this process, and a full
    disk would be a bus error instead of an exception. Raises ValueError if there are more or fewer
    rows than `shape` says.
    """
    head = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": tuple(shape)}
    with whole_file(path) as part, part.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, head)
        end = file.tell() + math.prod(shape) * np.dtype(dtype).itemsize

        def write(rows: np.ndarray) -> None:
            file.write(np.ascontiguousarray(rows, dtype).data)

        yield write
        if file.tell() != end:
            raise ValueError(f"{path} was to have {shape[0]} rows and was given more or fewer")


def array_rows(path: Path) -> Iterator[np.ndarray]:
    """Yield an `.npy` file `ROWS` rows at a time. Raises ArtifactError if it is damaged."""
    with _reading(path), path.open("rb") as file:
        shape, dtype = _array_head(file)
        for first in range(0, shape[0], ROWS):
            rows = (min(ROWS, shape[0] - first), *shape[1:])
            yield np.fromfile(file, dtype, math.prod(rows)).reshape(rows)


def array_shape(path: Path) -> tuple[int, ...]:
    """Return the shape of an `.npy` file. Raises ArtifactError if it is damaged."""
    with _reading(path), path.open("rb") as file:
        return _array_head(file)[0]


def _array_head(file: Any) -> tuple[tuple[int, ...], np.dtype]:
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it is of another version of the format")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    if by_columns or dtype.hasobject or min(shape, default=-1) < 0:
        raise ValueError("it does not hold rows of numbers")
    # A head that promises more than there is must not ask for memory.
    size, told = os.fstat(file.fileno()).st_size - file.tell(), math.prod(shape) * dtype.itemsize
    if size != told:
        raise ValueError(f"it holds {size} bytes of numbers, and should hold {told}")
    return shape, dtype


@contextmanager
def arrays_writer(path: Path) -> Iterator[Callable[[str, np.ndarray], None]]:
    """Yield a function that adds a named array to an `.npz` file, one at a time, deflated."""
    with whole_file(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name: str, array: np.ndarray) -> None:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)

        yield add


@contextmanager
def arrays_reader(path: Path) -> Iterator[Any]:
    """Yield an open `.npz` file. What fails on it or in the block becomes an ArtifactError."""
    with _reading(path), np.load(path, allow_pickle=False) as file:
        yield file


# What is measured on the features


@dataclass(frozen=True)
class Diagnostics:
    """What is measured on the features of N images, before the quantiser; float32."""

    rate_loss_N_of: Mapping[str, np.ndarray]
    """Form of L_r (see `coding.forms`) -> L_r of each image."""
    span_N: np.ndarray
    """max - min of an image's features, in their own unit."""
    deviation_N: np.ndarray
    """Their standard deviation. Of a network that only stretches its range it falls against the
    span, and a quantiser of fewer bits would save the same."""


def write_diagnostics(path: Path, diagnostics: Diagnostics) -> None:
    """Write what was measured on the features of one model."""
    with arrays_writer(path) as add:
        for form, loss_N in diagnostics.rate_loss_N_of.items():
            add(f"rate_loss/{form}", loss_N)
        add("span", diagnostics.span_N)
        add("deviation", diagnostics.deviation_N)


def read_diagnostics(path: Path) -> Diagnostics:
    """Read what was measured on the features of one model."""
    with arrays_reader(path) as file:
        return Diagnostics(_group(file, "rate_loss"), file["span"], file["deviation"])


# Bitstreams


def write_streams(
    path: Path,
    names: Sequence[str],
    streams: Iterable[bytes],
    coder: str,
    suffix: str = STREAM_SUFFIX,
) -> int:
    """Write a bitstream for each frame into a stored zip file; return their bytes in all.

    coder: name and version of the program that made them; it is the zip file's comment. suffix: of
    the files in it; another, such as `.jpeg`, for coded pictures.
    """
    size = 0
    with whole_file(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = coder.encode()
        for name, stream in zip(names, streams, strict=True):
            # By a ZipInfo, whose date is always the same.
            archive.writestr(zipfile.ZipInfo(name + suffix), stream)
            size += len(stream)
    return size


@dataclass(frozen=True, eq=False)
class Streams(Sequence[bytes]):
    """The bitstreams of all frames at one point; each is read when it is asked for."""

    archive: zipfile.ZipFile
    names: tuple[str, ...]
    """Of the frames."""
    coder: str
    """Name and version of the program that wrote them."""
    suffix: str

    def __len__(self) -> int:
        """Return the number of bitstreams."""
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        """Read one bitstream, or some. Several threads may read at once."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        name = self.names[index]
        with _reading(Path(str(self.archive.filename))):
            return self.archive.read(name + self.suffix)


@contextmanager
def open_streams(path: Path, suffix: str = STREAM_SUFFIX) -> Iterator[Streams]:
    """Open what `write_streams` wrote. Raises ArtifactError if it is damaged."""
    with ExitStack() as stack:
        with _reading(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            coder = archive.comment.decode()
            for member in archive.infolist():
                stored = member.compress_type == zipfile.ZIP_STORED  # a deflated one has any size
                if not stored or not member.filename.endswith(suffix):
                    raise ValueError(f"{member.filename} in it is no bitstream")
        names = tuple(name.removesuffix(suffix) for name in archive.namelist())
        yield Streams(archive, names, coder, suffix)


# Evaluations

Sums = Mapping[str, np.ndarray]
"""Name of a sum (see `scoring.sums`) -> array whose first dimension is the image."""


@dataclass(frozen=True)
class Coded:
    """What N coded images cost, and the sums that their scores are made of."""

    header_N: np.ndarray
    """int64, bytes of our own header, or of a picture's container."""
    payload_N: np.ndarray
    """int64, bytes as the codec wrote them."""
    sums: Mapping[str, Sums]
    """task -> its sums over the same images."""

    @property
    def bytes_N(self) -> np.ndarray:
        """int64, bytes of each whole bitstream or file."""
        return self.header_N + self.payload_N


@dataclass(frozen=True)
class Evaluation:
    """Per-image sums of one model, from which every score can be computed again."""

    points: Mapping[str, Coded]
    """codec point -> all images coded at it."""
    pictures: Mapping[str, Coded]
    """codec of the input picture, such as `jpeg-90` -> the whole network on the picture so coded;
    of the benchmark alone."""
    uncompressed: Mapping[str, Sums]
    """task -> sums of the float features, neither quantised nor coded."""
    names: tuple[str, ...]
    """Of the frames."""
    elements: int
    """Feature elements of a frame, C h w."""
    pixels: int
    """Pixels of a frame, H W."""
    trained: int
    """Number of frames that the model was trained on."""
    floor: Mapping[str, float]
    """task -> score of a prediction that knows the training set alone."""
    coders: Mapping[str, str]
    """codec point -> name and version of the program that coded for it."""
    runtime: Mapping[str, object]
    """What the model was trained on: device, precision and so on."""
    weights: str
    """Digest of the model's weights."""


def add_coded(add: Callable[[str, np.ndarray], None], name: str, coded: Coded) -> None:
    """Add to a `sums_file` what was found at one point; `name` is such as `points/png@5`."""
    add(f"{name}/header", coded.header_N)
    add(f"{name}/payload", coded.payload_N)
    for task, sums in coded.sums.items():
        add_sums(add, f"{name}/{task}", sums)


def add_sums(add: Callable[[str, np.ndarray], None], name: str, sums: Sums) -> None:
    """Add the sums of one task to a `sums_file`."""
    for key, array in sums.items():
        add(f"{name}/{key}", array)


def read_evaluation(name: ModelName) -> Evaluation:
    """Read the evaluation of one model. Raises ArtifactError if a file is damaged."""
    facts = read_json(evaluation_folder(name) / FACTS)
    with _reading(evaluation_folder(name)), np.load(sums_file(name), allow_pickle=False) as file:
        tasks = facts["tasks"]

        def coded(point: str) -> Coded:
            sums = {task: _group(file, f"{point}/{task}") for task in tasks}
            return Coded(file[f"{point}/header"], file[f"{point}/payload"], sums)

        return Evaluation(
            points={point: coded(f"points/{point}") for point in facts["coders"]},
            pictures={codec: coded(f"pictures/{codec}") for codec in facts["pictures"]},
            uncompressed={task: _group(file, f"uncompressed/{task}") for task in tasks},
            names=tuple(facts["names"]),
            elements=facts["elements"],
            pixels=facts["pixels"],
            trained=facts["trained"],
            floor=facts["floor"],
            coders=facts["coders"],
            runtime=facts["runtime"],
            weights=facts["weights"],
        )


Legend = tuple[tuple[str, tuple[int, int, int]], ...]
"""(words, RGB 0 to 255) of each colour that means something in a task's pictures."""


@dataclass(frozen=True)
class Examples:
    """Pictures of the first B frames of the validation set; all but the tile RGB uint8, BHW3."""

    image_BHW3: np.ndarray
    """What the edge device saw."""
    truths: Mapping[str, np.ndarray]
    """task -> the truth."""
    predictions: Mapping[str, Mapping[str, np.ndarray]]
    """codec point -> task -> what came out of the decoded bitstream."""
    tile_HW: np.ndarray
    """The first frame's features as decoded at the first point, 8-bit levels in a tile."""
    legends: Mapping[str, Legend] = field(default_factory=dict)
    """task -> its legend, which is kept among the facts; empty for pictures that need none."""


def write_examples(path: Path, examples: Examples) -> None:
    """Write what there is to see of one model."""
    with arrays_writer(path) as add:
        add("image", examples.image_BHW3)
        add("tile", examples.tile_HW)
        for task, truth_BHW3 in examples.truths.items():
            add(f"truth/{task}", truth_BHW3)
        for codec, tasks in examples.predictions.items():
            for task, picture_BHW3 in tasks.items():
                add(f"prediction/{codec}/{task}", picture_BHW3)


def read_examples(name: ModelName) -> Examples:
    """Read what there is to see of one model. Raises ArtifactError if a file is damaged."""
    facts = read_json(evaluation_folder(name) / FACTS)
    path = evaluation_folder(name) / EXAMPLES
    with _reading(path.parent), np.load(path, allow_pickle=False) as file:
        return Examples(
            image_BHW3=file["image"],
            truths={task: file[f"truth/{task}"] for task in facts["tasks"]},
            predictions={x: _group(file, f"prediction/{x}") for x in facts["coders"]},
            tile_HW=file["tile"],
            legends={
                task: tuple((words, tuple(colour)) for words, colour in legend)
                for task, legend in facts["legends"].items()
            },
        )


# Tables and JSON


def read_history(name: ModelName) -> "pd.DataFrame":
    """Read the training of an evaluated model, one row per epoch."""
    import pandas as pd

    path = evaluation_folder(name) / HISTORY
    with _reading(path):
        return pd.read_csv(path)


def read_json(path: Path) -> Any:
    """Read a JSON file that a stage has written."""
    with _reading(path):
        return json.loads(path.read_text())


def _group(file: Any, name: str) -> dict[str, np.ndarray]:
    """Return the arrays `name/...` of an open `.npz` file by the rest of their names."""
    start = f"{name}/"
    found = {key.removeprefix(start): file[key] for key in file.files if key.startswith(start)}
    if not found:
        raise KeyError(f"no entry {start}...")
    return found


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever a missing or damaged file raises into an ArtifactError that names the file."""
    try:
        yield
    except (ArtifactError, MemoryError):
        raise
    except Exception as error:  # a damaged file fails in whatever way its bytes suggest
        raise ArtifactError(
            f"{path} is missing or damaged: {error}; run `dvc repro` to make it again"
        ) from error
