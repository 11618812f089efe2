"""The sections of params.yaml as frozen records.

`parse` checks the whole file before any work starts: an unknown or missing key, a wrong type, a
value out of range is one `ParamsError` that names the key, the value and what is allowed.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields, is_dataclass
from functools import partial
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic.fields import FieldInfo


class ParamsError(ValueError):
    """A setting that cannot be used."""


# A description is what an error says is allowed.
Count = Annotated[int, Strict(), Field(ge=1, description="a whole number of at least 1")]
Seed = Annotated[int, Strict(), Field(ge=0, description="a whole number of at least 0")]
Positive = Annotated[float, Strict(), Field(gt=0, description="a number above 0")]
Bits = Annotated[int, Strict(), Field(ge=1, le=16, description="a whole number of 1 to 16")]
Share = Annotated[float, Strict(), Field(gt=0, lt=1, description="a number above 0 and below 1")]
Percent = Annotated[float, Strict(), Field(ge=0, lt=100, description="a number from 0 up to 100")]
Part = Annotated[float, Strict(), Field(ge=0.1, le=100, description="a number of 0.1 to 100")]
# Of fewer draws the ends of an interval are single draws.
Resamples = Annotated[int, Strict(), Field(ge=100, description="a whole number of at least 100")]
Kept = Annotated[float, Strict(), Field(gt=50, le=100, description="a number above 50, up to 100")]
Name = Annotated[str, Strict(), Field(pattern=r"\S", description="a name that is not empty")]
Text = Annotated[str, Strict(), Field(description="text")]
Flag = Annotated[bool, Strict(), Field(description="true or false")]

record = partial(dataclass, frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))()
"""A section. Its values are never converted: `true` is no number, and `"8"` is none either."""


@record
class Data:
    root: Name
    width: Count
    height: Count
    tuning: Flag
    tuning_cities: tuple[Name, ...]


@record
class Streets:
    seed: Seed
    train: Count
    val: Count
    width: Count
    height: Count


@record
class Model:
    weights: Literal["none", "imagenet", "file"]
    file: Name
    residual_init: Literal["zero", "torch"]
    decoder_init: Literal["file", "variance", "torch"]


@record
class Quantizer:
    bits: Bits
    range_percent: Kept


@record
class Loss:
    rate: Flag
    rate_unit: Literal["levels", "features", "deviation"]
    prediction: Flag
    transform: Flag
    weight: Literal["learned"] | Positive


@record
class Balance:
    method: Literal["adam-step", "adam-epoch", "closed-form", "fixed"]
    learning_rate: Positive
    initial_weight: Positive


@record
class Train:
    epochs: Count
    batch: Count
    learning_rate: Positive
    decay_power: Positive
    noise: Literal["half-step", "fixed", "none"]
    noise_bits: Bits
    noise_amplitude: Positive
    validate_every: Count
    precision: Literal["auto", "float32", "bfloat16"]


@record
class Machine:
    device: Literal["auto", "cpu", "cuda"]
    launcher: Name
    compile: Literal["auto", "on", "off"]
    checkpoint_minutes: Positive


@record
class Tracking:
    enabled: Flag
    experiment: Name


@record
class Evaluate:
    pictures: tuple[Text, ...]
    examples: Count


@record
class Report:
    bd_points: tuple[Text, ...]
    max_score_drop: Part
    max_task_drops: tuple[Percent, ...]
    resamples: Resamples
    confidence: Share


@record
class Params:
    """All of params.yaml."""

    encoders: tuple[Text, ...]
    seeds: tuple[Seed, ...]
    codecs: tuple[Text, ...]
    tasks: tuple[Text, ...]
    data: Data
    streets: Streets
    model: Model
    quantizer: Quantizer
    loss: Loss
    balance: Balance
    train: Train
    machine: Machine
    tracking: Tracking
    evaluate: Evaluate
    report: Report


def parse(values: object) -> Params:
    """Return the settings from a mapping as YAML gives it; raises `ParamsError`."""
    try:
        params = TypeAdapter(Params).validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ParamsError(_message(first)) from None
    for key in ("encoders", "seeds", "codecs", "tasks"):
        entries = getattr(params, key)
        if not entries:
            raise ParamsError(f"{key} is empty: name at least one")
        _check_once(key, entries)
    if params.data.tuning and not params.data.tuning_cities:
        raise ParamsError("data.tuning_cities is empty: name at least one city to tune on")
    _check_once("data.tuning_cities", params.data.tuning_cities)
    _check_once("evaluate.pictures", params.evaluate.pictures)
    _check_once("report.bd_points", params.report.bd_points)
    _check_once("report.max_task_drops", params.report.max_task_drops)
    return params


def _check_once(key: str, entries: Collection[object]) -> None:
    twice = [str(entry) for entry, times in Counter(entries).items() if times > 1]
    if twice:
        raise ParamsError(f"{key} names {', '.join(twice)} more than once")


def check_names(key: str, names: Collection[str], allowed: Collection[str], words: str) -> None:
    """Raise `ParamsError` for the first name of a list that is not one of `allowed`."""
    for name in names:
        if name not in allowed:
            raise ParamsError(f"{key} names {name!r}; allowed: {words}")


def check_sizes(width: int, height: int, strides: Mapping[str, int]) -> None:
    """Raise `ParamsError` where an encoder's stride does not divide the prepared frames' size."""
    for encoder, stride in strides.items():
        for key, size in (("data.width", width), ("data.height", height)):
            if size % stride:
                raise ParamsError(
                    f"{key} is {size}, which {encoder} cannot take: it must be a multiple of its "
                    f"stride, {stride}; the nearest is {max(stride, round(size / stride) * stride)}"
                )


def flat(params: object) -> dict[str, object]:
    """Return a record as one level of dotted keys: {"loss.rate": True, ...}."""
    result: dict[str, object] = {}

    def visit(prefix: str, value: object) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                visit(f"{prefix}.{key}" if prefix else str(key), inner)
        else:
            result[prefix] = list(value) if isinstance(value, tuple) else value

    visit("", asdict(params))  # type: ignore[call-overload]
    return result


def _message(mistake: Mapping[str, Any]) -> str:
    """Return what is wrong, where, and what is allowed, from an error as pydantic has it."""
    kind: Any = Params
    path = ""
    for part in mistake["loc"]:
        known = _hints(kind)
        if isinstance(part, int):
            path, kind = f"{path}[{part}]", _bare(kind)[0]
        elif part in known:
            path, kind = f"{path}.{part}" if path else str(part), known[part]
        elif mistake["type"] in ("unexpected_keyword_argument", "invalid_key"):
            name = f"{path}.{part}" if path else str(part)
            return f"{name} is not a setting; allowed here: {', '.join(known)}"
    if mistake["type"] == "missing":
        return f"{path} is missing; allowed: {_allowed(kind)}"
    if _hints(kind):
        return f"{path or 'params.yaml'} must hold keys and values, not {mistake['input']!r}"
    return f"{path} is {mistake['input']!r}; allowed: {_allowed(kind)}"


def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True) if is_dataclass(kind) else {}


def _bare(kind: Any) -> tuple[Any, ...]:
    """Return the arguments of a type without its annotations."""
    return _bare(get_args(kind)[0]) if get_origin(kind) is Annotated else get_args(kind)


def _allowed(kind: Any) -> str:
    """Return in words what a value of this type may be."""
    if get_origin(kind) is Annotated:
        inner, *notes = get_args(kind)
        words = [x.description for x in notes if isinstance(x, FieldInfo) and x.description]
        return words[0] if words else _allowed(inner)
    if get_origin(kind) is Literal:
        return ", ".join(get_args(kind))
    if get_origin(kind) is tuple:
        return "a list"
    if is_dataclass(kind):
        return "a section with " + ", ".join(field.name for field in fields(kind))
    return " or ".join(_allowed(x) for x in get_args(kind))
