"""The settings: what is read, refused, and how the messages read."""

import os
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import FrozenInstanceError
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.params import ParamsError, check_names, check_sizes, flat, parse
from stages import train
from stages.settings import load


class _Removed:
    """Stands for a key taken out; its name is the same in every test process."""

    def __repr__(self) -> str:
        return "removed"


REMOVED = _Removed()


def put(values: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    """Set, add or remove the setting at a dotted key."""
    *sections, last = key.split(".")
    section = values
    for name in sections:
        section = section[name]
    if value is REMOVED:
        del section[last]
    else:
        section[last] = value
    return values


def leaves(values: dict[str, Any]) -> dict[str, Any]:
    """params.yaml flattened without the help of the code under test."""
    result = {}
    for name, section in values.items():
        if isinstance(section, dict):
            result |= {f"{name}.{key}": value for key, value in section.items()}
        else:
            result[name] = section
    return result


def test_own_settings_parse_to_what_the_file_says(values: dict[str, Any]) -> None:
    params = parse(values)
    assert params.encoders == tuple(values["encoders"])
    assert params.loss.weight == values["loss"]["weight"]
    assert params.train.learning_rate == values["train"]["learning_rate"]
    assert flat(params) == leaves(values)


def test_whole_numbers_serve_as_numbers(values: dict[str, Any]) -> None:
    params = parse(put(put(values, "loss.weight", 10), "machine.checkpoint_minutes", 2))
    assert (params.loss.weight, params.machine.checkpoint_minutes) == (10.0, 2.0)
    assert type(params.loss.weight) is float
    assert type(params.machine.checkpoint_minutes) is float
    assert type(params.train.epochs) is int


def test_records_are_frozen(values: dict[str, Any]) -> None:
    with pytest.raises(FrozenInstanceError):
        parse(values).loss.rate = False  # type: ignore[misc]


MISTAKES = [
    # key, value, what the message must say
    ("lossy", {}, ["lossy is not a setting", "loss", "train"]),
    ("loss.ratio", 1, ["loss.ratio is not a setting", "rate_unit", "weight"]),
    ("train.3", 1, ["train.3 is not a setting", "epochs"]),
    ("seeds", REMOVED, ["seeds is missing"]),
    ("train.batch", REMOVED, ["train.batch is missing"]),
    ("loss", None, ["loss is None", "dictionary"]),
    ("data", "data/streets", ["data is 'data/streets'", "dictionary"]),
    ("train.epochs", True, ["train.epochs is True", "valid integer"]),
    ("train.epochs", "8", ["train.epochs is '8'", "valid integer"]),
    ("train.epochs", 0, ["train.epochs is 0", "greater than or equal to 1"]),
    ("train.learning_rate", "1e-3", ["train.learning_rate is '1e-3'", "number"]),
    ("train.learning_rate", 0, ["train.learning_rate is 0", "greater than 0"]),
    ("train.learning_rate", float("nan"), ["train.learning_rate is nan", "finite"]),
    ("train.noise", "gauss", ["train.noise is 'gauss'", "half-step", "fixed", "none"]),
    (
        "train.precision",
        "float16",
        ["train.precision is 'float16'", "'auto', 'float32' or 'bfloat16'"],
    ),
    ("machine.device", ["cpu"], ["machine.device is ['cpu']", "'auto', 'cpu' or 'cuda'"]),
    ("machine.launcher", "  ", ["machine.launcher is '  '", "pattern"]),
    ("quantizer.bits", 17, ["quantizer.bits is 17", "equal to 16"]),
    ("loss.rate", 1, ["loss.rate is 1", "valid boolean"]),
    ("loss.weight", "lerned", ["loss.weight is 'lerned'", "learned", "valid number"]),
    ("report.confidence", 95, ["report.confidence is 95", "less than 1"]),
    ("report.max_score_drop", 0, ["report.max_score_drop is 0", "equal to 0.1"]),
    ("report.max_task_drops", [1, 100], ["report.max_task_drops[1] is 100", "less than 100"]),
    ("pictures.codecs", ["jpeg-9", "jpeg-9"], ["pictures.codecs names jpeg-9 more than once"]),
    ("report.max_task_drops", [], ["report.max_task_drops is empty"]),
    ("pictures.seeds", [0, 7], ["pictures.seeds names 7", "which are 0"]),
    ("pictures.qualities", [95, 5], ["pictures.qualities", "[95, 5]", "lowest quality first"]),
    ("pictures.qualities", [0, 5], ["pictures.qualities[0]", "0", "greater than or equal to 1"]),
    (
        "model.weights",
        "resnet.pth",
        ["model.weights is 'resnet.pth'", "'none', 'imagenet' or 'file'"],
    ),
    ("encoders", "encoder1", ["encoders is 'encoder1'", "list"]),
    ("encoders", [], ["encoders is empty", "at least one"]),
    ("codecs", ["png", "jpeg-90", "png"], ["codecs names png more than once"]),
    ("codecs", ["png", 90], ["codecs[1] is 90", "valid string"]),
    ("seeds", [0, 1, 1, 0], ["seeds names 0, 1 more than once"]),
    ("seeds", [0, True], ["seeds[1] is True", "valid integer"]),
]


@pytest.mark.parametrize(("key", "value", "words"), MISTAKES, ids=lambda x: str(x)[:30])
def test_mistake_is_named(
    values: dict[str, Any], key: str, value: object, words: list[str]
) -> None:
    with pytest.raises(ParamsError) as error:
        parse(put(values, key, value))
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("whole", [None, [], "text", 3])
def test_file_that_holds_no_mapping(whole: object) -> None:
    with pytest.raises(ParamsError, match=r"params\.yaml is .*dictionary"):
        parse(whole)


NOISE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=5)
    | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_value_either_fits_or_is_one_error_naming_its_key(
    values: dict[str, Any], data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from([*leaves(values), *values]))
    value = data.draw(NOISE)
    complaint = ""
    try:
        parsed = parse(put(deepcopy(values), key, value))
    except ParamsError as error:
        complaint = str(error)
    assert key in complaint or flat(parsed)[key] == value


def test_names() -> None:
    check_names("codecs", ["png"], {"png": 1, "webp": 2}, "png, webp")
    with pytest.raises(ParamsError, match="codecs names 'gif'; allowed: png, webp"):
        check_names("codecs", ["png", "gif"], {"png", "webp"}, "png, webp")


@pytest.mark.parametrize("width", [1, 15, 16, 17, 40, 47, 48, 100])
@pytest.mark.parametrize("stride", [16, 32])
def test_sizes_are_multiples_of_the_stride(width: int, stride: int) -> None:
    if width in range(stride, 200, stride):
        return check_sizes(width, 64, {"some": stride})
    with pytest.raises(ParamsError) as error:
        check_sizes(width, 64, {"some": stride})
    text = str(error.value)
    assert f"data.width is {width}" in text
    assert "some" in text
    assert f"multiple of its stride, {stride}" in text
    advice = int(text.rsplit(" ", 1)[1])
    assert advice in range(stride, 200, stride)
    assert abs(advice - width) == min(abs(x - width) for x in range(stride, 200, stride))
    return None


def test_height_is_checked_too() -> None:
    with pytest.raises(ParamsError, match=r"data\.height is 80, which b"):
        check_sizes(96, 80, {"a": 16, "b": 32})


# How stages use it


@pytest.fixture
def write(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Changes to params.yaml, written into a folder that becomes the working directory."""
    put(values, "model.weights", "none")

    def changed(**changes: object) -> Path:
        for key, value in changes.items():
            put(values, key.replace("__", "."), value)
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return changed


def test_load(write: Callable[..., Path]) -> None:
    write(train__epochs=3, codecs=["jpeg-1", "jpeg-100"])
    assert load().train.epochs == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoders": ["encoder2", "encoder3"]}, ["encoders", "'encoder3'", "encoder1, encoder2"]),
        ({"codecs": ["png", "gif"]}, ["codecs", "'gif'", "png", "jpeg-1"]),
        ({"codecs": ["jpeg-101"]}, ["codecs", "'jpeg-101'", "jpeg-100"]),
        ({"codecs": ["jpeg-0"]}, ["codecs", "'jpeg-0'", "jpeg-1"]),
        ({"codecs": ["klt@4"]}, ["codecs", "'klt@4'", "klt/1.2"]),
        ({"entropy__codecs": ["png@4"]}, ["entropy.codecs", "'png@4'", "table/1.5"]),
        ({"entropy__codecs": ["table/0"]}, ["entropy.codecs", "'table/0'", "above 0"]),
        ({"codecs": ["png@0"]}, ["codecs", "'png@0'", "from 1 to 16"]),
        ({"codecs": ["png@"]}, ["codecs", "'png@'", "from 1 to 16"]),
        ({"codecs": ["jpeg-90@9"]}, ["codecs", "'jpeg-90@9'", "9 bits", "at most 8"]),
        ({"report__bd_points": ["png", "bpg"]}, ["report.bd_points", "'bpg'", "png"]),
        ({"tasks": ["depth"]}, ["tasks", "'depth'", "segmentation, disparity, reconstruction"]),
        (
            {"quantizer__bits": 10, "codecs": ["png", "jpeg-90"]},
            ["codecs", "jpeg-90", "10 bits", "at most 8", "jpeg-90@8"],
        ),
        ({"data__width": 144, "encoders": ["encoder1"]}, ["data.width is 144", "32"]),
        ({"data__height": 8, "encoders": ["encoder2"]}, ["data.height is 8", "encoder2", "16"]),
        ({"data__root": "~/cityscapes"}, ["data.root is '~/cityscapes'", "the whole path", "/"]),
        ({"pictures__codecs": ["webp-0"]}, ["pictures.codecs", "'webp-0'", "jpeg-1 to"]),
        ({"train__batch": 500}, ["train.batch is 500", "streets.train", "240"]),
        ({"data__width": 512}, ["data.width is 512", "streets.width", "384"]),
        ({"data__height": 256}, ["data.height is 256", "streets.height", "192"]),
    ],
    ids=str,
)
def test_load_checks_what_the_rooms_can_do(
    write: Callable[..., Path], changes: dict[str, object], words: list[str]
) -> None:
    write(**changes)
    with pytest.raises(ParamsError) as error:
        load()
    for word in words:
        assert word in str(error.value)


def test_only_the_built_in_set_is_known_beforehand(write: Callable[..., Path]) -> None:
    write(data__root="elsewhere", data__width=512, train__batch=500)
    assert load().train.batch == 500


def test_size_is_only_checked_for_the_encoders_in_use(write: Callable[..., Path]) -> None:
    write(data__width=144, encoders=["encoder2"])
    assert load().data.width == 144


def test_deep_levels_are_for_png(write: Callable[..., Path]) -> None:
    write(quantizer__bits=16, codecs=["png", "jpeg-90@8"], report__bd_points=["png"])
    assert load().quantizer.bits == 16


def model(encoder: str, arm: str, seed: int) -> list[str]:
    return ["--encoder", encoder, "--arm", arm, "--seed", str(seed)]


def start(repository: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("content", [None, "train: [", "train: {batch: 1}\n\ttab: 1\n"])
def test_a_file_that_is_missing_or_no_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("params.yaml").write_text(content)
    with pytest.raises(ParamsError, match=r"params\.yaml cannot be read"):
        load()


def test_a_stage_without_its_input_names_the_file(
    repository: Path, write: Callable[..., Path]
) -> None:
    result = start(repository, write(), "stages.encode", *model("encoder1", "benchmark", 0))
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "features/encoder1-benchmark-0.npy is missing or damaged" in last
    assert "dvc repro" in last
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("stage", ["streets", "prepare", "train", "export", "encode", "evaluate"])
def test_every_stage_checks_the_settings_first(
    write: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stage: str,
) -> None:
    folder = write(codecs=["gif"])
    module = import_module(f"stages.{stage}")
    words = [] if stage in ("streets", "prepare") else model("encoder2", "proposed", 0)
    monkeypatch.setattr(sys, "argv", [stage, *words])
    with pytest.raises(SystemExit) as stop:
        module.run(module.main)
    assert stop.value.code == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: codecs names 'gif'")
    assert [x.name for x in folder.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize("launcher", ["torchran -n 2", "'torchrun"])
def test_a_launcher_that_is_not_there(write: Callable[..., Path], launcher: str) -> None:
    write(machine__launcher=launcher)
    with pytest.raises(ParamsError, match=r"machine\.launcher is .* no such command here"):
        train.main("encoder2", "proposed", 0)


def test_training_is_handed_to_its_launcher(repository: Path, write: Callable[..., Path]) -> None:
    folder = write(machine__launcher="./launch --nodes 2")
    launcher = folder / "launch"
    launcher.write_text('#!/bin/sh\necho "$@"\nexit 7\n')
    launcher.chmod(0o755)
    result = start(repository, folder, "stages.train", *model("encoder2", "proposed", 3))
    handed = "--encoder encoder2 --arm proposed --seed 3"
    assert result.stdout == f"--nodes 2 -m stages.train {handed}\n"
    assert result.returncode == 7


def test_a_foreign_exception_keeps_its_traceback(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_module = import_module("stages.settings")

    def broken() -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(sys, "argv", ["broken"])
    with pytest.raises(KeyError, match="a bug"):
        settings_module.run(broken)
