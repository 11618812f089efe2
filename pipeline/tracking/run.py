"""A run of an MLflow store, and its null twin."""

import json
import logging
import shutil
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking.model import export_model, model_sender, point_alias
from pipeline.tracking.notes import Before, HeldNote
from pipeline.tracking.outbox import Call, Outbox
from pipeline.tracking.views import SavedView

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

PARAMS_PER_BATCH = 100  # the server's limit
GIVEN_BY = "given_by"
"""Tag of a run: the id of the run that first logged something to it from outside."""


class NullRun:
    """Takes every call of a Run and does nothing."""

    id: str | None = None
    experiment_id: str | None = None

    def log(self, values: Mapping[str, float], step: int | None = None) -> None: ...

    def log_to(self, run_id: str, values: Mapping[str, float], tags: Mapping[str, str]) -> None: ...

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
    ) -> None: ...

    def alias(self, registered: str, alias: str, run_id: str) -> None: ...

    def view(self, view: SavedView) -> None: ...

    def finish(self, status: str) -> None: ...


class Run:
    """An open MLflow run; made by `pipeline.tracking.start`. Not for several threads at once."""

    def __init__(
        self,
        client: "MlflowClient",
        *,
        note: HeldNote,
        before: Before,
        params: Mapping[str, object],
    ) -> None:
        from mlflow.entities import Param

        run_id = before.run_id
        self.id: str | None = run_id
        self.experiment_id: str | None = note.note.experiment_id
        self._client = client
        self._run_id = run_id
        self._experiment_id = note.note.experiment_id
        self._name = note.note.name
        self._note = note
        self._before = before
        self._params = {key: str(value) for key, value in params.items()}
        self._tables: list[str] = []
        self._refused: list[str] = []
        self._outbox = Outbox(client, run_id)
        self._kept = note.kept
        self._kept.mkdir(parents=True)
        # A param cannot be changed: a training that goes on elsewhere keeps what it began with.
        entries = [Param(k, v) for k, v in self._params.items() if k not in before.params]
        for first in range(0, len(entries), PARAMS_PER_BATCH):
            some = entries[first : first + PARAMS_PER_BATCH]
            self._outbox.add(
                Call(f"{len(some)} params", partial(client.log_batch, run_id, params=some))
            )

    def log(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics at a step; a value that is not finite is stored as not-a-number.

        A run that goes on keeps the value that it has at a step.
        """
        new = {}
        for key, value in values.items():
            known = self._before.metrics.get(key, {}).get(step or 0)
            if known is None:
                new[key] = value
            else:
                self._outbox.latest[key] = known
        self._outbox.add_metrics(new, step or 0)

    def log_to(self, run_id: str, values: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Log finite metrics and tags to another run of the same store, finished or not.

        What that run was given stays: if it has another value for any of them, nothing is logged to
        it, and `finish` says so. The tag `GIVEN_BY` of that run names the run that gave.
        """
        from mlflow.entities import Metric, RunTag

        now = int(time.time() * 1000)
        floats = {key: float(x) for key, x in values.items()}

        def send() -> None:
            data = self._client.get_run(run_id).data
            known, wanted = {**data.metrics, **data.tags}, {**floats, **tags}
            if any(known.get(key, value) != value for key, value in wanted.items()):
                self._refused.append(run_id)
                return
            # A value that is there already is not sent again: MLflow would keep both.
            new = {key: x for key, x in floats.items() if key not in data.metrics}
            said = dict(tags) if GIVEN_BY in data.tags else {**tags, GIVEN_BY: self._run_id}
            self._client.log_batch(
                run_id,
                metrics=[Metric(key, x, now, 0) for key, x in new.items()],
                tags=[RunTag(key, text) for key, text in said.items()],
            )

        self._outbox.add(Call(f"{', '.join(values)} of run {run_id}", send))

    def tags(self, values: Mapping[str, str]) -> None:
        """Set or replace tags."""
        from mlflow.entities import RunTag

        entries = [RunTag(key, str(value)) for key, value in values.items()]
        what = f"tags {', '.join(values)}"
        self._outbox.add(Call(what, partial(self._client.log_batch, self._run_id, tags=entries)))

    def file(self, path: Path, folder: str | None = None) -> None:
        """Store a file as it is now, under its own name in `folder` of the run's artifacts."""
        try:
            copy = Path(shutil.copy2(path, tempfile.mkdtemp(dir=self._kept)))
        except OSError as error:
            log.warning("File %s is not logged: %s", path, error)
            return
        send = partial(self._client.log_artifact, self._run_id, str(copy), folder)
        self._outbox.add(Call(f"file {path.name}", send, upload=True))

    def table(self, data: "pd.DataFrame", name: str) -> None:
        """Store a table that MLflow's table view shows, as `<name>.json`."""
        try:
            path = Path(tempfile.mkdtemp(dir=self._kept)) / f"{name}.json"
            data.to_json(path, orient="split", index=False, date_format="iso")
        except OSError as error:
            log.warning("Table %s is not logged: %s", name, error)
            return
        self._tables.append(path.name)
        # MLflow's own log_table appends when repeated, which would double the rows.
        shown = json.dumps([{"path": table, "type": "table"} for table in self._tables])

        def send() -> None:
            self._client.log_artifact(self._run_id, str(path))
            self._client.set_tag(self._run_id, "mlflow.loggedArtifacts", shown)

        self._outbox.add(Call(f"table {name}", send, upload=True))

    def dataset(self, name: str, *, digest: str, source: str, context: str) -> None:
        """Note the data of the run: `digest` of at most 36 characters, `source` a path or URI."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = Dataset(name, digest, source_type="local", source=json.dumps({"uri": source}))
        entry = DatasetInput(data, [InputTag("mlflow.data.context", context)])
        send = partial(self._client.log_inputs, self._run_id, [entry])
        self._outbox.add(Call(f"dataset {name}", send))

    def model(
        self,
        module: "torch.nn.Module",
        example: "torch.Tensor",
        *,
        name: str,
        registered: str | None = None,
    ) -> None:
        """Store the module as it is now, as a model that loads without this project's code.

        `example` is a batch of two, and `module` returns one tensor whose first dimension is the
        batch too. `registered` is a name in the model registry, where it becomes the next version.
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
            metrics=list(self._outbox.latest.values()),
            registered=registered,
        )
        self._outbox.add(Call(f"model {name}", send, upload=True))

    def alias(self, registered: str, alias: str, run_id: str) -> None:
        """Let `alias` of a registered model name the version that another run has made."""
        send = partial(point_alias, self._client, registered, alias, run_id)
        self._outbox.add(Call(f"alias {alias} of {registered}", send))

    def view(self, view: SavedView) -> None:
        """Store a way to look at the experiment, which MLflow's page then offers."""
        send = partial(self._client.set_experiment_tag, self._experiment_id, *view.tag)
        self._outbox.add(Call(f"view {view.name}", send))

    def finish(self, status: str) -> None:
        """Send what is left and close the run; what cannot be sent is named in one warning."""
        ended = int(time.time() * 1000)
        send = partial(self._client.set_terminated, self._run_id, status, ended)
        end = Call(f"its end ({status})", send)
        left = self._outbox.close(end)
        self._note.ended(status, told=end.what not in left)
        if self._refused:
            log.warning(
                "%d MLflow runs keep what an earlier run of another outcome gave them (%s). What "
                "this run found is in %s alone.",
                *(len(self._refused), ", ".join(self._refused), self._run_id),
            )
        if left:
            log.warning(
                "The MLflow run %s (%s) is incomplete, not sent: %s. "
                "The work itself is not affected.",
                self._name,
                self._run_id,
                ", ".join(left),
            )
