"""The sections of params.yaml as frozen records.

`parse` checks the whole file before any work starts: an unknown or missing key, a wrong type, a
value out of range is one `ParamsError` that names the key, the value and what is allowed.
"""

import sys
import types
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)


class ParamsError(ValueError):
    """A setting that cannot be used."""


class Rule(NamedTuple):
    """What a value must satisfy beyond its type, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


Count = Annotated[int, Rule("a whole number of at least 1", lambda x: x >= 1)]
Seed = Annotated[int, Rule("a whole number of at least 0", lambda x: x >= 0)]
Positive = Annotated[float, Rule("a number above 0", lambda x: x > 0)]
Bits = Annotated[int, Rule("a whole number of 1 to 16", lambda x: 1 <= x <= 16)]
Share = Annotated[float, Rule("a number above 0 and below 1", lambda x: 0 < x < 1)]
Percent = Annotated[float, Rule("a number from 0 up to 100", lambda x: 0 <= x < 100)]
Quality = Annotated[int, Rule("a whole number of 1 to 100", lambda x: 1 <= x <= 100)]
# Of fewer draws the ends of an interval are single draws.
Resamples = Annotated[int, Rule("a whole number of at least 100", lambda x: x >= 100)]
Name = Annotated[str, Rule("a name that is not empty", lambda x: bool(x.strip()))]


@dataclass(frozen=True)
class Data:
    root: Name
    width: Count
    height: Count


@dataclass(frozen=True)
class Streets:
    seed: Seed
    train: Count
    val: Count
    width: Count
    height: Count


@dataclass(frozen=True)
class Model:
    weights: Name


@dataclass(frozen=True)
class Quantizer:
    bits: Bits


@dataclass(frozen=True)
class Loss:
    rate: bool
    rate_of: Literal["levels", "features"]
    prediction: bool
    transform: bool
    weight: Literal["learned"] | Positive
    balance: Literal["adam-step", "adam-epoch", "closed-form", "fixed"]
    balance_learning_rate: Positive
    initial_weight: Positive


@dataclass(frozen=True)
class Train:
    launcher: Name
    epochs: Count
    batch: Count
    learning_rate: Positive
    decay_power: Positive
    noise: Literal["half-step", "fixed", "none"]
    noise_bits: Bits
    noise_amplitude: Positive
    validate_every: Count
    precision: Literal["auto", "float32", "bfloat16"]
    compile: Literal["auto", "on", "off"]
    device: Literal["auto", "cpu", "cuda"]
    checkpoint_minutes: Positive


@dataclass(frozen=True)
class Tracking:
    enabled: bool
    experiment: Name


@dataclass(frozen=True)
class Report:
    bd_method: Literal["cubic", "pchip", "akima"]
    resamples: Resamples
    level: Share
    joint_loss: Percent
    picture_qualities: tuple[Quality, ...]
    examples: Count


@dataclass(frozen=True)
class Params:
    """All of params.yaml."""

    encoders: tuple[str, ...]
    seeds: tuple[Seed, ...]
    codecs: tuple[str, ...]
    tasks: tuple[str, ...]
    data: Data
    streets: Streets
    model: Model
    quantizer: Quantizer
    loss: Loss
    train: Train
    tracking: Tracking
    report: Report


Record = TypeVar("Record")


def parse(values: object) -> Params:
    """The settings from a mapping as YAML gives it; raises `ParamsError`."""
    params = _record(Params, values, "")
    for key in ("encoders", "seeds", "codecs", "tasks"):
        entries = getattr(params, key)
        if not entries:
            raise ParamsError(f"{key} is empty: name at least one")
        _check_once(key, entries)
    _check_once("report.picture_qualities", params.report.picture_qualities)
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
    """A record as one level of dotted keys: {"loss.rate": True, ...}."""
    result: dict[str, object] = {}

    def visit(prefix: str, value: object) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                visit(f"{prefix}.{key}" if prefix else str(key), inner)
        else:
            result[prefix] = list(value) if isinstance(value, tuple) else value

    visit("", asdict(params))  # type: ignore[call-overload]
    return result


def _record(kind: type[Record], values: object, where: str) -> Record:
    if not isinstance(values, Mapping):
        raise ParamsError(f"{where or 'params.yaml'} must hold keys and values, not {values!r}")
    hints = get_type_hints(kind, include_extras=True)
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    dotted = {name: f"{where}.{name}" if where else name for name in known}
    for key in values:
        if key not in known:
            name = f"{where}.{key}" if where else str(key)
            raise ParamsError(f"{name} is not a setting; allowed here: {', '.join(known)}")
    for name in known:
        if name not in values:
            raise ParamsError(f"{dotted[name]} is missing; allowed: {_words(hints[name])}")
    return kind(**{name: _value(hints[name], values[name], dotted[name]) for name in known})


def _value(kind: Any, value: object, key: str) -> Any:
    if is_dataclass(kind):
        return _record(kind, value, key)  # type: ignore[arg-type]
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise ParamsError(f"{key} is {value!r}; allowed: a list")
        entry = get_args(kind)[0]
        return tuple(_value(entry, x, f"{key}[{i}]") for i, x in enumerate(value))
    if not _fits(kind, value):
        raise ParamsError(f"{key} is {value!r}; allowed: {_words(kind)}")
    return float(value) if _is_number(value) and _wants_float(kind) else value  # type: ignore[arg-type]


def _fits(kind: Any, value: object) -> bool:
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *rules = get_args(kind)
        return _fits(inner, value) and all(rule.holds(value) for rule in rules)
    if origin is Literal:
        return any(value == x and type(value) is type(x) for x in get_args(kind))
    if origin in (Union, types.UnionType):
        return any(_fits(x, value) for x in get_args(kind))
    if kind is float:
        return _is_number(value)
    return type(value) is kind


def _is_number(value: object) -> bool:
    # bool is an int to Python, but `learning_rate: true` is a slip of the pen.
    return type(value) in (int, float) and abs(value) <= sys.float_info.max  # type: ignore[arg-type]


def _wants_float(kind: Any) -> bool:
    return kind is float or any(_wants_float(x) for x in get_args(kind))


def _words(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Annotated:
        return ", ".join(rule.words for rule in get_args(kind)[1:])
    if origin is Literal:
        return ", ".join(str(x) for x in get_args(kind))
    if origin in (Union, types.UnionType):
        return " or ".join(_words(x) for x in get_args(kind))
    if is_dataclass(kind):
        return "a section with " + ", ".join(f.name for f in fields(kind))
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return words.get(kind, "a list")
