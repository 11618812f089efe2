"""Notes on disk of the runs that are open: a killed process cannot close its own.

SIGKILL, a power cut or a store that went away leave a run RUNNING for ever. So each open run has a
note beside the checkpoints. Its process holds a lock on the note, which the system releases when
the process ends, however it ends. The next start finds the notes that nobody holds: it goes on
with the run of its own work, and ends the other ones.
"""

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pipeline.files import whole_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

TAG = "note"
"""Tag of a run: the name of its note. A note is there before its run, so it cannot hold the id."""


@dataclass(frozen=True)
class Note:
    """What is noted of an open run."""

    store: str
    """A digest of its address, which may hold a password."""
    experiment_id: str
    name: str
    """Of the run."""
    resume: str | None
    """What a killed process of the same work goes on from; None: it begins anew."""
    status: str | None = None
    """How the run ended, if the store could not be told."""


@dataclass(frozen=True)
class HeldNote:
    """A note that no other process can take."""

    note: Note
    path: Path
    file: IO[bytes]
    """Open and locked."""

    @property
    def kept(self) -> Path:
        """Return the folder for what waits to be sent; it goes when the process has ended."""
        return self.path.with_suffix("")

    def ended(self, status: str, told: bool) -> None:
        """Let go of the note; keep it if the run may go on, or if its end must still be told."""
        shutil.rmtree(self.kept, ignore_errors=True)
        with suppress(OSError):  # a full disk must not hurt the work
            if not told:
                resume = None if status == "FINISHED" else self.note.resume
                _write(self.path, replace(self.note, resume=resume, status=status))
            elif status == "FINISHED" or self.note.resume is None:
                self.path.unlink(missing_ok=True)
        self.file.close()


@dataclass(frozen=True)
class Before:
    """What a run holds already when it goes on."""

    run_id: str
    params: frozenset[str] = frozenset()
    metrics: Mapping[str, Mapping[int, "Metric"]] = field(default_factory=dict)
    """By name and step."""


def new_note(folder: Path, note: Note) -> HeldNote:
    """Write a note and hold it; the name of its file goes into the tag `TAG` of the run."""
    path = folder / f"{uuid.uuid4().hex}.json"
    with whole_file(path) as part:
        part.write_text(json.dumps(asdict(note)))
        file = part.open("rb")
        fcntl.flock(file, fcntl.LOCK_EX)
    return HeldNote(note, path, file)


def left_notes(folder: Path) -> list[HeldNote]:
    """Return the notes that no living process holds; they are held by this one now."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            file = path.open("rb")
        except FileNotFoundError:  # its run has ended since
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.fstat(file.fileno()).st_nlink:
                raise BlockingIOError
            found.append(HeldNote(Note(**json.load(file)), path, file))
        except BlockingIOError:
            file.close()
        except (ValueError, TypeError):  # of another version of this file
            file.close()
            path.unlink(missing_ok=True)
    return found


def go_on(client: "MlflowClient", folder: Path, wanted: Note) -> tuple[HeldNote, Before] | None:
    """End the runs of processes that are gone; reopen the one that `wanted` goes on with, if any.

    Runs of another store are left alone. Raises what the client raises.
    """
    chosen = None
    for held in left_notes(folder):
        if held.note.store != wanted.store:
            held.file.close()
            continue
        run_id = _find(client, held)
        same_work = wanted.resume is not None and replace(held.note, status=None) == wanted
        if run_id is None:
            held.ended("FINISHED", told=True)
        elif same_work and chosen is None:
            client.update_run(run_id, status="RUNNING")
            shutil.rmtree(held.kept, ignore_errors=True)
            chosen = held, _before(client, run_id)
        else:
            _end(client, held, run_id, wanted)
    return chosen


def _end(client: "MlflowClient", held: HeldNote, run_id: str, wanted: Note) -> None:
    status = held.note.status or "KILLED"
    if client.get_run(run_id).info.status == "RUNNING":
        client.set_terminated(run_id, status)
    # A training whose settings were changed before its first checkpoint has nothing to go on from.
    given_up = (
        held.note.name == wanted.name
        and held.note.resume is not None
        and not Path(held.note.resume).exists()
    )
    held.ended("FINISHED" if given_up else status, told=True)


def _find(client: "MlflowClient", held: HeldNote) -> str | None:
    found = client.search_runs(
        [held.note.experiment_id], f"tags.`{TAG}` = '{held.path.stem}'", max_results=1
    )
    return found[0].info.run_id if found else None


def _before(client: "MlflowClient", run_id: str) -> Before:
    data = client.get_run(run_id).data
    metrics = {
        key: {metric.step: metric for metric in client.get_metric_history(run_id, key)}
        for key in data.metrics
    }
    return Before(run_id, frozenset(data.params), metrics)


def _write(path: Path, note: Note) -> None:
    with whole_file(path) as part:
        part.write_text(json.dumps(asdict(note)))
