"""The MLflow store: where it is, how it is first touched, and calls that cannot hold up the work.

Nothing here imports MLflow before a run is opened.
"""

import logging
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline.files import whole_file
from pipeline.workspace import main_root

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

SQLITE = "sqlite:///"
SERVED = ("http:", "https:", "databricks")
CALL_SECONDS = 8.0
"""At most for a call; a store that needs longer is taken for one that is away."""
WORK_SECONDS = 120.0
"""At most for what takes long in a store that works: its making, an upload."""
MLFLOW_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}

T = TypeVar("T")


class Calls:
    """Makes the calls of one run to its store; after the first failure it makes none.

    Each call has a thread of its own, since no driver and no look-up of a name can be relied on to
    give up in time.
    """

    def __init__(self, uri: str) -> None:
        self.dead = False
        self._uri = uri

    def make(self, call: Callable[[], T], *, seconds: float = CALL_SECONDS) -> T | None:
        """Return what `call` returns. If it fails or takes longer than that, warn; return None."""
        if self.dead:
            return None
        outcome: Future[T] = Future()

        def work() -> None:
            try:
                outcome.set_result(call())
            except Exception as error:
                outcome.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        try:
            return outcome.result(seconds)
        except Exception as error:
            self.dead = True
            slow = "it does not answer in time" if isinstance(error, TimeoutError) else ""
            log.warning(
                "Not tracked from here on: the MLflow store %s cannot be used: %s. "
                "The work goes on without it.",
                *(plain(self._uri), slow or plain(str(error)) or type(error).__name__),
            )
            return None


def store_uri(cwd: Path | None = None) -> str:
    """Return $MLFLOW_TRACKING_URI, else the sqlite file `mlflow.db` in the main repository.

    A relative sqlite path is taken from the main repository, not from the folder of the moment.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
    if not uri.startswith(SQLITE):
        return uri
    return f"{SQLITE}{main_root(cwd) / uri.removeprefix(SQLITE)}"


def quiet() -> None:
    """Set MLflow up to give up soon and to say little, and name a home if the system knows none."""
    for key, value in MLFLOW_DEFAULTS.items():
        os.environ.setdefault(key, value)
    for name in ("alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        Path.home()
    except RuntimeError:  # MLflow could not be imported
        os.environ["HOME"] = "/nonexistent"


def open_experiment(uri: str, experiment: str) -> "tuple[MlflowClient, str]":
    """Return a client and the id of the experiment, both created at their first use.

    Several processes that touch an empty database at once break it for good, and
    `mlflow.set_experiment` drops runs into "Default" when it loses a race. Hence the lock and the
    explicit id.
    """
    from filelock import FileLock
    from mlflow import MlflowClient
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    if uri.startswith(SERVED):  # a server looks after itself
        client = MlflowClient(uri, registry_uri=uri)
        return client, _experiment_id(client, experiment, None)
    in_file = uri.startswith(SQLITE)
    database = Path(uri.removeprefix(SQLITE)) if in_file else main_root() / "mlflow.db"
    database.parent.mkdir(parents=True, exist_ok=True)
    if not in_file:  # MLflow itself tries ten times before it says what is wrong
        create_engine(uri, poolclass=NullPool).connect().close()
    artifacts = (database.parent / "mlartifacts").as_uri()
    with FileLock(f"{database}.lock"):
        if in_file and not database.exists():
            # MLflow cannot use a file that has some of its tables, as a killed process leaves it.
            with whole_file(database) as part:
                MlflowClient(f"{SQLITE}{part}").create_experiment(experiment, artifacts)
        client = MlflowClient(uri, registry_uri=uri)
        return client, _experiment_id(client, experiment, artifacts)


def _experiment_id(client: "MlflowClient", experiment: str, artifacts: str | None) -> str:
    if found := client.get_experiment_by_name(experiment):
        return found.experiment_id
    try:
        return client.create_experiment(experiment, artifacts)
    except Exception:  # another process was faster
        if found := client.get_experiment_by_name(experiment):
            return found.experiment_id
        raise


def plain(text: str) -> str:
    """Return the first line of `text`, without names, passwords and queries of addresses."""
    line = text.partition("\n")[0].rstrip(".")
    return re.sub(r"(//[^\s?]*)\?\S*", r"\1", re.sub(r"//[^/\s]*@", "//", line))
