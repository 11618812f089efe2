"""A store to track in, and processes that track: what the tests of tracking share."""

import os
import subprocess
import sys
from pathlib import Path

from pipeline.tracking import api as tracking

ROOT = Path(__file__).resolve().parents[2]
MD5 = "d41d8cd98f00b204e9800998ecf8427e.dir"  # with .dir the longest digest MLflow takes

OPEN = """
import sys, time
from pipeline.tracking import api as tracking
with tracking.start(
    enabled=True, experiment="x", name=sys.argv[1], params={}, tags={},
    resume=(sys.argv + [None])[2],
) as run:
    print("open", run.id, flush=True)
"""


def python(code: str, *args: str, cwd: Path, **env: str) -> subprocess.Popen[str]:
    inherited = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *args],
        cwd=cwd,
        env=inherited | {"PYTHONPATH": str(ROOT)} | env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def begin(name: str = "a", **other: object):
    settings = {"enabled": True, "experiment": "x", "params": {}, "tags": {}} | other
    return tracking.start(name=name, **settings)


def client(uri: str | None = None):
    from mlflow import MlflowClient

    return MlflowClient(uri or tracking.store_uri())


def values(run_id: str, key: str) -> list[tuple[int, float]]:
    """Step and value of all that the store holds of a metric."""
    return [(m.step, m.value) for m in client().get_metric_history(run_id, key)]
