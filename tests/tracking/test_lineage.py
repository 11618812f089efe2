"""Lineage: commit, experiment, md5 of the data, and a user without a name."""

import subprocess
from pathlib import Path

import pytest

from pipeline.tracking import face as tracking


def test_lineage_names_commit_and_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DVC_EXP_NAME", "DVC_STAGE", "DVC_EXP_BASELINE_REV"):
        monkeypatch.delenv(name, raising=False)
    assert "mlflow.source.git.commit" not in tracking.lineage(tmp_path)
    assert "dvc.experiment" not in tracking.lineage(tmp_path)

    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q")
    for name in ("net.py", "dvc.lock", "metrics.json"):
        (tmp_path / name).write_text("")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    (tmp_path / "dvc.lock").write_text("changed by dvc")
    (tmp_path / "metrics.json").unlink()
    monkeypatch.setenv("DVC_EXP_NAME", "moody-hats")
    monkeypatch.setenv("DVC_STAGE", "train@0")
    tags = tracking.lineage(tmp_path)
    assert tags["mlflow.source.git.commit"] == git("rev-parse", "HEAD")
    assert tags["git.dirty"] == "false"
    assert tags["dvc.experiment"] == "moody-hats"
    assert tags["dvc.stage"] == "train@0"
    (tmp_path / "net.py").write_text("x = 1")
    assert tracking.lineage(tmp_path)["git.dirty"] == "true"


def test_md5_of_an_out(tmp_path: Path) -> None:
    lock = tmp_path / "dvc.lock"
    assert tracking.data_md5(lock, "prepare") is None
    lock.write_text(
        "schema: '2.0'\nstages:\n  prepare:\n    cmd: x\n    outs:\n"
        "    - path: data/train\n      hash: md5\n      md5: aa.dir\n"
        "    - path: data/val\n      hash: md5\n      md5: bb.dir\n"
    )
    assert tracking.data_md5(lock, "prepare") == "aa.dir"
    assert tracking.data_md5(lock, "prepare", "data/val") == "bb.dir"
    assert tracking.data_md5(lock, "prepare", "data/test") is None
    assert tracking.data_md5(lock, "train") is None


def test_a_user_without_a_name_goes_by_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container whose user id is in no table."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 54321)
    assert tracking.lineage(tmp_path)["mlflow.user"] == "54321"
