"""A fleet brings all models up to date, although a worker is killed in the middle of a training.

It takes 5 to 10 minutes on two cores:
`uv run pytest -m slow -n 0 tests/stages/test_fleet.py`
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.artifacts import ARMS
from tests.support.tiny_experiment import command, runs, small_params, tiny_repository

SEEDS = [0, 1, 2, 3]
MODELS = {f"encoder2-{arm}-{seed}" for arm in ARMS for seed in SEEDS}
SECONDS = 1500


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
def test_all_models_end_although_a_worker_is_killed(tmp_path: Path) -> None:
    params = small_params()
    params["seeds"] = SEEDS
    params["train"] |= {"epochs": 12, "checkpoint_minutes": 0.02}
    tiny_repository(tmp_path, params)
    # A change that is not committed.
    (tmp_path / "params.yaml").write_text((tmp_path / "params.yaml").read_text() + "\n# changed\n")
    said = tmp_path.with_name(f"{tmp_path.name}.log")
    words = [sys.executable, "-m", "stages.fleet", "--workers", "2", "--executor", "local"]
    with said.open("w") as log:
        keep = {
            k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "DVC", "PYTEST"))
        }
        fleet = subprocess.Popen(words, cwd=tmp_path, stdout=log, stderr=log, env=keep)
    try:
        killed = kill_a_worker(tmp_path)
        assert fleet.wait(SECONDS) == 0, said.read_text()
    finally:
        fleet.terminate()
        fleet.wait()

    # The killed training went on from its checkpoint.
    of_killed = (tmp_path / f".dvc/tmp/fleet/logs/{killed}.log").read_text()
    assert of_killed.count("Running stage 'train") == 2
    assert "resumed from" in of_killed
    assert not list((tmp_path / ".checkpoints").rglob("*.*"))
    # The head ran nothing but the report after the data.
    headed = [
        x.split("'")[1] for x in said.read_text().splitlines() if x.startswith("Running stage")
    ]
    assert headed == ["check", "streets", "link", "prepare", "report"]
    assert json.loads(command(tmp_path, "dvc", "status", "--json").stdout) == {}
    # MLflow is whole: the killed training went on in its own run.
    found = runs(tmp_path)
    assert set(found["status"]) == {"FINISHED"}
    trained = found[found["name"].str.startswith("train")]["name"]
    assert sorted(trained) == sorted(f"train {model}" for model in MODELS)


def kill_a_worker(repository: Path) -> str:
    """Kill the process that submitit has started for a training with a checkpoint; say whose."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        for checkpoint in (repository / ".checkpoints").glob("encoder2-*.pt"):
            model = checkpoint.name.rpartition("-")[0]
            clone = repository / ".dvc/tmp/fleet" / model
            for process in psutil.process_iter(["cwd", "cmdline"]):
                if process.info["cwd"] == str(clone) and "stages.train" in process.info["cmdline"]:
                    for parent in process.parents():
                        if "submitit.core._submit" in parent.cmdline():
                            parent.send_signal(signal.SIGKILL)
                            return model
        time.sleep(0.2)
    raise TimeoutError("no training wrote a checkpoint")
