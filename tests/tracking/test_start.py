"""Starting a run: where the store lies, what opens it, how a run ends, how it goes on."""

import os
import signal
import sys
from pathlib import Path

import pytest

from pipeline.tracking import api as tracking
from tests.support.tracked_store import OPEN, begin, client, python, values


def test_the_store_lies_in_the_main_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    main = tmp_path / "main"
    copies = [main / ".dvc" / "tmp" / kind / "tmpabc" for kind in ("exps", "cluster")]
    for folder in (main, *copies):
        (folder / ".dvc").mkdir(parents=True, exist_ok=True)
        (folder / "stages").mkdir()
    expected = f"sqlite:///{main}/mlflow.db"
    assert expected.startswith("sqlite:////")
    for cwd in (main, main / "stages", *copies, copies[0] / "stages"):
        assert tracking.store_uri(cwd) == expected
    for given, uri in (
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("sqlite:///other.db", f"sqlite:///{main}/other.db"),
        ("sqlite:////elsewhere/other.db", "sqlite:////elsewhere/other.db"),
    ):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
        assert tracking.store_uri(copies[0]) == uri


def test_without_tracking_nothing_is_imported_or_written(tmp_path: Path) -> None:
    code = OPEN.replace("enabled=True", "enabled=False") + (
        "    run.log({'loss': 1.0}, step=0)\n"
        "print({'mlflow', 'torch', 'pandas'} & set(sys.modules))"
    )
    output, errors = python(code, "a", cwd=tmp_path).communicate()
    assert output == "open None\nset()\n"
    assert errors == ""
    assert not list(tmp_path.iterdir())


def test_without_mlflow_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with begin() as run:
        assert isinstance(run, tracking.NullRun)
    assert capsys.readouterr().err == "MLflow is not installed: nothing is tracked\n"


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("x"), "FAILED"), (SystemExit(1), "FAILED"), (KeyboardInterrupt(), "KILLED")],
)
def test_the_status_says_how_a_run_ended(store: Path, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), begin() as run:
        raise error
    assert client().get_run(run.id).info.status == status


def test_sigterm_closes_as_killed(store: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with begin(enabled=False):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before

    wait = """
    try:
        print("inside", flush=True)
        time.sleep(60)
    finally:
        print("closed")
"""
    process = python(OPEN + wait, "a", cwd=store)
    run_id = process.stdout.readline().split()[1]
    assert process.stdout.readline() == "inside\n"
    assert client().get_run(run_id).info.status == "RUNNING"
    process.terminate()
    rest, errors = process.communicate()
    assert rest == "closed\n"
    assert process.returncode == 143, errors
    assert client().get_run(run_id).info.status == "KILLED"


def test_processes_at_the_first_touch_of_a_store(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    started = [python(OPEN, name, cwd=tmp_path) for name in "abcd"]
    for process in started:
        assert process.communicate()[1] == ""
        assert process.returncode == 0
    store = client(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = store.get_experiment_by_name("x")
    assert experiment.artifact_location == (tmp_path / "mlartifacts").as_uri()
    runs = store.search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in runs) == list("abcd")
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert not store.search_runs(["0"])  # Default


TRAIN = """
    for step in range(3):
        run.log({"loss": step / 2}, step=step)
    print("logged", flush=True)
    time.sleep(60)
"""


def killed(store: Path, work: str) -> str:
    """The id of a run whose process was killed by SIGKILL."""
    process = python(OPEN + TRAIN, "train", work, cwd=store)
    run_id = process.stdout.readline().split()[1]
    assert process.stdout.readline() == "logged\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert client().get_run(run_id).info.status == "RUNNING"
    return run_id


def test_a_killed_process_is_continued_in_the_same_run(store: Path) -> None:
    run_id = killed(store, "work a")
    with begin("train", params={"a": 2}, tags={"by": "second"}, resume="work a") as run:
        assert run.id == run_id
        assert client().get_run(run_id).info.status == "RUNNING"
        for step in range(5):
            run.log({"loss": step / 2}, step=step)
    seen = client().get_run(run_id)
    assert seen.info.status == "FINISHED"
    assert (seen.data.params, seen.data.tags["by"]) == ({"a": "2"}, "second")
    assert values(run_id, "loss") == [(step, step / 2) for step in range(5)]
    with begin("train", resume="work a") as run:
        assert run.id != run_id  # that work has finished


def test_the_newest_run_of_the_same_work_is_continued(store: Path) -> None:
    ids = []
    for work in ("work b", "work b", "work c"):
        # Begun beside the first one, as if the two had not seen each other.
        with begin("train") as run:
            pass
        client().set_tag(run.id, "work", work)
        client().update_run(run.id, status="RUNNING")
        ids.append(run.id)
    with pytest.raises(RuntimeError), begin("train", params={"a": 1}, resume="work b") as run:
        raise RuntimeError
    assert run.id == ids[1]
    with begin("train", params={"a": 2, "b": 3}, resume="work b") as run:
        pass
    assert run.id == ids[1]
    assert client().get_run(run.id).data.params == {"a": "1", "b": "3"}
    statuses = [client().get_run(run_id).info.status for run_id in ids]
    assert statuses == ["KILLED", "FINISHED", "RUNNING"]


def test_a_run_that_was_left_open_is_closed_by_the_next_of_the_same_settings(store: Path) -> None:
    left, other = (begin("evaluate", params={"a": a}) for a in (1, 2))
    ids = [left.__enter__().id, other.__enter__().id]  # their processes are killed
    with begin("evaluate", params={"a": 1}) as run:
        assert run.id not in ids
    assert [client().get_run(x).info.status for x in ids] == ["KILLED", "RUNNING"]
