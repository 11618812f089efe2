"""A store that goes away: what was kept is sent when it is back, and work is never held up."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.tracked_store import MD5, begin, client


class Switch:
    """While `off`, every call of an MLflow client fails as with a server that is away."""

    off = False


@pytest.fixture
def switch(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    import mlflow

    switch = Switch()

    def guarded(method: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            if switch.off:
                raise mlflow.MlflowException("connection refused")
            return method(*args, **kwargs)

        return call

    members = inspect.getmembers(mlflow.MlflowClient, inspect.isfunction)
    methods = {name: guarded(method) for name, method in members if not name.startswith("_")}
    monkeypatch.setattr(mlflow, "MlflowClient", type("Client", (mlflow.MlflowClient,), methods))
    monkeypatch.setattr("pipeline.tracking.outbox.SEND_SECONDS", 0.0)
    monkeypatch.setattr("pipeline.tracking.outbox.RETRY_SECONDS", 0.0)
    yield switch
    switch.off = False


def test_a_store_that_comes_back_gets_everything(
    switch: Switch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pipeline.tracking.outbox.METRICS_PER_BATCH", 30)
    with begin() as run:
        for step in range(300):
            switch.off = step % 100 > 20 and step < 280
            run.log({"loss": step}, step=step)
            if step in (10, 60):
                run.dataset(f"d{step}", digest=MD5, source="d", context="training")
    history = client().get_metric_history(run.id, "loss")
    assert [(m.step, m.value) for m in history] == [(step, step) for step in range(300)]
    inputs = client().get_run(run.id).inputs.dataset_inputs
    assert {i.dataset.name for i in inputs} == {"d10", "d60"}
    assert "MLflow does not answer" in caplog.text
    assert "MLflow answers again" in caplog.text


def test_a_store_that_never_comes_back_is_a_warning(
    switch: Switch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "note.txt").write_text("note")
    with begin() as run:
        run.log({"loss": 1.0}, step=0)
        switch.off = True
        for step in range(1, 4):
            run.log({"loss": 1.0, "rate": 2.0}, step=step)
        run.file(tmp_path / "note.txt")
    expected = "not sent: 6 metric values (steps 1 to 3), file note.txt, its end (FINISHED)"
    assert expected in caplog.messages[-1]
    assert caplog.messages[0] == (
        "MLflow does not answer: values are kept and sent when it is back"
    )
    switch.off = False
    assert client().get_run(run.id).data.metrics == {"loss": 1.0}


def test_an_absent_store_is_not_asked_at_every_step(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("pipeline.tracking.outbox.RETRY_SECONDS", 30.0)
    with begin() as run:
        asked: list[float] = []

        def get_run(run_id: str) -> None:
            nonlocal now
            asked.append(now)
            now += 20.0  # a request that runs into its timeout
            raise OSError

        with monkeypatch.context() as patch:
            patch.setattr("time.monotonic", lambda: now)
            patch.setattr(run._client, "get_run", get_run)
            switch.off = True
            while now < 1000.0:
                run.log({"loss": 1.0})
                now += 1.0
        switch.off = False
    assert len(asked) == 5  # every 200 seconds when one attempt takes 20


def test_what_the_server_refuses_does_not_hold_up_the_rest(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with begin() as run:
        run.dataset("d", digest="9" * 40, source="d", context="training")
        run.tags({"later": "yes"})
        run.log({"score": 1.0})
    seen = client().get_run(run.id)
    assert seen.info.status == "FINISHED"
    assert seen.data.tags["later"] == "yes"
    assert seen.data.metrics == {"score": 1.0}
    assert "MLflow refuses dataset d" in caplog.text
    assert "incomplete, not sent: dataset d." in caplog.messages[-1]
