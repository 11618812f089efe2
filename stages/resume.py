"""Where a stage keeps work in progress: a name for all that it depends on."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.shards import digest
from pipeline.workspace import main_root

ROOT = Path(__file__).parents[1]


def work_of(stage: str, name: object, settings: Mapping[str, Any], files: Iterable[Path]) -> Path:
    """Return the folder of work in progress of a stage (see `pipeline.shards.work_folder`).

    It lies in the main repository, also for an experiment in a copy of it. settings, files: all
    that decides what the stage gives, beside its code.
    """
    key = digest({"stage": stage, "name": str(name), **settings}, [*files, *code(stage)])
    return main_root() / ".checkpoints" / f"{stage}-{name}-{key}"


def code(stage: str) -> list[Path]:
    """Return the code that a stage runs on: the files that dvc.yaml names for it."""
    deps = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][stage]["deps"]
    # Outputs of other stages come with the settings and files, and `${...}` is such an output too.
    named = [ROOT / dep for dep in deps if dep.startswith(("stages/", "pipeline/"))]
    return [file for path in named for file in (path.rglob("*.py") if path.is_dir() else [path])]
