"""What an earlier setting left in folders that the report depends on as a whole.

DVC keeps the outputs of stages that no longer exist, such as the models of a seed that is no longer
in `seeds`. It hashes a folder with all that lies in it, so the same settings would be another
experiment in a clone that never had that seed.
"""

import shutil
from collections.abc import Collection
from pathlib import Path

import yaml

from pipeline.artifacts import (
    LOCK_FILE,
    ModelName,
    diagnostics_file,
    evaluation_folder,
    features_file,
    model_folder,
    streams_folder,
)

OUTPUTS = (model_folder, features_file, diagnostics_file, streams_folder, evaluation_folder)


def remove_leftovers(names: Collection[ModelName]) -> list[Path]:
    """Remove what stages of other models have left, and return it; DVC's cache keeps it.

    names: the models of the settings. Only what `dvc.lock` names as an output goes, since DVC has
    that in its cache and brings it back with the setting.
    """
    if not LOCK_FILE.is_file():
        return []
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    stages = (yaml.load(LOCK_FILE.read_text(), Loader=loader) or {}).get("stages", {})
    noted = {Path(out["path"]) for stage in stages.values() for out in stage.get("outs", [])}
    belongs = {path_of(name) for path_of in OUTPUTS for name in names}
    folders = {path.parent for path in belongs}
    left = sorted(x for x in noted - belongs if x.parent in folders and x.exists())
    for path in left:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return left
