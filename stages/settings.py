"""How every stage starts: with checked settings."""

import re
from pathlib import Path
from typing import Annotated

import typer
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.artifacts import ARMS, PICTURE_ARM, STREETS_FOLDER, ModelName
from pipeline.coding.codecs import CodecError
from pipeline.coding.pictures import PictureError, read_picture_codec
from pipeline.coding.points import Point, read_point
from pipeline.nets.decoder import DECODERS
from pipeline.nets.encoder import ENCODERS
from pipeline.params import Params, ParamsError, check_names, check_sizes, parse
from stages.command_line import run as run

# Options, not arguments: DVC quotes what it hands over as `--encoder encoder2`.
Text = Annotated[str, typer.Option()]
Number = Annotated[int, typer.Option()]


def load() -> Params:
    """Return the settings of params.yaml in the working directory, checked as a whole."""
    path = Path("params.yaml")
    try:
        # YAML 1.2, as DVC writes it: there 5e-05 is a number and `on` a word.
        values = YAML(typ="safe", pure=True).load(path.read_text())
    except (OSError, YAMLError) as error:
        raise ParamsError(f"{path.absolute()} cannot be read: {error}") from error
    params = parse(values)
    check_names("encoders", params.encoders, ENCODERS, ", ".join(ENCODERS))
    check_names("tasks", params.tasks, DECODERS, ", ".join(DECODERS))
    check_names("arms", params.arms, ARMS, ", ".join(ARMS))
    if params.arms[0] != ARMS[0]:
        raise ParamsError(f"arms begin with {params.arms[0]!r}; allowed: {ARMS[0]} comes first")
    if "entropy" in params.arms:
        for encoder in params.encoders:
            channels = ENCODERS[encoder].channels
            if params.entropy.components > channels:
                raise ParamsError(
                    f"entropy.components is {params.entropy.components}; allowed: at most "
                    f"{channels}, the channels of {encoder}"
                )
    _check_points(params)
    strides = {name: ENCODERS[name].stride for name in params.encoders}
    check_sizes(params.data.width, params.data.height, strides)
    if params.data.root.startswith("~"):
        raise ParamsError(
            f"data.root is {params.data.root!r}; allowed: the whole path, which is "
            f"{Path(params.data.root).expanduser()}, since DVC knows no ~"
        )
    if Path(params.data.root) == STREETS_FOLDER:
        _check_streets(params)
    return params


def data_root(params: Params) -> Path:
    """Return the folder of the release; raise ParamsError if there is none."""
    root = Path(params.data.root)
    if not root.is_dir():
        raise ParamsError(
            f"data.root is {params.data.root!r}, but there is no such folder in {Path.cwd()}; "
            "allowed: a folder with the release, by its absolute path in a temporary experiment"
        )
    return root


def points(params: Params, arm: str) -> dict[str, Point]:
    """Return the points of an arm's curve by their names; the picture's arm has none."""
    of_arm = {"entropy": params.entropy.codecs, PICTURE_ARM: ()}
    names = of_arm.get(arm, params.codecs)
    return {name: read_point(name, params.quantizer.bits) for name in names}


def models(params: Params) -> list[ModelName]:
    """Return the models of the settings: the arms, seed by seed, then those of pictures."""
    names = [(e, a, s) for e in params.encoders for s in params.seeds for a in params.arms]
    names += [(e, PICTURE_ARM, s) for e in params.encoders for s in params.pictures.seeds]
    return [ModelName(*name) for name in names]


def _check_points(params: Params) -> None:
    for name in params.entropy.codecs:
        if not re.fullmatch("table/.*", name):
            raise ParamsError(
                f"entropy.codecs names {name!r}; allowed: a fixed step, such as table/1.5"
            )
    for key, names in (
        ("codecs", params.codecs),
        ("entropy.codecs", params.entropy.codecs),
        ("report.bd_points", params.report.bd_points),
    ):
        for name in names:
            try:
                read_point(name, params.quantizer.bits)
            except CodecError as error:
                raise ParamsError(f"{key} names {name!r}: {error}") from None
    for codec in params.pictures.codecs:
        try:
            read_picture_codec(codec)
        except PictureError as error:
            raise ParamsError(f"pictures.codecs: {error}") from None


def _check_streets(params: Params) -> None:
    """Raise ParamsError for what the built-in data set cannot give, before it is drawn."""
    streets = params.streets
    for key, wanted, limit, of in (
        ("train.batch", params.train.batch, streets.train, "streets.train"),
        ("data.width", params.data.width, streets.width, "streets.width"),
        ("data.height", params.data.height, streets.height, "streets.height"),
    ):
        if wanted > limit:
            raise ParamsError(f"{key} is {wanted}; allowed: at most {of}, which is {limit}")
