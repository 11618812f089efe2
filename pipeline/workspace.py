"""Where the repository is, also for an experiment that DVC runs in a copy of it."""

from pathlib import Path

COPIES = ((".dvc", "tmp", "exps"), (".dvc", "tmp", "cluster"))
"""Where in a repository copies of it lie: DVC's of experiments, and those of `commands.cluster`."""


def main_root(cwd: Path | None = None) -> Path:
    """Return the root of the main repository, also from a copy of it that an experiment runs in.

    DVC runs temporary and queued experiments under `.dvc/tmp/exps` and deletes them afterwards. The
    cluster command does the same under `.dvc/tmp/cluster`. So what must outlive them lies in the
    repository they were started from.
    """
    cwd = (cwd or Path.cwd()).resolve()
    for folder in reversed(cwd.parents):
        if folder.parts[-3:] in COPIES:
            return folder.parents[2]
    for folder in (cwd, *cwd.parents):
        if (folder / ".dvc").exists() or (folder / ".git").exists():
            return folder
    return cwd
