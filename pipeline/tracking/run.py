"""An MLflow run behind one small object: how it starts, what it takes, how it ends.

Nothing here may hurt the work it watches. Without MLflow, with tracking off, or with a store that
does not answer, `start` yields a `NullRun`, which takes every call and does nothing.
"""

import hashlib
import importlib.util
import json
import logging
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from pipeline.tracking.lineage import lineage
from pipeline.tracking.model import log_model, point_alias, register_model, tag_version
from pipeline.tracking.store import (
    CALL_SECONDS,
    SQLITE,
    WORK_SECONDS,
    Calls,
    open_experiment,
    plain,
    quiet,
    store_uri,
)
from pipeline.tracking.views import SavedView

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from mlflow import MlflowClient
    from mlflow.entities import Metric

log = logging.getLogger(__name__)

WORK = "work"
"""Tag of a run: what work it is of, for the process that continues it."""
ARTIFACT = "artifact"
"""Tag of a run: the digest of what it made."""
PARENT = "mlflow.parentRunId"
SIGTERM_EXIT = 128 + signal.SIGTERM
SIGNAL_EXITS = (128 + signal.SIGINT, SIGTERM_EXIT)


class NullRun:
    """Takes every call of a Run and does nothing."""

    id: str | None = None
    experiment_id: str | None = None

    def __getattr__(self, name: str) -> Callable[..., None]:
        getattr(Run, name)  # raises where a Run would
        return lambda *args, **kwargs: None


@dataclass
class Run:
    """An open MLflow run; made by `start`. Not for several threads at once."""

    id: str
    experiment_id: str
    _uri: str
    _client: "MlflowClient"
    _calls: Calls
    _held: set[tuple[str, int]]
    """Names and steps of the values that a continued run has already."""
    _step: int = 0

    def log(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log finite values at a step, in one call; a continued run keeps what it has there."""
        self._step = step
        new = {key: value for key, value in values.items() if (key, step) not in self._held}
        self._calls.make(partial(self._client.log_batch, self.id, _metrics(new, step)))

    def log_to(self, run_id: str, values: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Log finite values and tags to another run of the store, finished or not.

        A value that the run has already is not sent again: MLflow would keep both.
        """
        from mlflow.entities import RunTag

        def send() -> None:
            held = self._client.get_run(run_id).data.metrics
            new = {key: value for key, value in values.items() if held.get(key) != value}
            given = [RunTag(key, value) for key, value in tags.items()]
            self._client.log_batch(run_id, _metrics(new, 0), tags=given)

        self._calls.make(send)

    def made(self, digest: str) -> None:
        """Note the digest of what this run made, by which `find` finds it."""
        self._calls.make(partial(self._client.set_tag, self.id, ARTIFACT, digest))

    def find(self, stage: str, model: str, artifact: str) -> str | None:
        """Return the id of the newest run of a stage and model that made `artifact`, if any."""
        wanted = {"tags.stage": stage, "tags.model": model, f"tags.{ARTIFACT}": artifact}
        terms = [f"{key} = '{value}'" for key, value in wanted.items()]
        terms += [f"attributes.status != '{status}'" for status in ("FAILED", "KILLED")]
        search = partial(self._client.search_runs, [self.experiment_id], " and ".join(terms))
        found = self._calls.make(partial(search, max_results=1))
        return found[0].info.run_id if found else None

    def under(self, run_id: str | None) -> None:
        """Let MLflow show this run under another one of its experiment."""
        if run_id:
            self._calls.make(partial(self._client.set_tag, self.id, PARENT, run_id))

    def file(self, path: Path, folder: str = "") -> None:
        """Store a file under its own name in `folder` of the run's artifacts."""
        self._upload(partial(self._client.log_artifact, self.id, str(path), folder or None))

    def table(self, data: "pd.DataFrame", name: str) -> None:
        """Store a table that MLflow's page shows, as `<name>.json`; once, since it appends."""
        self._upload(partial(self._client.log_table, self.id, data, f"{name}.json"))

    def dataset(self, name: str, *, digest: str, source: str, context: str) -> None:
        """Note the data of the run: `digest` of at most 36 characters, `source` a path or URI."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = Dataset(name, digest, source_type="local", source=json.dumps({"uri": source}))
        entry = DatasetInput(data, [InputTag("mlflow.data.context", context)])
        self._calls.make(partial(self._client.log_inputs, self.id, [entry]))

    def model(
        self,
        module: "torch.nn.Module",
        example: "torch.Tensor",
        *,
        name: str,
        registered: str | None = None,
    ) -> None:
        """Store the module as it is now, as a model that loads without this project's code.

        `example` is a float32 batch of two, and `module` returns one tensor whose first dimension
        is the batch too. `registered` is a name in the model registry, where it becomes the next
        version. A module that cannot be exported is a warning.
        """

        def send() -> None:
            try:
                model_id = log_model(self._uri, self.id, module, example, name, self._step)
            except Exception as error:
                log.warning("Model %s is not logged: %s", name, plain(str(error)))
                return
            if registered:
                register_model(self._client, registered, model_id, self.id)

        self._upload(send)

    def alias(self, registered: str, alias: str, run_id: str) -> None:
        """Let `alias` of a registered model name the version that another run has made."""
        self._calls.make(partial(point_alias, self._client, registered, alias, run_id))

    def tag_model(self, registered: str, run_id: str, key: str, value: str) -> None:
        """Tag the version of a registered model that another run has made."""
        self._calls.make(partial(tag_version, self._client, registered, run_id, key, value))

    def view(self, view: SavedView) -> None:
        """Store a way to look at the experiment, which MLflow's page then offers."""
        self._calls.make(partial(self._client.set_experiment_tag, self.experiment_id, *view.tag))

    def end(self, status: str) -> None:
        """Close the run."""
        self._calls.make(partial(self._client.set_terminated, self.id, status))

    def _upload(self, send: Callable[[], None]) -> None:
        # A store that is away is found out soon; one that answers has time for an upload.
        self._calls.make(partial(self._client.get_run, self.id))
        self._calls.make(send, seconds=WORK_SECONDS)


@contextmanager
def start(
    *,
    enabled: bool,
    experiment: str,
    name: str,
    params: Mapping[str, object],
    tags: Mapping[str, str],
    resume: str | None = None,
) -> Iterator[Run | NullRun]:
    """Open a run, yield it, and close it as FINISHED, FAILED or KILLED.

    `params` is flat. Runs of the same work that a killed process has left open are closed as
    KILLED. `resume` identifies work that goes on after a kill: the newest run of it that has not
    finished is continued. Without it a new run begins. While the run is open SIGTERM raises
    SystemExit(143), so that the `finally` blocks of the caller are run. Raises nothing of its own:
    a store that cannot be opened is a warning and a NullRun.
    """
    _show_warnings()
    with _sigterm_as_exit():
        run = _open(experiment, name, params, tags, resume) if enabled else NullRun()
        try:
            yield run
            run.end("FINISHED")
        except BaseException as error:  # also one that comes while the run is being ended
            code = getattr(error, "code", None)
            stopped = isinstance(error, KeyboardInterrupt) or code in SIGNAL_EXITS
            run.end("KILLED" if stopped else "FAILED")
            raise


def _open(
    experiment: str,
    name: str,
    params: Mapping[str, object],
    tags: Mapping[str, str],
    resume: str | None,
) -> Run | NullRun:
    """Continue the newest run of the same work that has not finished, or create one."""
    if importlib.util.find_spec("mlflow") is None:
        log.warning("MLflow is not installed: nothing is tracked")
        return NullRun()
    quiet()
    # Here, since the import takes seconds and no store can be blamed for them.
    from mlflow.entities import Param, RunTag

    uri = store_uri()
    calls = Calls(uri)
    work = resume or hashlib.sha256(f"{name}{sorted(params.items())}".encode()).hexdigest()[:32]
    all_tags = {**lineage(), **tags, WORK: work}

    def begin() -> Run:
        client, experiment_id = open_experiment(uri, experiment)
        same = f"tags.{WORK} = '{work}' and attributes.status != 'FINISHED'"
        left = client.search_runs([experiment_id], same)  # newest first
        run = left.pop(0) if left and resume else None
        for other in left:
            if other.info.status == "RUNNING":
                client.set_terminated(other.info.run_id, "KILLED")
        run = run or client.create_run(experiment_id, tags=all_tags, run_name=name)
        run_id, data = run.info.run_id, run.data
        client.update_run(run_id, status="RUNNING")
        # A param cannot be changed: a continued run keeps what it began with.
        new = [Param(key, str(value)) for key, value in params.items() if key not in data.params]
        client.log_batch(run_id, params=new, tags=[RunTag(k, v) for k, v in all_tags.items()])
        histories = [client.get_metric_history(run_id, key) for key in data.metrics]
        held = {(metric.key, metric.step) for history in histories for metric in history}
        return Run(run_id, experiment_id, uri, client, calls, held)

    # A new sqlite file takes seconds to make, and others wait for it.
    seconds = WORK_SECONDS if uri.startswith(SQLITE) else CALL_SECONDS
    return calls.make(begin, seconds=seconds) or NullRun()


def _metrics(values: Mapping[str, float], step: int) -> "list[Metric]":
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    # A sqlite store would hold infinity as 1.8e308, which flattens every chart.
    finite = {key: float(value) for key, value in values.items() if math.isfinite(value)}
    return [Metric(key, value, now, step) for key, value in finite.items()]


def _show_warnings() -> None:
    """Show the project's warnings on stderr whatever a library makes of the root logger.

    MLflow's torch flavour sets it to errors alone.
    """
    logger = logging.getLogger("pipeline")
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    if logging.lastResort:  # the handler that Python itself uses where there is no other
        logger.addHandler(logging.lastResort)


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Turn SIGTERM into an exit while the block runs."""

    def stop(signum: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not stop the closing
        raise SystemExit(SIGTERM_EXIT)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
