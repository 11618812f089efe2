"""A run of an MLflow store that may go away at any time, and its null twin.

Every call is put in a queue, and the queue is sent every few seconds and at the end of the run.
When the server does not answer, the queue waits. All calls may be repeated without harm, so one
that was cut short is simply sent again.
"""

import json
import logging
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking_model import export_model, model_sender

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from mlflow import MlflowClient
    from mlflow.entities import Metric

log = logging.getLogger(__name__)

SEND_SECONDS = 5.0
RETRY_SECONDS = 30.0
REQUEST_SECONDS = 10
UPLOAD_SECONDS = 120
METRICS_PER_BATCH, PARAMS_PER_BATCH = 1000, 100  # the server's limits


@dataclass(frozen=True)
class Call:
    """One call that waits for the server: `what` names it in warnings; `upload` may take long."""

    what: str
    send: Callable[[], object]
    upload: bool = False


class NullRun:
    """Takes every call of a Run and does nothing."""

    id: str | None = None

    def log(self, values: Mapping[str, float], step: int | None = None) -> None: ...

    def tags(self, values: Mapping[str, str]) -> None: ...

    def file(self, path: Path, folder: str | None = None) -> None: ...

    def table(self, data: "pd.DataFrame", name: str) -> None: ...

    def dataset(self, name: str, *, digest: str, source: str, context: str) -> None: ...

    def model(
        self,
        module: "torch.nn.Module",
        example: "torch.Tensor",
        *,
        name: str,
        registered: str | None = None,
        alias: str | None = None,
    ) -> None: ...

    def finish(self, status: str) -> None: ...


class Run:
    """An open MLflow run; made by `pipeline.tracking.start`. Not for several threads at once."""

    def __init__(
        self,
        client: "MlflowClient",
        *,
        run_id: str,
        experiment_id: str,
        name: str,
        params: Mapping[str, object],
    ) -> None:
        from mlflow.entities import Param

        self.id: str | None = run_id
        self._client = client
        self._run_id = run_id
        self._experiment_id = experiment_id
        self._name = name
        self._params = {key: str(value) for key, value in params.items()}
        self._metrics: list[Metric] = []
        self._latest: dict[str, Metric] = {}
        self._tables: list[str] = []
        self._calls: list[Call] = []
        self._refused: list[Call] = []
        self._away = False
        self._due = 0.0
        self._kept = Path(tempfile.mkdtemp(prefix="tracking-"))
        entries = [Param(key, value) for key, value in self._params.items()]
        for first in range(0, len(entries), PARAMS_PER_BATCH):
            some = entries[first : first + PARAMS_PER_BATCH]
            self._add(Call(f"{len(some)} params", partial(client.log_batch, run_id, params=some)))

    def log(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Metrics at a step; a value that is not finite is stored as not-a-number."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        for key, value in values.items():
            # sqlite stores would hold infinity as 1.8e308, which flattens every chart
            number = float(value) if math.isfinite(value) else math.nan
            metric = Metric(key, number, now, step or 0)
            self._metrics.append(metric)
            self._latest[key] = metric
        self._send_if_due()

    def tags(self, values: Mapping[str, str]) -> None:
        """Set or replace tags."""
        from mlflow.entities import RunTag

        entries = [RunTag(key, str(value)) for key, value in values.items()]
        what = f"tags {', '.join(values)}"
        self._add(Call(what, partial(self._client.log_batch, self._run_id, tags=entries)))

    def file(self, path: Path, folder: str | None = None) -> None:
        """A file as it is now, under its own name in `folder` of the run's artifacts."""
        copy = Path(shutil.copy2(path, tempfile.mkdtemp(dir=self._kept)))
        send = partial(self._client.log_artifact, self._run_id, str(copy), folder)
        self._add(Call(f"file {path.name}", send, upload=True))

    def table(self, data: "pd.DataFrame", name: str) -> None:
        """A table that MLflow's table view shows, as `<name>.json`."""
        path = Path(tempfile.mkdtemp(dir=self._kept)) / f"{name}.json"
        data.to_json(path, orient="split", index=False, date_format="iso")
        self._tables.append(path.name)
        # MLflow's own log_table appends when repeated, which would double the rows.
        shown = json.dumps([{"path": table, "type": "table"} for table in self._tables])

        def send() -> None:
            self._client.log_artifact(self._run_id, str(path))
            self._client.set_tag(self._run_id, "mlflow.loggedArtifacts", shown)

        self._add(Call(f"table {name}", send, upload=True))

    def dataset(self, name: str, *, digest: str, source: str, context: str) -> None:
        """Data the run came from: `digest` of at most 36 characters, `source` a path or URI."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = Dataset(name, digest, source_type="local", source=json.dumps({"uri": source}))
        entry = DatasetInput(data, [InputTag("mlflow.data.context", context)])
        send = partial(self._client.log_inputs, self._run_id, [entry])
        self._add(Call(f"dataset {name}", send))

    def model(
        self,
        module: "torch.nn.Module",
        example: "torch.Tensor",
        *,
        name: str,
        registered: str | None = None,
        alias: str | None = None,
    ) -> None:
        """The module as it is now, as a model that loads without this project's code.

        `example` is a batch of two, and `module` returns one tensor whose first dimension is the
        batch too. `registered` is a name in the model registry, `alias` moves to this version.
        """
        folder = self._kept / f"model-{name}"
        try:
            exported = export_model(module, example, folder=folder)
        except Exception as error:
            log.warning("Model %s is not logged: %s", name, error)
            return
        send = model_sender(
            self._client,
            exported,
            folder=folder,
            run_id=self._run_id,
            experiment_id=self._experiment_id,
            name=name,
            params=self._params,
            metrics=list(self._latest.values()),
            registered=registered,
            alias=alias,
        )
        self._add(Call(f"model {name}", send, upload=True))

    def finish(self, status: str) -> None:
        """Send what is left and close the run; what cannot be sent is named in one warning."""
        ended = int(time.time() * 1000)
        self._calls = self._refused + self._calls
        self._refused = []
        send = partial(self._client.set_terminated, self._run_id, status, ended)
        self._calls.append(Call(f"its end ({status})", send))
        self._send()
        left = [call.what for call in self._refused + self._calls]
        if self._metrics:
            steps = [metric.step for metric in self._metrics]
            left.insert(0, f"{len(steps)} metric values (steps {min(steps)} to {max(steps)})")
        if left:
            log.warning(
                "The MLflow run %s (%s) is incomplete, not sent: %s. "
                "The work itself is not affected.",
                self._name,
                self._run_id,
                ", ".join(left),
            )
        shutil.rmtree(self._kept, ignore_errors=True)

    def _add(self, call: Call) -> None:
        self._calls.append(call)
        self._send_if_due()

    def _send_if_due(self) -> None:
        if time.monotonic() >= self._due:
            self._send()

    def _send(self) -> None:
        began = time.monotonic()
        done = self._send_metrics() and self._send_calls()
        now = time.monotonic()
        if done and self._away:
            log.warning("MLflow answers again: what was kept is sent")
        if not done and not self._away:
            log.warning("MLflow does not answer: values are kept and sent when it is back")
        self._away = not done
        # ten times what the failed attempt took, so that waiting costs a tenth at most
        wait = SEND_SECONDS if done else max(RETRY_SECONDS, 10 * (now - began))
        self._due = now + wait

    def _send_metrics(self) -> bool:
        while self._metrics:
            some = self._metrics[:METRICS_PER_BATCH]
            send = partial(self._client.log_batch, self._run_id, metrics=some)
            if not self._deliver(Call(f"{len(some)} values", send)):
                return False
            del self._metrics[: len(some)]
        return True

    def _send_calls(self) -> bool:
        while self._calls:
            if not self._deliver(self._calls[0]):
                return False
            del self._calls[0]
        return True

    def _deliver(self, call: Call) -> bool:
        """False when the server is away. A call refused twice by a server that answers is put
        aside until the end, so that it does not hold up the others."""
        failure: Exception | None = None
        for _ in range(2):
            if (failure or call.upload) and not self._answers():
                return False
            try:
                with _patience(UPLOAD_SECONDS if call.upload else REQUEST_SECONDS):
                    call.send()
                return True
            except Exception as error:
                failure = error
        if not self._answers():
            return False
        log.warning("MLflow refuses %s: %s", call.what, failure)
        self._refused.append(call)
        return True

    def _answers(self) -> bool:
        try:
            self._client.get_run(self._run_id)
        except Exception:
            return False
        return True


@contextmanager
def _patience(seconds: int) -> Iterator[None]:
    """MLflow's request timeout for one call, unless the user set one."""
    key, ours = "MLFLOW_HTTP_REQUEST_TIMEOUT", str(REQUEST_SECONDS)
    if os.environ.get(key) != ours:
        yield
        return
    os.environ[key] = str(seconds)
    try:
        yield
    finally:
        os.environ[key] = ours
