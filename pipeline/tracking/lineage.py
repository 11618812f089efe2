"""Where a run came from: commit, changed files, DVC experiment and stage, md5 of its data."""

import getpass
import os
import subprocess
import sys
from pathlib import Path

import yaml

WRITTEN_BY_DVC = ("params.yaml", "dvc.lock", "reports")
CODE = ("pipeline", "stages", "commands")
MOST_NAMES = 10


def lineage(cwd: Path | None = None) -> dict[str, str]:
    """Return tags that say which code and DVC experiment a run came from; unknown ones left out.

    `git.changed` names the files that differ from the commit. Files that DVC itself writes do not
    count. An untracked file counts if it is code.
    """
    module = getattr(sys.modules["__main__"], "__spec__", None)
    tags = {
        "mlflow.source.name": module.name if module else sys.argv[0],
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": _git("rev-parse", "HEAD", cwd=cwd).strip(),
        "git.changed": _changed(cwd),
        "mlflow.user": _user(),
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
        "dvc.baseline": os.environ.get("DVC_EXP_BASELINE_REV", ""),
        "dvc.stage": os.environ.get("DVC_STAGE", ""),
    }
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


def _changed(cwd: Path | None) -> str:
    others = [f":(top,exclude){path}" for path in WRITTEN_BY_DVC]
    code = [f":(top){path}" for path in CODE]
    changed = _git("diff", "--name-only", "-z", "HEAD", "--", ":/", *others, cwd=cwd)
    untracked = ("ls-files", "--others", "--exclude-standard", "--full-name", "-z")
    changed += _git(*untracked, "--", *code, cwd=cwd)
    names = sorted(filter(None, changed.split("\0")))
    more = [f"and {len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else []
    return ", ".join(names[:MOST_NAMES] + more)


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
    return done.stdout if done.returncode == 0 else ""
