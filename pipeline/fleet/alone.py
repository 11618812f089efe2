"""One fleet at a time in a repository, and nothing left of the one before."""

import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class FleetError(RuntimeError):
    """A fleet that cannot be started, or that has not brought all models to their end."""


@contextmanager
def alone(folder: Path) -> Iterator[str]:
    """Hold the fleet's folder, and yield how the marks of its jobs begin.

    Raises FleetError if another fleet runs there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise FleetError("a fleet runs here already; wait for its end or stop it") from None
    try:
        path = folder / "id"
        if not path.is_file():
            path.write_text(uuid.uuid4().hex)
        yield f"{path.read_text()}/"
    finally:
        lock.release()


def end_slurm_jobs(folder: Path) -> None:
    """Cancel the Slurm jobs that an earlier fleet has left, and wait until they are gone.

    folder: submitit's.
    """
    ids = [path.name.split("_")[0] for path in folder.glob("*_submission.sh")]
    if not ids:
        return
    subprocess.run(["scancel", *ids], stderr=subprocess.DEVNULL)
    ask = ["squeue", "--noheader", "--jobs", ",".join(ids)]
    while subprocess.run(ask, capture_output=True).stdout.strip():
        time.sleep(2)
