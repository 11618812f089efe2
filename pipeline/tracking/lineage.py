"""Where a run came from: commit, changed files, DVC experiment, md5 of its data."""

import os
import subprocess
from pathlib import Path

CODE = (":/*.py", ":/dvc.yaml", ":/*.toml", ":/uv.lock")
"""What makes a run another one than its commit says; files that DVC writes do not count."""
ADDRESS = "mlflow.source.git.repoURL"


def lineage() -> dict[str, str]:
    """Return tags that say which code and DVC experiment a run came from; unknown ones left out.

    The commit, the command and the user are MLflow's own tags. `git.changed` tells how the code
    differs from the commit, as `git status --short` does.
    """
    from mlflow.tracking.context.registry import resolve_tags

    tags = resolve_tags()
    tags.pop(ADDRESS, None)  # it may hold a password
    tags |= {"git.changed": _changed(), "dvc.experiment": os.environ.get("DVC_EXP_NAME", "")}
    return {key: value for key, value in tags.items() if value}


def data_md5(lock: Path, stage: str) -> str | None:
    """Return the md5 that `lock` (a dvc.lock) holds for the first out of `stage`, if any.

    A folder's md5 ends in ".dir".
    """
    if not lock.is_file():
        return None
    import yaml  # which a node without DVC may not have

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    stages = (yaml.load(lock.read_text(), Loader=loader) or {}).get("stages", {})
    return stages[stage]["outs"][0].get("md5") if stage in stages else None


def _changed() -> str:
    command = ["git", "status", "--short", "--untracked-files=all", "--", *CODE]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout[:1000]
    except (OSError, subprocess.TimeoutExpired):
        return ""
