"""Holds that clones at work at the same time share one cache and one store, and lose no run.

    uv run pytest -m slow -n 1 tests/test_side_by_side.py

It takes a few minutes: nine on two busy cores.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.support.mlflow_server import Server
from tests.support.tiny_experiment import command, tiny_repository

TRACKED = ("train_benchmark", "train_proposed", "evaluate", "report")
START = (
    "import sys; from pathlib import Path; from tests.support.tiny_experiment import command;"
    "done = command(Path(sys.argv[1]), 'dvc', 'repro', MLFLOW_TRACKING_URI=sys.argv[2]);"
    "print(done.stdout)"
)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_clones_share_a_cache_and_a_server(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    origin = tiny_repository(tmp_path / "first")
    clones = [tmp_path / "a", tmp_path / "b"]
    for clone in clones:
        command(tmp_path, "git", "clone", "-q", str(origin), str(clone))
        command(clone, "dvc", "cache", "dir", "--local", str(tmp_path / "cache"))
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server")
    server.start()
    try:
        started = [
            subprocess.Popen(
                [sys.executable, "-c", START, str(clone), server.uri],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for clone in clones
        ]
        printed = []
        for process in started:
            output, errors = process.communicate()
            assert process.returncode == 0, errors
            printed.append(output)
        client = MlflowClient(server.uri)
        experiments = client.search_experiments()
        assert sorted(x.name for x in experiments) == ["Default", "compressible-features"]
        found = {
            x.name: client.search_runs([x.experiment_id], max_results=1000) for x in experiments
        }
    finally:
        server.stop()
    assert not found["Default"]
    runs = {run.info.run_id: run for run in found["compressible-features"]}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    # A stage that ran made one run, and a stage that the cache gave back made none.
    ran = [x for text in printed for x in re.findall(r"Running stage '(\w+)[@']", text)]
    expected = Counter("train" if x.startswith("train") else x for x in ran if x in TRACKED)
    assert Counter(run.info.run_name.split()[0] for run in runs.values()) == expected
    for clone in clones:
        named = [json.loads(x.read_text())["run_id"] for x in clone.glob("[!.]*/**/run.json")]
        assert len(set(named)) == 5
        assert set(named) <= set(runs)
