"""Starting a run: where the store lies, what opens it, how a run ends."""

import os
import signal
import sys
from pathlib import Path

import pytest

from pipeline.tracking import face as tracking
from pipeline.tracking.outbox import Call, Outbox
from pipeline.tracking.run import NullRun
from tests.support.tracked_store import OPEN, begin, client, python, where


def test_the_store_lies_in_the_main_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    main = tmp_path / "main"
    copy = main / ".dvc" / "tmp" / "exps" / "tmpabc"
    (copy / ".dvc").mkdir(parents=True)
    (copy / "stages").mkdir()
    (main / "stages").mkdir()
    expected = f"sqlite:///{main}/mlflow.db"
    assert expected.startswith("sqlite:////")
    for cwd in (main, main / "stages", copy, copy / "stages"):
        assert tracking.store_uri(cwd) == expected
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking.store_uri(copy) == "http://127.0.0.1:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    assert tracking.store_uri(copy) == f"sqlite:///{main}/other.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////elsewhere/other.db")
    assert tracking.store_uri(copy) == "sqlite:////elsewhere/other.db"


def test_import_is_light(tmp_path: Path) -> None:
    code = "import sys, pipeline.tracking; print({'mlflow', 'torch', 'pandas'} & set(sys.modules))"
    assert python(code, cwd=tmp_path).communicate()[0] == "set()\n"


def test_without_tracking_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    with begin(enabled=False) as run:
        run.log({"loss": 1.0}, step=0)
    assert isinstance(run, NullRun)
    assert not caplog.messages
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for _ in range(2):
        with begin() as run:
            assert isinstance(run, NullRun)
    assert caplog.messages == ["MLflow is not installed: nothing is tracked"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("x"), "FAILED"),
        (SystemExit(1), "FAILED"),
        (SystemExit(0), "FINISHED"),
        (KeyboardInterrupt(), "KILLED"),
    ],
)
def test_the_status_says_how_a_run_ended(store: Path, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), begin() as run:
        raise error
    assert client().get_run(run.id).info.status == status


def test_sigterm_leaves_a_killed_run(store: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with begin(enabled=False):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before

    wait = """
    try:
        print("waiting", flush=True)
        time.sleep(60)
    finally:
        print("closed")
"""
    process = python(OPEN + wait, "a", cwd=store, **where())
    assert process.stdout is not None
    run_id = process.stdout.readline().split()[1]
    assert process.stdout.readline() == "waiting\n"
    process.terminate()
    rest, errors = process.communicate()
    assert rest == "closed\n"
    assert process.returncode == 143, errors
    assert client().get_run(run_id).info.status == "KILLED"


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def test_eight_processes_on_an_empty_store(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    (tmp_path / ".git").mkdir()
    uri, variables = f"sqlite:///{tmp_path}/mlflow.db", {}
    if kind == "postgres":
        uri = request.getfixturevalue("postgres").database("empty")
        variables = {"MLFLOW_TRACKING_URI": uri}
    started = [python(OPEN, name, cwd=tmp_path, **variables) for name in "abcdefgh"]
    for process in started:
        errors = process.communicate()[1]
        assert process.returncode == 0
        assert errors == ""
    store = client(uri)
    experiment = store.get_experiment_by_name("x")
    assert experiment.artifact_location == (tmp_path / "mlartifacts").as_uri()
    runs = store.search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in runs) == list("abcdefgh")
    assert not store.search_runs(["0"])  # Default
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_a_signal_while_the_run_is_being_finished(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver = Outbox._deliver

    def interrupted(outbox: Outbox, call: Call) -> bool:
        if call.what.startswith("its end"):
            monkeypatch.setattr(Outbox, "_deliver", deliver)
            os.kill(os.getpid(), signal.SIGTERM)
        return deliver(outbox, call)

    monkeypatch.setattr(Outbox, "_deliver", interrupted)
    with pytest.raises(SystemExit), begin() as run:
        run.log({"loss": 1.0})
    seen = client().get_run(run.id)
    assert seen.info.status == "KILLED"
    assert seen.data.metrics == {"loss": 1.0}


def test_a_deleted_experiment_is_named(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    with begin(experiment="gone") as run:
        pass
    client().delete_experiment(client().get_run(run.id).info.experiment_id)
    with begin(experiment="gone") as run:
        assert isinstance(run, NullRun)
    assert "'gone' is deleted" in caplog.text


def test_the_runs_of_killed_jobs_are_closed_and_no_others(store: Path) -> None:
    wait = "    time.sleep(100)\n"
    started = {
        name: python(OPEN + wait, name, cwd=store, **where(), FLEET_JOB=job)
        for name, job in (("a", "fleet/a-1/"), ("b", "fleet/a-10/"), ("c", ""))
    }
    ids = {}
    for name, process in started.items():
        assert process.stdout is not None
        ids[name] = process.stdout.readline().split()[1]
    for process in started.values():
        process.kill()
        process.wait()

    def statuses() -> dict[str, str]:
        return {name: client().get_run(run_id).info.status for name, run_id in ids.items()}

    tracking.close_left("x", "fleet/a-1/")
    assert statuses() == {"a": "KILLED", "b": "RUNNING", "c": "RUNNING"}
    tracking.close_left("x", "fleet/")
    assert statuses() == {"a": "KILLED", "b": "KILLED", "c": "RUNNING"}
