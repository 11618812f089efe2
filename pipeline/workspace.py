"""Where the repository is, also for an experiment that DVC runs in a copy of it."""

from pathlib import Path


def main_root(cwd: Path | None = None) -> Path:
    """Root of the main repository, also from inside an experiment that DVC runs in a copy of it.

    DVC runs temporary and queued experiments under `.dvc/tmp/exps` and deletes them afterwards,
    so what must outlive them lies in the repository they were started from.
    """
    cwd = (cwd or Path.cwd()).resolve()
    for folder in reversed(cwd.parents):
        if folder.parts[-3:] == (".dvc", "tmp", "exps"):
            return folder.parents[2]
    for folder in (cwd, *cwd.parents):
        if (folder / ".dvc").exists() or (folder / ".git").exists():
            return folder
    return cwd
