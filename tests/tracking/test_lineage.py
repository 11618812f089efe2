"""Lineage: commit, changed code, experiment, md5 of the data."""

import json
import subprocess
from pathlib import Path

from pipeline.tracking import api as tracking
from tests.support.tracked_store import python

LINEAGE = """
import json, sys
from pipeline.tracking.api import lineage
sys.argv[0] = "stages/train.py"
print(json.dumps(lineage()))
"""


def lineage(cwd: Path, **env: str) -> dict[str, str]:
    output, errors = python(LINEAGE, cwd=cwd, **env).communicate()
    assert errors == ""
    return json.loads(output)


def test_lineage_names_commit_changes_and_experiment(tmp_path: Path) -> None:
    for name in ("stages/train.py", "params.yaml", "reports/points.csv", "a b.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    tags = lineage(tmp_path, DVC_EXP_NAME="")
    assert tags.keys().isdisjoint({"mlflow.source.git.commit", "git.changed", "dvc.experiment"})

    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q")
    git("remote", "add", "origin", "https://me:secret@example.org/a.git")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    for name in ("params.yaml", "dvc.lock", "notes.txt", "reports/points.csv"):
        (tmp_path / name).write_text("changed by dvc, or untracked")
    tags = lineage(tmp_path, DVC_EXP_NAME="moody-hats")
    assert tags["mlflow.source.git.commit"] == git("rev-parse", "HEAD")
    assert tags["mlflow.source.name"] == "stages/train.py"
    assert tags["dvc.experiment"] == "moody-hats"
    assert "git.changed" not in tags
    assert "secret" not in str(tags)
    (tmp_path / "stages/train.py").write_text("x = 1")
    (tmp_path / "stages/new.py").write_text("x = 1")
    (tmp_path / "a b.toml").unlink()
    changed = lineage(tmp_path)["git.changed"].split("\n")
    assert changed == [' D "a b.toml"', " M stages/train.py", "?? stages/new.py", ""]


def test_md5_of_an_out(tmp_path: Path) -> None:
    lock = tmp_path / "dvc.lock"
    assert tracking.data_md5(lock, "prepare") is None
    lock.write_text(
        "schema: '2.0'\nstages:\n  prepare:\n    cmd: x\n    outs:\n"
        "    - path: data/prepared\n      hash: md5\n      md5: aa.dir\n"
    )
    assert tracking.data_md5(lock, "prepare") == "aa.dir"
    assert tracking.data_md5(lock, "train") is None
