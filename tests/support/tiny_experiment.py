"""A copy of this repository with settings so small that the whole experiment takes a minute."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).parents[2]
SOURCES = (
    *("pipeline", "stages", "commands", "experiments", "dvc.yaml", "params.yaml"),
    *(".dvc", ".gitignore", ".dvcignore"),
)
OWN = ("__pycache__", "tmp", "cache", "config.local")
"""What a working copy holds beside the sources."""
CODECS = ["png", "jpeg-90", "png@5", "jpeg-20"]
FITTED = ["table@5", "table/0.5", "klt/0.5"]
ENTROPY = ["table/1", "table/2"]


def command(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must succeed."""
    done = start(folder, *words, **variables)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done


def start(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would in this folder."""
    return subprocess.run(
        words, cwd=folder, env={**environment(), **variables}, capture_output=True, text=True
    )


def environment() -> dict[str, str]:
    """Return a user's environment: with this Python's commands, and nothing of the tests."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "DVC", "PYTEST"))}
    return {**keep, "PATH": path, "OMP_NUM_THREADS": "1"}


def small_params() -> dict:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params |= {
        "encoders": ["encoder2"],
        "seeds": [0],
        "codecs": [*CODECS, *FITTED],
    }
    # Small files are copied and committed fast.
    params["model"] |= {"weights": "none", "file": ".dvcignore"}
    params["data"] |= {"width": 64, "height": 32}
    params["streets"] |= {"train": 16, "val": 4, "width": 64, "height": 32}
    params["train"] |= {"epochs": 2, "batch": 4, "validate_every": 1}
    params["pictures"] |= {"codecs": ["jpeg-90", "webp-20"], "seeds": [0]}
    params["entropy"] |= {"components": 16, "codecs": ENTROPY}
    params["evaluate"] |= {"examples": 1}
    params["report"] |= {"resamples": 100, "bd_points": CODECS}
    return params


def tiny_repository(folder: Path, params: dict | None = None) -> Path:
    """Make `folder` a repository with small settings, committed, in which nothing has run."""
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns(*OWN))
        else:
            shutil.copy(source, folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(params or small_params(), sort_keys=False))
    command(folder, "git", "init", "-q")
    command(folder, "git", "config", "user.email", "test@example.org")
    command(folder, "git", "config", "user.name", "test")
    command(folder, "git", "add", ".")
    command(folder, "git", "commit", "-qm", "start")
    return folder


def tiny_experiment(folder: Path) -> Path:
    """Make `folder` a repository in which `dvc repro` has run once and been committed."""
    tiny_repository(folder)
    command(folder, "dvc", "repro")
    command(folder, "git", "add", ".")
    command(folder, "git", "commit", "-qm", "run")
    return folder


def runs(folder: Path) -> pd.DataFrame:
    """Name, id and status of each run in the store, with the id of its parent."""
    with sqlite3.connect(folder / "mlflow.db") as store:
        return pd.read_sql(
            "select r.run_uuid as id, r.name, r.status, t.value as parent, e.name as experiment"
            " from runs r join experiments e using (experiment_id)"
            " left join tags t on t.run_uuid = r.run_uuid and t.key = 'mlflow.parentRunId'",
            store,
        )
