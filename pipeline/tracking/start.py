"""MLflow behind one small object: where the store is, how a run starts and ends.

Nothing here may hurt the work it watches. Without MLflow, with tracking off, or with a store that
does not answer, `start` yields a `NullRun` that takes every call and does nothing.
"""

import hashlib
import importlib.util
import logging
import os
import re
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from pipeline.tracking.lineage import lineage
from pipeline.tracking.notes import TAG, Before, Note, go_on, new_note
from pipeline.tracking.outbox import REQUEST_SECONDS
from pipeline.tracking.reach import check_reachable, removed_store
from pipeline.tracking.run import NullRun, Run
from pipeline.tracking.sqlite import create_store
from pipeline.workspace import main_root

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

SQLITE = "sqlite:///"
LOCK_SECONDS = 300
SIGTERM_EXIT = 128 + signal.SIGTERM
SIGNAL_EXITS = (128 + signal.SIGINT, SIGTERM_EXIT)

# MLflow retries a silent server for about four minutes a call, which would stop a training step.
MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(REQUEST_SECONDS),
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}


def store_uri(cwd: Path | None = None) -> str:
    """Return $MLFLOW_TRACKING_URI, else the sqlite file `mlflow.db` in the main repository.

    A relative sqlite path is taken from the main repository, not from the folder of the moment.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
    if not uri.startswith(SQLITE):
        return uri
    return f"{SQLITE}{main_root(cwd) / uri.removeprefix(SQLITE)}"


@contextmanager
def start(
    *,
    enabled: bool,
    experiment: str,
    name: str,
    params: Mapping[str, object],
    tags: Mapping[str, str],
    parent: str | None = None,
    resume: Path | None = None,
) -> Iterator[Run | NullRun]:
    """Open a run, yield it, and close it as FINISHED, FAILED or KILLED.

    `params` is flat; `parent` is the id of a run of the same experiment, finished or not, under
    which this one is shown. `resume` is the file that this work goes on from when its process was
    stopped, killed or failed: the next start with the same file goes on with the same run. Any
    start ends, as KILLED, the other runs that killed processes of this repository left open. While
    the run is open SIGTERM raises SystemExit(143), so that the `finally` blocks of the caller are
    run. Raises nothing of its own: a store that cannot be opened is a warning and a NullRun.
    """
    with _sigterm_as_exit():
        run = _open(experiment, name, params, tags, parent, resume) if enabled else NullRun()
        try:
            yield run
            run.finish("FINISHED")
        except BaseException as error:  # also one that comes while the run is being finished
            run.finish(_status(error))
            raise


def close_left(experiment: str, job: str) -> None:
    """Close as KILLED the runs that jobs of the fleet have left open: a killed process cannot.

    job: how the tag `fleet.job` of the runs begins. Their processes must have ended. A store that
    cannot be opened is a warning.
    """
    try:
        client, experiment_id = _first_touch(_quiet_store(), experiment)
        wanted = f"attributes.status = 'RUNNING' and tags.`fleet.job` LIKE '{job}%'"
        for run in client.search_runs([experiment_id], wanted):
            client.set_terminated(run.info.run_id, "KILLED")
    except Exception as error:
        log.warning("Runs of killed jobs may still be open in MLflow: %s", error)


def _quiet_store() -> str:
    """Return the store's address, once MLflow is set up to give up soon and to say little."""
    for key, value in MLFLOW_DEFAULTS.items():
        os.environ.setdefault(key, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    _have_a_home()
    return store_uri()


def _have_a_home() -> None:
    """Name a home folder where the system knows none: without one MLflow cannot be imported."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/nonexistent"


def _open(
    experiment: str,
    name: str,
    params: Mapping[str, object],
    tags: Mapping[str, str],
    parent: str | None,
    resume: Path | None,
) -> Run | NullRun:
    if importlib.util.find_spec("mlflow") is None:
        _say_once("MLflow is not installed: nothing is tracked")
        return NullRun()
    uri = _quiet_store()
    all_tags = lineage() | dict(tags)
    if parent:
        all_tags["mlflow.parentRunId"] = parent
    try:
        client, experiment_id = _first_touch(uri, experiment)
        store = hashlib.sha256(uri.encode()).hexdigest()
        wanted = Note(store, experiment_id, name, str(resume) if resume else None)
        found = go_on(client, _notes_folder(), wanted)
        if found is None:
            note = new_note(_notes_folder(), wanted)
            tagged = all_tags | {TAG: note.path.stem}
            before = Before(
                client.create_run(experiment_id, tags=tagged, run_name=name).info.run_id
            )
        else:
            note, before = found
        run = Run(client, note=note, before=before, params=params)
    except Exception as error:
        # a database's address may hold a password
        shown = re.sub("//[^/@]*@", "//", uri)
        log.warning(
            "Not tracked: the MLflow store %s cannot be used: %s. The work goes on without it.",
            *(shown, str(error).rstrip(".")),
        )
        return NullRun()
    if found:
        run.tags(all_tags)  # of the process that goes on
    return run


def _notes_folder() -> Path:
    return main_root() / ".checkpoints" / "runs"


def _first_touch(uri: str, experiment: str) -> "tuple[MlflowClient, str]":
    """Return a client and the id of the experiment, both created at their first use.

    Several processes that touch an empty database at once break it for good, and
    `mlflow.set_experiment` drops runs into "Default" when it loses a race: hence the lock and the
    explicit id.
    """
    from filelock import FileLock
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    # a server looks after itself; any other database is entered from here as if it lay here
    served = uri.startswith(("http:", "https:"))
    in_file = uri.startswith(SQLITE)
    database = Path(uri.removeprefix(SQLITE)) if in_file else main_root() / "mlflow.db"
    artifacts = (database.parent / "mlartifacts").as_uri()
    location = None if served else artifacts
    if not in_file:
        check_reachable(uri)
    if not served:
        database.parent.mkdir(parents=True, exist_ok=True)
    with nullcontext() if served else FileLock(f"{database}.lock", timeout=LOCK_SECONDS):
        if in_file and (gone := removed_store(database)):
            log.warning(gone)
        if in_file and not database.exists():
            create_store(database, experiment, artifacts)
        client = MlflowClient(uri, registry_uri=uri)
        found = client.get_experiment_by_name(experiment)
        if found is None:
            try:
                return client, client.create_experiment(experiment, artifact_location=location)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_experiment_by_name(experiment)
    if found is None or found.lifecycle_stage == "deleted":
        raise ValueError(
            f"the experiment {experiment!r} is deleted there; bring it back with "
            "`mlflow experiments restore` or set another name"
        )
    return client, found.experiment_id


def _status(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "KILLED"
    if isinstance(error, SystemExit) and error.code in (None, 0, *SIGNAL_EXITS):
        return "KILLED" if error.code else "FINISHED"
    return "FAILED"


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Turn SIGTERM into an exit, in the main thread only, and only if nothing else handles it."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    owner = os.getpid()

    def stop(signum: int, frame: FrameType | None) -> NoReturn:
        if os.getpid() != owner:  # a forked worker has no run to close
            os._exit(SIGTERM_EXIT)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not stop the closing
        raise SystemExit(SIGTERM_EXIT)

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@cache
def _say_once(message: str) -> None:
    log.warning(message)
