"""What a training says of its progress: where it resumed, and its true rate."""

from pathlib import Path

import pytest

from pipeline.training import progress
from pipeline.training.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds, which a test moves on."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def begin(done: int) -> Progress:
    return Progress(epochs=3, steps=4, done=done, resumed_from=Path("kept/a.pt"), shown=True)


def test_rate_is_that_of_the_steps(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    shown = begin(done=0)
    for epoch in range(2):
        shown.epoch(epoch)
        for step in range(4):
            # The compiler takes a minute, each step two seconds.
            clock[0] += 60 if epoch == step == 0 else 2
            shown.step(10)
        clock[0] += 500  # validation
        shown.row({"epoch": epoch, "loss/a": 0.5})
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["epoch 1/3: a 0.5, 5.0 images/s", "epoch 2/3: a 0.5, 5.0 images/s"]


@pytest.mark.parametrize(
    ("done", "where"),
    [
        (1, "epoch 1 of 3, after step 1 of 4"),
        (7, "epoch 2 of 3, after step 3 of 4"),
        (8, "epoch 3 of 3, after step 0 of 4"),
        (12, "the end of the last epoch"),
    ],
)
def test_a_training_that_resumes_says_so(
    done: int, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(done)
    assert capsys.readouterr().out == f"resumed from kept/a.pt at {where}\n"


def test_one_step_has_no_rate(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    shown = begin(done=11)
    capsys.readouterr()
    shown.epoch(2)
    clock[0] += 60
    shown.step(10)
    clock[0] += 60
    shown.row({"epoch": 2, "loss/a": 0.5})
    assert capsys.readouterr().out == "epoch 3/3: a 0.5\n"
