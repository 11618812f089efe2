"""Where a run came from: repository, commit, DVC experiment and stage, md5 of its data."""

import getpass
import os
import subprocess
import sys
from pathlib import Path

import yaml


def lineage(cwd: Path | None = None) -> dict[str, str]:
    """Return tags that say which code and DVC experiment a run came from; unknown ones left out.

    `git.dirty` looks at code and settings only: DVC itself rewrites metrics and its lock file.
    """
    module = getattr(sys.modules["__main__"], "__spec__", None)
    tags = {
        "mlflow.source.name": module.name if module else sys.argv[0],
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
        "dvc.baseline": os.environ.get("DVC_EXP_BASELINE_REV", ""),
        "dvc.stage": os.environ.get("DVC_STAGE", ""),
        "fleet.job": os.environ.get("FLEET_JOB", ""),
    }
    commit = _git("rev-parse", "HEAD", cwd=cwd)
    if commit:
        changed = _git("status", "--porcelain", "--", "*.py", "*.yaml", "*.toml", cwd=cwd)
        tags |= {"mlflow.source.git.commit": commit, "git.dirty": str(bool(changed)).lower()}
    return {key: value for key, value in tags.items() if value}


def data_md5(lock: Path, stage: str, out: str | None = None) -> str | None:
    """Return the md5 that `lock` (a dvc.lock) holds for `out` of `stage`, by default its first out.

    None when there is no such file, stage or out. A folder's md5 ends in ".dir".
    """
    if not lock.is_file():
        return None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    stages = (yaml.load(lock.read_text(), Loader=loader) or {}).get("stages", {})
    for entry in stages.get(stage, {}).get("outs", []):
        if out is None or entry["path"] == out:
            return entry.get("md5")
    return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container with a user id that has no name
        return str(os.getuid())


def _git(*words: str, cwd: Path | None) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=cwd, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
