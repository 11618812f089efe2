"""A store that is away costs seconds, and the work goes on; one that was removed is said."""

import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.tracking.run import NullRun
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


def ours(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What this project has said."""
    return [x.getMessage() for x in caplog.records if x.name.startswith("pipeline.")]


@pytest.mark.parametrize("port", ["closed", "silent"])
@pytest.mark.parametrize("address", ["http://me:secret@{}", "postgresql://me:secret@{}/runs"])
def test_a_store_that_is_away_costs_seconds(
    port: str,
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
) -> None:
    if address.startswith("postgresql"):
        pytest.importorskip("psycopg")
        address = address.replace("postgresql:", "postgresql+psycopg:")
    place = f"127.0.0.1:{request.getfixturevalue(port)}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.format(place))
    began = time.monotonic()
    with begin() as run:
        run.log({"loss": 1.0})
    assert time.monotonic() - began < AT_MOST_SECONDS
    assert isinstance(run, NullRun)
    (said,) = ours(caplog)
    where = address.format(place).replace("me:secret@", "")
    assert said.startswith(f"Not tracked: the MLflow store {where} cannot be used: ")
    assert said.endswith(". The work goes on without it.")
    assert "secret" not in said
    reasons = ["does not answer within 8 s"] if port == "silent" else ["refused", "nothing answers"]
    assert any(reason in said for reason in reasons)


def test_a_removed_store_is_said(tmp_path: Path) -> None:
    """Each start is a process of its own, since MLflow keeps a file open that is gone."""
    store, artifacts = tmp_path / "mlflow.db", tmp_path / "mlartifacts"

    def said() -> str:
        return python(OPEN, "a", cwd=tmp_path).communicate()[1]

    (tmp_path / ".git").mkdir()
    assert said() == ""
    (artifacts / "1").mkdir(parents=True)
    store.rename(tmp_path / "kept.db")
    expected = f"The MLflow store {store} is gone, but {artifacts} still holds the files of its"
    assert expected in said()
    shutil.move(tmp_path / "kept.db", store)
    assert said() == ""
    names = [run.info.run_name for run in client(f"sqlite:///{store}").search_runs(["1"])]
    assert names == ["a", "a"]
