"""A run whose process was killed: it goes on, or it is ended; none stays RUNNING."""

import os
import signal
from pathlib import Path

import pytest

from pipeline.tracking import notes
from tests.support.tracked_store import MD5, OPEN, begin, client, python, where

TRAIN = """
import sys, time
from pathlib import Path
from pipeline.tracking import face as tracking
resume = Path(sys.argv[2]) if len(sys.argv) > 2 else None
with tracking.start(
    enabled=True, experiment="x", name=sys.argv[1], params={"a": 1}, tags={"by": "first"},
    resume=resume,
) as run:
    for step in range(3):
        run.log({"loss": step / 2}, step=step)
    run._outbox._send()
    (run._kept / "a model").touch()
    print(run.id, flush=True)
    time.sleep(60)
"""


def killed(store: Path, *args: str, code: str = TRAIN) -> str:
    """The id of a run whose process was killed by SIGKILL."""
    process = python(code, *args, cwd=store, **where())
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    assert client().get_run(run_id).info.status == "RUNNING"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    return run_id


def left(store: Path) -> list[Path]:
    return [*(store / ".checkpoints" / "runs").iterdir()]


def test_the_same_work_goes_on_in_the_same_run(store: Path) -> None:
    run_id = killed(store, "train", str(store / "a.pt"))
    with begin(
        "train", params={"a": 2, "b": 3}, tags={"by": "second"}, resume=store / "a.pt"
    ) as run:
        assert run.id == run_id
        assert client().get_run(run_id).info.status == "RUNNING"
        for step in range(5):
            run.log({"loss": step / 2}, step=step)
        run.dataset("d", digest=MD5, source="d", context="training")
    seen = client().get_run(run_id)
    assert seen.info.status == "FINISHED"
    assert seen.data.params == {"a": "1", "b": "3"}
    assert seen.data.tags["by"] == "second"
    history = client().get_metric_history(run_id, "loss")
    assert [(m.step, m.value) for m in history] == [(step, step / 2) for step in range(5)]
    assert not left(store)


def test_a_second_kill_too(store: Path) -> None:
    first = killed(store, "train", str(store / "b.pt"))
    assert killed(store, "train", str(store / "b.pt")) == first
    with begin("train", resume=store / "b.pt") as run:
        assert run.id == first


def test_a_training_that_stopped_by_a_signal_goes_on(store: Path) -> None:
    with pytest.raises(SystemExit), begin("train", resume=store / "c.pt") as run:
        os.kill(os.getpid(), signal.SIGTERM)
    assert client().get_run(run.id).info.status == "KILLED"
    with begin("train", resume=store / "c.pt") as again:
        assert again.id == run.id
    assert client().get_run(run.id).info.status == "FINISHED"


def test_other_work_ends_the_run(store: Path) -> None:
    (store / "kept.pt").touch()
    evaluated = killed(store, "evaluate")
    kept, gone = (killed(store, "train", str(store / name)) for name in ("kept.pt", "gone.pt"))
    assert client().get_run(evaluated).info.status == "KILLED"
    with begin("train", resume=store / "other.pt") as run:
        assert run.id not in (evaluated, kept, gone)
    assert {client().get_run(x).info.status for x in (evaluated, kept, gone)} == {"KILLED"}
    # One may still go on: its checkpoint is there. The other has nothing to go on from.
    assert len(left(store)) == 1
    with begin("train", resume=store / "kept.pt") as run:
        assert run.id == kept
    assert not left(store)


def test_a_run_of_a_living_process_is_left_alone(store: Path) -> None:
    process = python(TRAIN, "train", str(store / "d.pt"), cwd=store, **where())
    assert process.stdout is not None
    living = process.stdout.readline().strip()
    with begin("train", resume=store / "d.pt") as run:
        assert run.id != living
    assert client().get_run(living).info.status == "RUNNING"
    process.kill()
    process.communicate()
    with begin("train", resume=store / "d.pt") as run:
        assert run.id == living


KILLED_AS_IT_OPENS = """
import os, signal, mlflow
create = mlflow.MlflowClient.create_run
def create_run(*args, **kwargs):
    run = create(*args, **kwargs)
    print(run.info.run_id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
mlflow.MlflowClient.create_run = create_run
"""


def test_killed_as_the_run_is_made(store: Path) -> None:
    process = python(KILLED_AS_IT_OPENS + OPEN, "a", cwd=store, **where())
    run_id = process.communicate()[0].strip()
    assert process.returncode == -signal.SIGKILL
    assert client().get_run(run_id).info.status == "RUNNING"
    with begin():
        assert client().get_run(run_id).info.status == "KILLED"


def test_a_run_that_is_gone_from_the_store_is_not_missed(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = killed(store, "train", str(store / "e.pt"))
    client().delete_run(run_id)
    with begin("train", resume=store / "e.pt") as run:
        assert run.id not in (None, run_id)
    assert not left(store)
    (store / ".checkpoints" / "runs" / "damaged.json").write_text('{"store"')
    with begin("train"):
        pass
    assert not left(store)
    assert not caplog.messages


def test_an_end_that_was_not_told_is_told_later(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, begin("evaluate") as run:

        def away(*args: object) -> None:
            raise OSError

        patch.setattr(run._client, "set_terminated", away)
    assert client().get_run(run.id).info.status == "RUNNING"
    with begin("report"):
        assert client().get_run(run.id).info.status == "FINISHED"
    assert not left(store)


def test_a_note_holds_no_address(tmp_path: Path) -> None:
    note = notes.Note("digest", "1", "train", None)
    held = notes.new_note(tmp_path, note)
    assert notes.left_notes(tmp_path) == []
    held.file.close()
    (found,) = notes.left_notes(tmp_path)
    assert found.note == note


def test_a_report_that_runs_again_doubles_no_value(store: Path) -> None:
    with begin("evaluate") as evaluated:
        pass
    for _ in range(2):
        with begin("report") as run:
            run.log_to(evaluated.id, {"bd_rate/miou": -8.5}, tags={})
    history = client().get_metric_history(evaluated.id, "bd_rate/miou")
    assert [metric.value for metric in history] == [-8.5]


def test_a_report_of_another_outcome_leaves_what_was_given(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with begin("evaluate") as evaluated:
        pass
    given = {"bd_rate/miou": -8.5, "hull/miou": -7.0}, {"verdict.bd_rate.miou": "quote it"}
    others = (
        ({"bd_rate/miou": -8.5, "hull/miou": -6.5, "new": 1.0}, {}),
        ({"bd_rate/miou": -8.5}, {"verdict.bd_rate.miou": "do not quote"}),
    )
    with begin("report") as first:
        first.log_to(evaluated.id, *given)
    before = client().get_run(evaluated.id).data
    assert (before.metrics, before.tags["given_by"]) == (given[0], first.id)
    assert "keep" not in caplog.text
    for other in others:
        caplog.clear()
        with begin("report") as run:
            run.log_to(evaluated.id, *other)
        assert (
            f"1 MLflow runs keep what an earlier run of another outcome gave them ({evaluated.id})"
            in caplog.text
        )
        assert run.id
        assert run.id in caplog.text
    after = client().get_run(evaluated.id).data
    assert (after.metrics, after.tags) == (before.metrics, before.tags)


KILLED_AT_A_TABLE = """
import os, signal, sqlalchemy
tables = []
@sqlalchemy.event.listens_for(sqlalchemy.Engine, "after_cursor_execute")
def count(connection, cursor, statement, *rest):
    tables.append(statement.lstrip().startswith("CREATE TABLE"))
    if sum(tables) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_while_the_store_is_made_does_not_end_tracking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """MLflow cannot use a file that has some of its tables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / ".dvc").mkdir()
    process = python(KILLED_AT_A_TABLE + OPEN, "a", cwd=tmp_path)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "mlflow.db").exists()
    with begin() as run:
        pass
    assert not [x for x in caplog.messages if x.startswith("Not tracked")]
    assert client().get_run(run.id).info.status == "FINISHED"
    assert not list(tmp_path.glob(".mlflow.db*"))
