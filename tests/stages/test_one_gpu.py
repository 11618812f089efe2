"""The grid of a compute node: it needs torch and little else, survives a kill, and is reported."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from pipeline.artifacts import (
    ArtifactError,
    ModelName,
    model_description,
    read_evaluation,
    read_history,
    sums_file,
)
from pipeline.params import parse
from stages import one_gpu
from stages.budget import Timing, choose_epochs
from stages.gather import measured
from stages.jobs import all_jobs
from stages.kept import frame_facts
from stages.node import GridError, Node, flat, nest, read_settings
from tests.support.tiny_experiment import CODECS, command

LACKING = ("dvc", "mlflow", "pandas", "scipy", "pydantic", "typer", "tqdm", "ruamel", "yaml")
LACKING += ("matplotlib", "plotly", "filelock", "bjontegaard")
WITHOUT = f"""
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        lacks = name.partition(".")[0] in {LACKING!r}
        return None if lacks else self.finder.find_spec(name, path, target)
sys.meta_path[:] = map(Without, sys.meta_path)
"""
SMALL = {
    **{"data.width": 64, "data.height": 32, "streets.train": 12, "streets.val": 4},
    **{"streets.width": 64, "streets.height": 32, "seeds": [0], "codecs": CODECS},
    **{"train.batch": 4, "model.weights": "none", "train.device": "cpu"},
    **{"report.resamples": 100, "report.bd_points": CODECS},
}
NAMES = [ModelName("encoder2", arm, 0) for arm in ("benchmark", "proposed")]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that makes a Python lack what a compute node lacks, first on its path."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "sitecustomize.py").write_text(WITHOUT)
    return folder


def started(node: Path, folder: Path, *words: str, **changes: Any) -> subprocess.Popen[str]:
    repository = Path(__file__).parents[2]
    settings = SMALL | {k.replace("__", "."): v for k, v in changes.items()}
    options = [x for k, v in settings.items() for x in ("-S", f"{k}={json.dumps(v)}")]
    variables = {"PYTHONPATH": str(node), "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [str(repository / "experiments/one_gpu.sh"), str(folder), *words, *options],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(node: Path, folder: Path, *words: str, **changes: Any) -> str:
    process = started(node, folder, *words, **changes)
    text, _ = process.communicate()
    assert process.returncode == 0, text
    return text


@pytest.fixture(scope="module")
def whole(node: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves that nothing disturbed, and that had time for one epoch of three."""
    folder = tmp_path_factory.mktemp("whole")
    finished(node, folder, "--minutes", "0.02", train__epochs=3)
    return folder / "results/weight-1.0"


def test_the_node_lacks_what_it_should(node: Path) -> None:
    for name in ("pandas", "scipy.fft", "pydantic"):
        code = ["-c", f"import {name}"]
        variables = os.environ | {"PYTHONPATH": str(node)}
        done = subprocess.run([sys.executable, *code], env=variables, capture_output=True)
        assert b"ModuleNotFoundError" in done.stderr


def test_a_run_that_was_killed_ends_as_one_that_was_not(
    node: Path, whole: Path, tmp_path: Path
) -> None:
    folder, often = tmp_path / "killed", {"train__epochs": 1, "train__checkpoint_minutes": 1e-9}
    process = started(node, folder, **often)
    while not list(folder.glob("work/checkpoints/encoder2-proposed-0-*.pt")):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (folder / "work/benchmark" / sums_file(NAMES[0])).is_file()
    assert not (folder / "results").exists()
    text = finished(node, folder, **often)
    assert "resumed after epoch 0, step " in text
    assert not list(folder.glob("work/checkpoints/*"))
    for name in NAMES:
        one, other = (
            read_evaluation(x / sums_file(name)) for x in (whole, folder / "results/weight-1.0")
        )
        weights = f"models/{name}/model.safetensors"
        assert one.made_of[weights] == other.made_of[weights]  # SHA-256
        assert_equal(one.uncompressed, other.uncompressed)
        assert list(one.points) == CODECS
        for codec in CODECS:
            assert_equal(one.points[codec].sums, other.points[codec].sums)
            np.testing.assert_array_equal(one.points[codec].bytes_N, other.points[codec].bytes_N)


def assert_equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    assert one.keys() == other.keys()
    for task, sums in one.items():
        for key, value_N in sums.items():
            np.testing.assert_array_equal(value_N, other[task][key])


def test_too_little_time_gives_every_model_one_epoch(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(whole)
    for name in NAMES:
        assert model_description(name)["settings"]["train.epochs"] == 1
        assert len(read_history(name)) == 1
    assert json.loads((whole / "plan.json").read_text())["epochs"] == 1


def test_the_folder_is_small_and_has_what_a_report_reads(whole: Path, tmp_path: Path) -> None:
    files = [x for x in whole.rglob("*") if x.is_file()]
    assert sum(x.stat().st_size for x in files) < 300_000
    assert not [x for x in files if x.name in ("model.safetensors", "image.npy", "png.safetensors")]
    text = command(tmp_path, sys.executable, "-m", "stages.report", "--from", str(whole), **HOME)
    assert "Coded as PNG" in text.stdout
    page = (whole / "reports/index.html").read_text()
    assert "12 to train on, 4 to test on" in page
    assert set(json.loads((whole / "reports/scores.json").read_text())["png"]) == set(
        map(str, NAMES)
    )


HOME = {"PYTHONPATH": str(Path(__file__).parents[2])}


def test_what_was_left_behind_is_checked_by_its_hash(
    whole: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for path in (x for x in whole.rglob("*") if x.is_file() and "reports" not in x.parts):
        to = tmp_path / path.relative_to(whole)
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    params = parse(json.loads(Path("params.yaml").read_text()))
    pixels = frame_facts(params.tasks).pixels
    assert pixels == 64 * 32
    assert [x.arm for x in measured(NAMES, params, pixels)] == ["benchmark", "proposed"]
    left = json.loads(Path("left_behind.json").read_text())
    weights = "models/encoder2-proposed-0/model.safetensors"
    Path("left_behind.json").write_text(json.dumps(left | {weights: "0" * 64}))
    with pytest.raises(ArtifactError, match=f"made of another {weights}"):
        measured(NAMES, params, pixels)
    del left["streams/encoder2-proposed-0/png@5.safetensors"]
    Path("left_behind.json").write_text(json.dumps(left))
    with pytest.raises(ArtifactError, match=r"png@5\.safetensors, which is gone"):
        measured(NAMES, params, pixels)


# Without a run


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
        one_gpu, "rehearse", lambda node, name, _: Timing(0.0, steps[name.arm], 0.0, 0.0)
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
