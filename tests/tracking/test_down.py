"""A store that is away costs seconds and one line of text, and the work goes on."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.tracking import api as tracking
from tests.support.tracked_store import OPEN, begin, client, python

AT_MOST_SECONDS = 10


@pytest.fixture
def closed() -> int:
    """A port where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener.getsockname()[1]


HTTP = "http://me:secret@{}"
POSTGRES = "postgresql+psycopg://me:secret@{}/runs?password=secret"


@pytest.mark.parametrize(
    ("address", "port"), [(HTTP, "closed"), (POSTGRES, "closed"), (POSTGRES, "silent")]
)
def test_a_store_that_is_away_at_the_start(
    address: str,
    port: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    import mlflow  # noqa: F401  # takes seconds of its own

    if address.startswith("postgresql"):
        pytest.importorskip("psycopg")
    place = f"127.0.0.1:{request.getfixturevalue(port)}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.format(place))
    began = time.monotonic()
    with begin() as run:
        run.log({"loss": 1.0})
    assert time.monotonic() - began < AT_MOST_SECONDS
    assert isinstance(run, tracking.NullRun)
    (said,) = capsys.readouterr().err.splitlines()
    assert place in said
    assert "The work goes on without it." in said
    assert "secret" not in said
    assert ("does not answer in time" if port == "silent" else "refused") in said


def test_a_store_that_falls_silent(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with begin() as run:
        monkeypatch.setattr(run._client, "log_batch", lambda *args, **kwargs: time.sleep(60))
        began = time.monotonic()
        for step in range(100):
            run.log({"loss": 1.0}, step=step)
    assert time.monotonic() - began < AT_MOST_SECONDS
    (said,) = [x for x in capsys.readouterr().err.splitlines() if "MLflow store" in x]
    assert "does not answer in time" in said


BROKEN = """
    import torch
    from torch import nn
    net = nn.Conv2d(3, 2, 1)
    run.model(net, torch.rand(2, 3, 5, 7), name="m", registered="r")
    run._client.log_batch = lambda *args, **kwargs: 1 / 0
    for step in range(100):
        run.log({"loss": 1.0}, step=step)
    run.model(net, torch.rand(2, 3, 5, 7), name="late")
print("done")
"""


def test_a_store_that_breaks_after_the_model_is_said_once(store: Path) -> None:
    """MLflow's torch flavour, imported for the model, silences warnings of the root logger."""
    process = python(OPEN + BROKEN, "a", cwd=store)
    output, errors = process.communicate()
    _, run_id, done = output.split()
    (said,) = errors.splitlines()
    assert said.startswith("Not tracked from here on: ")
    assert "division by zero" in said
    assert done == "done"
    seen = client().get_run(run_id)
    assert seen.info.status == "RUNNING"
    assert len(seen.outputs.model_outputs) == 1
