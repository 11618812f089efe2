"""experiments/offline.sh: the experiment on a node that has no DVC, no MLflow and no report."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.artifacts import ModelName, read_evaluation
from tests.support.tiny_experiment import ROOT, command

ABSENT = ("altair", "dvc", "filelock", "mlflow", "pandas", "psutil", "scipy", "submitit", "yaml")
HIDE = f"""
import sys
from importlib.machinery import ModuleSpec

class Hide:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name.split(".")[0] in {ABSENT} else None

    def create_module(self, spec):
        raise ModuleNotFoundError(f"no {{spec.name}} on this node")

    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Hide())
"""
SMALL = (
    *("seeds=[0]", "codecs=[png, jpeg-20]", "model.weights=none", "train.epochs=1"),
    *("data.width=64", "data.height=32", "streets.train=8", "streets.val=4"),
    *("streets.width=64", "streets.height=32"),
)


def offline(folder: Path, *changes: str) -> subprocess.CompletedProcess[str]:
    hidden = folder.parent / "hidden"
    hidden.mkdir(exist_ok=True)
    (hidden / "python").write_text(
        f'#!/bin/sh\nPYTHONPATH=$PYTHONPATH:{hidden} exec {sys.executable} "$@"\n'
    )
    (hidden / "python").chmod(0o755)
    (hidden / "sitecustomize.py").write_text(HIDE)
    return subprocess.run(
        [ROOT / "experiments/offline.sh", folder, *changes],
        env={**os.environ, "PYTHON": str(hidden / "python")},
        capture_output=True,
        text=True,
    )


def test_all_stages_but_the_report_run_and_what_is_finished_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    done = offline(folder, *SMALL)
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(folder)
    for arm in ("benchmark", "proposed"):
        evaluation = read_evaluation(ModelName("encoder2", arm, 0))
        assert list(evaluation.points) == ["png", "jpeg-20"]
    files = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    del files[folder / "params.yaml"]

    again = offline(folder, *SMALL)
    assert (again.returncode, again.stdout) == (0, "")
    assert all(path.stat().st_mtime_ns == then for path, then in files.items())

    other = offline(folder, *SMALL, "train.batch=2")
    assert other.returncode == 1
    assert "holds results of other settings" in other.stderr
    # What is carried home is enough for the report.
    for path in [*folder.rglob("*.safetensors"), *folder.glob("features/*")]:
        path.unlink()
    for name in ("data", "streams"):
        shutil.rmtree(folder / name)
    command(folder, sys.executable, "-m", "stages.report", PYTHONPATH=str(ROOT))
    assert "What to send" in (folder / "reports/index.html").read_text()

    unknown = offline(tmp_path / "new", "train.batches=2")
    assert "train.batches is no setting" in unknown.stderr
