"""What a run still has to tell its store, which may go away at any time.

Calls and metrics are kept in order and sent every few seconds and at the end. When the server
does not answer they wait. All calls may be repeated without harm, so one that was cut short is
simply sent again.
"""

import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

log = logging.getLogger(__name__)

SEND_SECONDS = 5.0
RETRY_SECONDS = 30.0
REQUEST_SECONDS = 10
UPLOAD_SECONDS = 120
METRICS_PER_BATCH = 1000  # the server's limit


@dataclass(frozen=True)
class Call:
    """One call that waits for the server: `what` names it in warnings; an `upload` may be slow."""

    what: str
    send: Callable[[], object]
    upload: bool = False


class Outbox:
    """Calls and metrics of one run on their way to the store."""

    def __init__(self, client: "MlflowClient", run_id: str) -> None:
        self.latest: dict[str, Metric] = {}
        self._client = client
        self._run_id = run_id
        self._metrics: list[Metric] = []
        self._calls: list[Call] = []
        self._refused: list[Call] = []
        self._away = False
        self._due = 0.0

    def add(self, call: Call) -> None:
        self._calls.append(call)
        self._send_if_due()

    def add_metrics(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        for key, value in values.items():
            # a sqlite store would hold infinity as 1.8e308, which flattens every chart
            number = float(value) if math.isfinite(value) else math.nan
            metric = Metric(key, number, now, step)
            self._metrics.append(metric)
            self.latest[key] = metric
        self._send_if_due()

    def close(self, last: Call) -> list[str]:
        """Send everything, what was refused before too, then `last`; the names of what is left."""
        self._calls = [*self._refused, *self._calls, last]
        self._refused = []
        self._send()
        left = [call.what for call in self._refused + self._calls]
        if self._metrics:
            steps = [metric.step for metric in self._metrics]
            left.insert(0, f"{len(steps)} metric values (steps {min(steps)} to {max(steps)})")
        return left

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
            if not self._deliver(Call(f"{len(some)} metric values", send)):
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
        """Return False when the server is away.

        A call refused twice by a server that answers is put aside until the end, so that it does
        not hold up the others.
        """
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
    """Return MLflow's request timeout for one call, unless the user set one."""
    key, ours = "MLFLOW_HTTP_REQUEST_TIMEOUT", str(REQUEST_SECONDS)
    if os.environ.get(key) != ours:
        yield
        return
    os.environ[key] = str(seconds)
    try:
        yield
    finally:
        os.environ[key] = ours
