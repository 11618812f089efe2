"""The grid of a compute node: it needs torch and little else, survives a kill, and is reported."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.artifacts import (
    ArtifactError,
    ModelName,
    diagnostics_file,
    model_description,
    read_evaluation,
    read_history,
    streams_file,
    sums_file,
    weights_file,
)
from pipeline.params import parse
from stages.gather import measured
from stages.kept import frame_facts
from tests.support.tiny_experiment import CODECS, command

LACKING = ("dvc", "mlflow", "pandas", "scipy", "pydantic", "typer", "tqdm", "ruamel", "yaml")
LACKING += ("matplotlib", "plotly", "filelock", "bjontegaard")
# And a run notes what it writes, and can be killed the moment it has written a file.
WITHOUT = f"""
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        lacks = name.partition(".")[0] in {LACKING!r}
        return None if lacks else self.finder.find_spec(name, path, target)
sys.meta_path[:] = map(Without, sys.meta_path)

import os, pathlib, signal
last, moment = pathlib.Path.replace, os.environ.get("KILLED_AT")
def replace(self, target):
    last(self, target)
    with open(os.environ["WRITTEN"], "a") as written:
        print(os.path.abspath(target), file=written)
    if moment and moment in str(target):
        os.kill(os.getpid(), signal.SIGKILL)
pathlib.Path.replace = replace
"""
SMALL = {
    **{"data.width": 64, "data.height": 32, "streets.train": 8, "streets.val": 4},
    **{"streets.width": 64, "streets.height": 32, "seeds": [0], "codecs": CODECS},
    **{"train.batch": 4, "model.weights": "none", "train.device": "cpu"},
    **{"report.resamples": 100, "report.bd_points": CODECS},
}
REPOSITORY = Path(__file__).parents[2]
NAMES = [ModelName("encoder2", arm, 0) for arm in ("benchmark", "proposed")]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that makes a Python lack what a compute node lacks, first on its path."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "sitecustomize.py").write_text(WITHOUT)
    return folder


def written(folder: Path) -> Path:
    """Return the file in which a run notes the path of each file that it has written."""
    return folder.with_name(f"{folder.name}.written")


def run(
    node: Path, folder: Path, *words: str, killed_at: str = "", **changes: Any
) -> subprocess.CompletedProcess[str]:
    """Run the grid to its end, or until it has written a file of that name."""
    settings = SMALL | {k.replace("__", "."): v for k, v in changes.items()}
    options = [x for k, v in settings.items() for x in ("-S", f"{k}={json.dumps(v)}")]
    variables = {"PYTHONPATH": str(node), "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    variables |= {"WRITTEN": str(written(folder))}
    done = subprocess.run(
        [str(REPOSITORY / "experiments/one_gpu.sh"), str(folder), *words, *options],
        env=os.environ | variables | {"KILLED_AT": killed_at},
        capture_output=True,
        text=True,
    )
    assert done.returncode == (-signal.SIGKILL if killed_at else 0), done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def grid(node: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two weights that nothing disturbed, and that had time for one epoch of three."""
    folder = tmp_path_factory.mktemp("grid")
    run(node, folder, "--minutes", "0.02", "--weights", "0.3", "1.0", train__epochs=3)
    return folder


@pytest.fixture(scope="module")
def whole(grid: Path) -> Path:
    """The results of one weight."""
    return grid / "results/weight-1.0"


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
    run(node, folder, killed_at="checkpoints/encoder2-proposed", **often)
    assert (folder / "work/benchmark" / sums_file(NAMES[0])).is_file()
    assert not (folder / "results").exists()
    done = run(node, folder, **often)
    assert re.search(
        "resumed from .*encoder2-proposed.* at epoch 1 of 1, after step 1 of 2", done.stdout
    )
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


def test_weights_share_one_benchmark(grid: Path) -> None:
    """It is trained, exported, encoded and evaluated once; each weight has its own proposed one."""
    paths = map(Path, written(grid).read_text().splitlines())
    work = [x.relative_to(grid / "work") for x in paths if x.is_relative_to(grid / "work")]
    times = Counter(map(str, work))
    benchmark, proposed = NAMES
    models = {"benchmark": benchmark, "weight-0.3": proposed, "weight-1.0": proposed}
    for folder, name in models.items():
        streams = [streams_file(name, codec) for codec in CODECS]
        of_model = [weights_file(name), diagnostics_file(name), *streams, sums_file(name)]
        assert [times[f"{folder}/{x}"] for x in of_model] == [1] * len(of_model)
        others = [x for x in times if x.startswith(f"{folder}/") and str(name) not in x]
        assert others == []
    one, other = (grid / "results" / x for x in ("weight-0.3", "weight-1.0"))
    equal = [
        (one / sums_file(x)).read_bytes() == (other / sums_file(x)).read_bytes() for x in NAMES
    ]
    assert equal == [True, False]


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
    words = ("-m", "stages.report", "--from", str(whole))
    done = command(tmp_path, sys.executable, *words, PYTHONPATH=str(REPOSITORY))
    assert "Coded as PNG" in done.stdout
    page = (whole / "reports/index.html").read_text()
    assert "8 to train on, 4 to test on" in page
    assert set(json.loads((whole / "reports/scores.json").read_text())["png"]) == set(
        map(str, NAMES)
    )


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
