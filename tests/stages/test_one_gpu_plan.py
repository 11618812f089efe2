"""The plan of a grid: its settings, the order of its models, one number of epochs for all."""

import json
import shutil
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from pipeline.artifacts import ModelName
from pipeline.params import parse
from stages import node, one_gpu
from stages.budget import Timing, choose_epochs
from stages.grid_jobs import all_jobs
from stages.node import GridError, Node, flat, nest, read_settings

TOML = Path(__file__).parents[2] / "experiments/one_gpu.toml"


def test_the_settings_are_whole_and_allowed() -> None:
    values = tomllib.loads(TOML.read_text())
    params = parse(values)
    assert (params.data.width, params.data.height) == (512, 256)
    assert nest(flat(values)) == values


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("train.epoch=3", "train.epoch is not a setting; allowed: encoders, seeds"),
        ("train.epochs=few", "train.epochs is 'few'; allowed: a value like 60"),
        ("train.epochs=3.5", "train.epochs is 3.5; allowed"),
        ("seeds=1", r"seeds is 1; allowed: a value like \[0, 1, 2\]"),
    ],
)
def test_a_change_that_cannot_be_is_told(change: str, words: str) -> None:
    with pytest.raises(GridError, match=words):
        read_settings(TOML, [change])


def test_changes_are_taken() -> None:
    settings = read_settings(TOML, ["loss.weight=3", "data.root=/data/a b", "seeds=[4]"])
    assert (settings["loss.weight"], settings["data.root"]) == (3.0, "/data/a b")
    assert settings["seeds"] == [4]


def test_weights_of_the_rate_loss_are_read() -> None:
    assert [one_gpu.read_weight(x) for x in ("0.3", "3", "learned")] == [0.3, 3.0, "learned"]
    for text in ("0", "-1", "nan", "inf", "much"):
        with pytest.raises(GridError, match=f"--weights has '{text}'; allowed: numbers above 0"):
            one_gpu.read_weight(text)


def test_a_folder_of_other_settings_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one_gpu.claim({"train.epochs": 3, "weights": [1.0]})
    one_gpu.claim({"train.epochs": 3, "weights": [1.0]})
    with pytest.raises(GridError, match=r"was begun with train\.epochs = 3, not 4"):
        one_gpu.claim({"train.epochs": 4, "weights": [1.0]})


def test_all_models_of_a_seed_come_before_the_next_seed() -> None:
    jobs = all_jobs({"seeds": [5, 6], "encoders": ["encoder1", "encoder2"]}, [0.3, 1.0])
    assert [x.name.seed for x in jobs] == [5] * 6 + [6] * 6
    assert {(x.name.arm, x.folder) for x in jobs} == {
        ("benchmark", "benchmark"),
        ("proposed", "weight-0.3"),
        ("proposed", "weight-1.0"),
    }
    assert len(set(jobs)) == 12


@pytest.mark.parametrize(
    ("seconds", "epochs"),
    [
        # A start of 5, 10 steps of 0.1 an epoch, validations of 2 every 2 epochs, 3 afterwards.
        (2 * (5 + 1 * 1 + 2 + 3), 1),
        (2 * (5 + 2 * 1 + 2 + 3), 2),
        (2 * (5 + 3 * 1 + 4 + 3) - 0.1, 2),
        (2 * (5 + 3 * 1 + 4 + 3) + 0.1, 3),
        (0, 1),
        (1e9, 7),
    ],
)
def test_epochs_fill_the_time(seconds: float, epochs: int) -> None:
    timings = [Timing(start=5, step=0.1, validation=2, after=3)] * 2
    assert choose_epochs(timings, seconds, steps=10, validate_every=2, most=7) == epochs


def test_one_number_of_epochs_is_chosen_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arms differ in speed; the number is that of all models together, once and for all."""
    monkeypatch.chdir(tmp_path)
    Path("work").mkdir()
    steps = {"benchmark": 0.1, "proposed": 0.3}
    monkeypatch.setattr(
        one_gpu, "rehearse", lambda _, name, __: Timing(0.0, steps[name.arm], 0.0, 0.0)
    )
    settings = read_settings(TOML, ["train.batch=10", "train.epochs=1000"])
    made_up = SimpleNamespace(
        train=range(100), training=SimpleNamespace(described=lambda: {"device": "made up"})
    )
    jobs = all_jobs(settings, [1.0])

    def plan(minutes: float) -> int:
        return one_gpu.plan(cast(Node, made_up), jobs, settings, minutes, time.monotonic())

    # 6 models, 10 steps an epoch: 12 s an epoch of all of them; 90 % of 20 minutes is 1,080 s.
    assert plan(20) == 89 or plan(20) == 90
    assert plan(5) == json.loads(Path("plan.json").read_text())["epochs"]
    assert plan(5) >= 89


@pytest.mark.parametrize(
    ("changed", "is_other"),
    [
        ("stages/recipe.py", True),
        ("stages/node.py", True),
        ("pipeline/training/loop.py", True),
        ("stages/report.py", False),
    ],
)
def test_a_checkpoint_of_other_code_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str, is_other: bool
) -> None:
    for folder in ("pipeline", "stages"):
        shutil.copytree(node.ROOT / folder, tmp_path / folder)
    monkeypatch.setattr(node, "ROOT", tmp_path)
    settings = read_settings(TOML, ["model.weights=none"])
    made_up = cast(Node, SimpleNamespace(data="data", checkpoints=Path("checkpoints")))
    name = ModelName("encoder2", "proposed", 0)

    def path() -> Path:
        return node.checkpoint_file(made_up, name, node.as_params(settings), settings)

    before = path()
    assert path() == before
    with (tmp_path / changed).open("a") as file:
        file.write("\n")
    assert (path() != before) == is_other
