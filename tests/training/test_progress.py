"""What a training says of its progress: where it resumed, and its true rate."""

from pathlib import Path

import pytest

from pipeline.training import progress
from pipeline.training.progress import Progress


def begin(done: int) -> Progress:
    return Progress(epochs=3, steps=4, done=done, resumed_from=Path("kept/a.pt"), shown=True)


def test_rate_is_that_of_the_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    shown = begin(done=0)
    for epoch in range(2):
        shown.epoch(epoch)
        for step in range(4):
            # The compiler takes a minute, each step two seconds.
            now += 60 if epoch == step == 0 else 2
            shown.step(10)
            if epoch == step == 0:
                assert shown.rate() is None
        now += 500  # validation
        shown.row({"epoch": epoch, "loss/a": 0.5, "val/miou": 0.25})
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"epoch {n}/3: a 0.5, val/miou 0.25, 5.0 images/s" for n in (1, 2)]


@pytest.mark.parametrize(
    ("done", "where"),
    [
        (1, "epoch 1 of 3, after step 1 of 4"),
        (8, "epoch 3 of 3, after step 0 of 4"),
        (12, "the end of the last epoch"),
    ],
)
def test_a_training_that_resumes_says_so(
    done: int, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(done)
    assert capsys.readouterr().out == f"resumed from kept/a.pt at {where}\n"
