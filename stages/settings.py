"""How every stage starts: checked settings, and errors a person can read."""

import os
import shlex
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.artifacts import STREETS_FOLDER
from pipeline.coding.codecs import CodecError
from pipeline.coding.points import read_point
from pipeline.nets.decoder import DECODERS
from pipeline.nets.encoder import ENCODERS
from pipeline.params import Params, ParamsError, check_names, check_sizes, parse
from stages.process import alone, end_with_dvc

# Options, not arguments: DVC quotes what it hands over as `--encoder encoder2`.
Text = Annotated[str, typer.Option()]
Number = Annotated[int, typer.Option()]


def load(*, trains: bool = True) -> Params:
    """Return the settings of params.yaml in the working directory, checked as a whole.

    trains: whether a training may follow, for which its launcher and its first weights must be
    here.
    """
    path = Path("params.yaml")
    try:
        # YAML 1.2, as DVC writes it: there 5e-05 is a number and `on` a word.
        values = YAML(typ="safe", pure=True).load(path.read_text())
    except (OSError, YAMLError) as error:
        raise ParamsError(f"{path.absolute()} cannot be read: {error}") from error
    params = parse(values)
    check_names("encoders", params.encoders, ENCODERS, ", ".join(ENCODERS))
    _check_points(params)
    check_names("tasks", params.tasks, DECODERS, ", ".join(DECODERS))
    strides = {name: ENCODERS[name].stride for name in params.encoders}
    check_sizes(params.data.width, params.data.height, strides)
    if trains:
        _check_training(params)
    if Path(params.data.root) == STREETS_FOLDER:
        _check_streets(params)
    return params


def _check_training(params: Params) -> None:
    if params.model.weights == "file" and not Path(params.model.file).is_file():
        raise ParamsError(
            f"model.file is {params.model.file!r}, but there is no such file; allowed: the path of "
            "a ResNet-34 state dict"
        )
    if _missing(params.train.launcher):
        raise ParamsError(
            f"train.launcher is {params.train.launcher!r}, but there is no such command here; "
            "allowed: python, or a launcher such as torchrun --nproc-per-node=2"
        )


def data_root(params: Params) -> Path:
    """Return the folder of the release; raise ParamsError if there is none."""
    root = Path(params.data.root)
    if not root.is_dir():
        raise ParamsError(
            f"data.root is {params.data.root!r}, but there is no such folder in {Path.cwd()}; "
            "allowed: a folder with the release, by its absolute path in a temporary experiment"
        )
    return root


def _check_points(params: Params) -> None:
    for key, names in (("codecs", params.codecs), ("report.bd_points", params.report.bd_points)):
        for name in names:
            try:
                read_point(name, params.quantizer.bits)
            except CodecError as error:
                raise ParamsError(f"{key} names {name!r}: {error}") from None


def _missing(command: str) -> bool:
    try:
        return shutil.which(shlex.split(command)[0]) is None
    except ValueError:  # a quotation that does not end
        return True


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


def run(command: Callable[..., None]) -> None:
    """Run a stage from the command line.

    An exception of the project's own, or of the operating system, is a message for the person at
    the keyboard: it is shown without a traceback, last and in red. Any other is a bug, and its
    traceback is wanted. A command that has ended well does not return: taking torch apart object by
    object would cost another second.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    end_with_dvc()
    try:
        with alone(sys.argv):
            app()
    except SystemExit as end:
        if end.code:
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    except Exception as error:
        package = type(error).__module__.partition(".")[0]
        if _out_of_memory(error):
            typer.secho(f"error: {_too_little_memory(error)}", fg="red", err=True)
        elif package in ("pipeline", "commands") or isinstance(error, OSError):
            typer.secho(f"error: {error}", fg="red", err=True)
        else:
            raise
        sys.exit(1)


def _out_of_memory(error: Exception) -> bool:
    # torch has an error of its own for a GPU and none for a CPU. It is not imported for this.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )


def _too_little_memory(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    root = Path(__file__).parents[1]
    ours = [x for x in frames if Path(x.filename).is_relative_to(root) and "/." not in x.filename]
    where = f"{Path(ours[-1].filename).relative_to(root)}, line {ours[-1].lineno}"
    return (
        f"memory ran out at {where}. End other programs, or lower train.batch or the size of the "
        "frames in params.yaml; then run the same command again"
    )
