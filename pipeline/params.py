"""The sections of params.yaml as frozen records.

`parse` checks the whole file before any work starts: an unknown or missing key, a wrong type, a
value out of range is one `ParamsError` that names the key, the value and what is allowed.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from operator import attrgetter
from typing import Annotated, Literal, get_type_hints

from pydantic import ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass


class ParamsError(ValueError):
    """A setting that cannot be used."""


Count = Annotated[int, Strict(), Field(ge=1)]
Seed = Annotated[int, Strict(), Field(ge=0)]
Positive = Annotated[float, Strict(), Field(gt=0)]
Bits = Annotated[int, Strict(), Field(ge=1, le=16)]
Share = Annotated[float, Strict(), Field(gt=0, lt=1)]
Quality = Annotated[int, Strict(), Field(ge=1, le=100)]
Percent = Annotated[float, Strict(), Field(ge=0, lt=100)]
Part = Annotated[float, Strict(), Field(ge=0.1, le=100)]
# Of fewer draws the ends of an interval are single draws.
Resamples = Annotated[int, Strict(), Field(ge=100)]
Kept = Annotated[float, Strict(), Field(gt=50, le=100)]
Name = Annotated[str, Strict(), Field(pattern=r"\S")]
Text = Annotated[str, Strict()]
Flag = Annotated[bool, Strict()]

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
class Entropy:
    components: Count
    weight: Positive
    learning_rate: Positive
    step: Positive
    rounding: Literal["noise", "straight-through"]
    freeze_encoder: Flag
    codecs: tuple[Text, ...]


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
class Pictures:
    codecs: tuple[Text, ...]
    seeds: tuple[Seed, ...]
    qualities: tuple[Quality, Quality]


@record
class Evaluate:
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
    arms: tuple[Text, ...]
    seeds: tuple[Seed, ...]
    codecs: tuple[Text, ...]
    tasks: tuple[Text, ...]
    data: Data
    streets: Streets
    model: Model
    quantizer: Quantizer
    loss: Loss
    entropy: Entropy
    balance: Balance
    train: Train
    machine: Machine
    tracking: Tracking
    pictures: Pictures
    evaluate: Evaluate
    report: Report


NOT_EMPTY = (
    *("encoders", "arms", "seeds", "codecs", "tasks", "entropy.codecs"),
    "report.max_task_drops",
)


def parse(values: object) -> Params:
    """Return the settings from a mapping as YAML gives it; raises `ParamsError`."""
    try:
        params = TypeAdapter(Params).validate_python(values)
    except ValidationError as error:
        raise ParamsError(_message(error)) from None
    for key in NOT_EMPTY:
        entries = attrgetter(key)(params)
        if not entries:
            raise ParamsError(f"{key} is empty: name at least one")
        _check_once(key, entries)
    if params.data.tuning and not params.data.tuning_cities:
        raise ParamsError("data.tuning_cities is empty: name at least one city to tune on")
    _check_once("data.tuning_cities", params.data.tuning_cities)
    _check_once("pictures.codecs", params.pictures.codecs)
    _check_once("pictures.seeds", params.pictures.seeds)
    if others := sorted(set(params.pictures.seeds) - set(params.seeds)):
        raise ParamsError(
            f"pictures.seeds names {others[0]}; allowed: seeds that every arm has, which are "
            f"{', '.join(map(str, params.seeds))} (seeds)"
        )
    if params.pictures.seeds and not params.pictures.codecs:
        raise ParamsError("pictures.codecs is empty, but pictures.seeds asks for networks of them")
    lowest, highest = params.pictures.qualities
    if lowest > highest:
        raise ParamsError(
            f"pictures.qualities is [{lowest}, {highest}]; allowed: the lowest quality first"
        )
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


def flat(params: Params) -> dict[str, object]:
    """Return the settings as one level of dotted keys: {"loss.rate": True, ...}."""
    result: dict[str, object] = {}
    for name, section in asdict(params).items():  # type: ignore[call-overload]
        if isinstance(section, dict):
            result |= {f"{name}.{key}": value for key, value in section.items()}
        else:
            result[name] = section
    return {k: list(x) if isinstance(x, tuple) else x for k, x in result.items()}


def _message(error: ValidationError) -> str:
    """Return what is wrong with the first wrong setting, where, and what is allowed."""
    first, *others = error.errors(include_url=False)
    key = _key(first["loc"])
    if first["type"] == "unexpected_keyword_argument":
        section = get_type_hints(Params)[key.split(".")[0]] if "." in key else Params
        allowed = ", ".join(get_type_hints(section))
        return f"{key} is not a setting; allowed here: {allowed}"
    if first["type"] == "missing":
        return f"{key} is missing"
    # A setting that may be of two types has an error of each.
    rules = [first["msg"], *(x["msg"] for x in others if _key(x["loc"]) == key)]
    return f"{key} is {first['input']!r}. {', or: '.join(rules).replace('tuple', 'list')}"


def _key(loc: Sequence[int | str]) -> str:
    """Return a setting as `loss.weight` or `seeds[1]`; pydantic adds the type that it has tried."""
    names = ".".join(str(x) for x in loc[:2] if isinstance(x, str))
    return (names or "params.yaml") + "".join(f"[{x}]" for x in loc if isinstance(x, int))
