"""Lineage: commit, experiment, md5 of the data, and a user without a name."""

import subprocess
from pathlib import Path

import pytest

from pipeline.tracking import api as tracking


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
    for name in ("net.py", "params.yaml", "dvc.lock", "reports/points.csv", "a b.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    for name in ("params.yaml", "dvc.lock", "notes.txt"):
        (tmp_path / name).write_text("changed by dvc, or untracked")
    (tmp_path / "reports" / "points.csv").unlink()
    monkeypatch.setenv("DVC_EXP_NAME", "moody-hats")
    monkeypatch.setenv("DVC_STAGE", "train@0")
    tags = tracking.lineage(tmp_path)
    assert tags["mlflow.source.git.commit"] == git("rev-parse", "HEAD")
    assert "git.changed" not in tags
    assert tags["dvc.experiment"] == "moody-hats"
    assert tags["dvc.stage"] == "train@0"
    (tmp_path / "net.py").write_text("x = 1")
    git("add", "net.py")
    (tmp_path / "a b.toml").unlink()
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "new.py").write_text("x = 1")
    for cwd in (tmp_path, tmp_path / "pipeline"):
        assert tracking.lineage(cwd)["git.changed"] == "a b.toml, net.py, pipeline/new.py"
    for i in range(12):
        (tmp_path / "pipeline" / f"n{i:02}.py").write_text("")
    changed = tracking.lineage(tmp_path)["git.changed"].split(", ")
    assert changed[-2:] == ["pipeline/n07.py", "and 5 more"]
    assert len(changed) == 11


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
