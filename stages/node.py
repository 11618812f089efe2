"""One model of a grid on a compute node: its settings, its training, what is measured of it.

For `stages.one_gpu`. It starts with torch, torchvision, numpy, Pillow and safetensors alone.
"""

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from pipeline.artifacts import (
    Bitstreams,
    ModelName,
    diagnostics_file,
    evaluation_folder,
    examples_file,
    hashes,
    history_file,
    model_folder,
    streams_file,
    sums_file,
    weights_file,
    write_diagnostics,
    write_evaluation,
    write_examples,
    write_history,
    write_run_id,
    write_streams,
)
from pipeline.coding.codecs import find_codec
from pipeline.coding.points import Point, read_point
from pipeline.data.batches import Batches
from pipeline.inference import edge
from pipeline.inference.export import export
from pipeline.shards import digest, work_folder
from pipeline.training.checkpoint import Checkpoints, save_model
from pipeline.training.device import Runtime
from pipeline.training.loop import fit
from pipeline.training.state import Row
from stages.kept import note_sent
from stages.measure import evaluate
from stages.models import open_model
from stages.recipe import (
    description,
    new_net,
    noise_of,
    objective_of,
    relevant_settings,
    schedule_of,
)

if TYPE_CHECKING:
    from pipeline.params import Params

ROOT = Path(__file__).parents[1]
Settings = Mapping[str, Any]
"""All settings, flat: `train.epochs` and so on."""


class GridError(ValueError):
    """A grid that cannot be run as it was asked for."""


def read_settings(path: Path, changes: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a TOML file with changes such as `train.epochs=3`, flat.

    Raises GridError for a file that cannot be read, and for a change of a key that the file does
    not have or to a value of another kind. The allowed values are checked by the report.
    """
    try:
        settings = flat(tomllib.loads(path.read_text()))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise GridError(f"{path} cannot be read: {error}") from error
    for change in changes:
        key, _, text = change.partition("=")
        if key not in settings:
            raise GridError(f"{key} is not a setting; allowed: {', '.join(settings)}")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        kind = type(settings[key])
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise GridError(f"{key} is {value!r}; allowed: a value like {settings[key]!r}")
        settings[key] = value
    return settings


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return settings as one level of dotted keys."""
    result: dict[str, Any] = {}
    for key, value in nested.items():
        whole = {f"{prefix}{key}": value}
        result |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else whole
    return result


def nest(settings: Settings) -> dict[str, Any]:
    """Return settings in their sections, as params.yaml has them."""
    result: dict[str, Any] = {}
    for key, value in settings.items():
        *sections, last = key.split(".")
        place = result
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return result


def as_params(settings: Settings) -> "Params":
    """Return settings with the attributes of `pipeline.params`, which needs pydantic."""
    text = json.dumps(nest(settings))
    return cast("Params", json.loads(text, object_hook=lambda x: SimpleNamespace(**x)))


@dataclass(frozen=True)
class Node:
    """What all models of a grid share."""

    train: Batches
    val: Batches
    training: Runtime
    """In which models are trained."""
    exact: Runtime
    """In which they are measured: float32, not compiled."""
    data: str
    """Digest of the frames, for the names of checkpoints."""
    checkpoints: Path
    """Folder of the checkpoints."""


def train(
    node: Node,
    name: ModelName,
    settings: Settings,
    on_epoch: Callable[[Row], None] = lambda row: None,
) -> None:
    """Train one model, or go on with it, and write its folder; nothing if that is there."""
    if history_file(name).is_file():
        return
    decisive = relevant_settings(settings, name.arm)
    params = as_params({**settings, "model.file": str(ROOT / settings["model.file"])})
    checkpoints = Checkpoints(
        checkpoint_file(node, name, params, decisive), params.train.checkpoint_minutes
    )
    net = new_net(name, params)
    history = fit(
        net,
        objective_of(name, params),
        node.train,
        node.val,
        schedule=schedule_of(params),
        surrogate=noise_of(params),
        runtime=node.training,
        seed=name.seed,
        checkpoints=checkpoints,
        on_epoch=on_epoch,
    )
    save_model(model_folder(name), net, description(name, params, decisive, node.training))
    write_run_id(model_folder(name), None)
    # Last, because it says that the model is there.
    write_history(history_file(name), history)
    checkpoints.done()


def checkpoint_file(node: Node, name: ModelName, params: "Params", decisive: Settings) -> Path:
    """Return where a training is kept while it runs: a name for all that it depends on."""
    rooms = ("training", "nets", "data", "coding", "scoring")
    code = [file for room in rooms for file in (ROOT / "pipeline" / room).glob("*.py")]
    code += [ROOT / "stages" / file for file in ("node.py", "recipe.py")]
    weights = [Path(params.model.file)] if params.model.weights == "file" else []
    key = digest({"model": name, "data": node.data, **decisive}, [*code, *weights])
    return node.checkpoints / f"{name}-{key}.pt"


def points_of(settings: Settings) -> dict[str, Point]:
    """Return the points of the curve by name."""
    return {x: read_point(x, settings["quantizer.bits"]) for x in settings["codecs"]}


def measure(node: Node, name: ModelName, settings: Settings) -> None:
    """Export, encode and evaluate one model; nothing if its sums are there.

    Features stay in memory, bitstreams are written. Example pictures are kept of the first seed's
    models alone, the only ones that a report shows.
    """
    if sums_file(name).is_file():
        return
    net = open_model(name, settings["tasks"]).to(node.exact.device)
    features_NChw, rate_loss = export(net, node.val)
    write_diagnostics(diagnostics_file(name), rate_loss, hashes([weights_file(name)]))
    for title, (codec, bits) in points_of(settings).items():
        streams = edge.encode(features_NChw, bits, codec, settings["quantizer.keep"])
        coded = Bitstreams(streams, node.val.frames.names, find_codec(codec).coder)
        write_streams(streams_file(name, title), coded)
    files = [weights_file(name), *(streams_file(name, title) for title in points_of(settings))]
    key = digest({"data": node.data, **settings}, files)
    with work_folder(node.checkpoints / f"evaluate-{name}-{key}") as work:
        evaluation, examples = evaluate(
            name,
            net,
            node.val,
            points=points_of(settings),
            examples=settings["report.examples"],
            qualities=settings["report.picture_qualities"],
            work=work,
        )
        if name.seed == settings["seeds"][0]:
            write_examples(examples_file(name), examples)
        note_sent(name, settings["codecs"], settings["quantizer.bits"])
        write_run_id(evaluation_folder(name), None)
        # Last, because it says that the model is measured.
        write_evaluation(sums_file(name), evaluation)
