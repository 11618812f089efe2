"""A training whose process is killed goes on in the same MLflow run, and says from where."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.tiny_experiment import command, runs, tiny_repository

TRAIN = ["-m", "stages.train", "--arm", "proposed", "--encoder", "encoder2", "--seed", "0"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment that is ready to train, and writes a checkpoint after each step."""
    folder = tmp_path_factory.mktemp("experiment")
    tiny_repository(folder)
    path = folder / "params.yaml"
    values = yaml.safe_load(path.read_text())
    values["train"] |= {"epochs": 3}
    values["machine"] |= {"checkpoint_minutes": 1e-6}
    path.write_text(yaml.safe_dump(values))
    for stage in ("streets", "prepare"):
        command(folder, sys.executable, "-m", f"stages.{stage}")
    return folder


def killed_at(folder: Path, line: str) -> None:
    """Train until a line that begins so is printed, and kill."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "DVC"))}
    process = subprocess.Popen(
        [sys.executable, "-u", *TRAIN], cwd=folder, env=keep, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for said in process.stdout:
        if said.startswith(line):
            os.kill(process.pid, signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_it_goes_on_in_the_same_run(prepared: Path) -> None:
    killed_at(prepared, "epoch 1/3")
    killed_at(prepared, "epoch 2/3")
    (checkpoint,) = (prepared / ".checkpoints").glob("*.pt")
    said = command(prepared, sys.executable, *TRAIN).stdout
    assert said.startswith(f"resumed from {checkpoint} at epoch ")
    assert " 0.0 images/s" not in said
    found = runs(prepared)
    assert found["status"].tolist() == ["FINISHED"]
    with sqlite3.connect(prepared / "mlflow.db") as store:
        query = "select step from metrics where key = 'loss/total'"
        assert sorted(step for (step,) in store.execute(query)) == [0, 1, 2]
        models = store.execute("select count(*) from logged_models").fetchone()
        versions = store.execute("select count(*) from model_versions").fetchone()
    assert (models, versions) == ((1,), (1,))
    assert not [*(prepared / ".checkpoints").rglob("*.*")]
