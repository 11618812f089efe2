"""The measurements run, on next to nothing; what they share is right."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import record
from benchmarks.device_clock import union_seconds
from benchmarks.made_up import noise_frames
from benchmarks.plain_loop import PlainLoop
from pipeline.data.batches import Batches
from pipeline.nets.encoder import ENCODERS, Encoder
from pipeline.nets.split import SplitNet
from pipeline.training.checkpoint import Checkpoints
from pipeline.training.loop import Schedule, fit
from pipeline.training.losses import Objective, RateTerm
from pipeline.training.runtime import Runtime

TINY_RUNS = {
    "training": "--width 32 --height 32 --batch 2 --steps 1 --rounds 1 --device cpu",
    "agreement": "--train 4 --val 2 --batch 2 --epochs 1 --seeds 2 --device cpu",
    "encode": "--width 64 --height 32 --frames 2 --rounds 1",
    "evaluate": "--width 64 --height 32 --frames 3 --rounds 1 --device cpu",
    "prepare": "--frames 1 --rounds 1",
    "frames": "--frames 2 3 --width 32 --height 32",
    "report": "--seeds 2 --images 20 --resamples 100",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY_RUNS)
def test_runs(repository: Path, name: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *TINY_RUNS[name].split()],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "others used" in result.stdout
    assert "nan" not in result.stdout


def test_plain_loop_trains_what_fit_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same weights, same batches, float32: the same losses, step by step, and the same net.

    Long on purpose: both loops stand side by side.
    """

    def build(weights: str) -> nn.Module:
        conv = nn.Conv2d(3, 8, 3, stride=4, padding=1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(8), nn.ReLU())

    monkeypatch.setitem(ENCODERS, "tiny", Encoder(build, channels=8, stride=4))
    tasks = ("segmentation", "disparity", "reconstruction")
    frames = noise_frames(tmp_path / "frames", 8, width=20, height=12)
    cpu = Runtime(torch.device("cpu"), torch.float32, compiled=False)

    class Recorded(Batches):
        seen: ClassVar[list[np.ndarray]] = []

        def over(self, order):  # type: ignore[no-untyped-def]
            self.seen += order
            return super().over(order)

    def parts() -> tuple[SplitNet, Objective]:
        torch.manual_seed(0)
        objective = Objective(
            tasks,
            RateTerm("levels", None),
            balance="closed-form",
            learning_rate=0.05,
            initial_weight=1.0,
        )
        return SplitNet("tiny", tasks), objective

    net, objective = parts()
    history = fit(
        net,
        objective,
        Recorded(frames, device="cpu"),
        Batches(frames, device="cpu"),
        schedule=Schedule(2, 2, 0.01, 0.9, validate_every=2),
        surrogate=lambda x: x,
        runtime=cpu,
        seed=0,
        checkpoints=Checkpoints(None, 1e9),
        on_epoch=lambda row: None,
    )
    twin, plain_objective = parts()
    plain = PlainLoop(
        twin,
        plain_objective,
        frames,
        surrogate=lambda x: x,
        device=cpu.device,
        workers=0,
        steps=8,
        learning_rate=0.01,
        decay_power=0.9,
    )
    losses = [*plain.epoch(Recorded.seen[:4]), *plain.epoch(Recorded.seen[4:])]
    for name in objective.names:
        for epoch, row in enumerate(history):
            mean = np.mean([x[name] for x in losses[4 * epoch : 4 * epoch + 4]])
            assert mean == pytest.approx(row[f"loss/{name}"], rel=1e-3), name
    for key, value in net.state_dict().items():
        torch.testing.assert_close(twin.state_dict()[key], value, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize(
    ("intervals", "microseconds"),
    [
        ([], 0),
        ([(0, 10)], 10),
        ([(20, 30), (0, 10)], 20),
        ([(0, 10), (5, 12), (6, 7)], 12),
        ([(0, 10), (10, 11), (0, 1)], 11),
    ],
)
def test_overlapping_work_counts_once(
    intervals: list[tuple[float, float]], microseconds: float
) -> None:
    assert union_seconds(intervals) == pytest.approx(microseconds / 1e6)


TEXT = """# Measurements

## Training

Words about it.

<!-- runs: Training -->
old tables
<!-- end of runs -->

## Open

- last
"""


def a_run(section: str, **row: str | float) -> record.Run:
    fixed = {"date": "2026-11-22", "setting": "tiny", "machine": "a machine", "others_cores": 0.5}
    return {**fixed, "section": section, "rows": [row], "versions": "Python 3", "command": "go"}


def test_tables_stand_between_the_marks_and_nothing_else_changes() -> None:
    runs = [
        a_run("Training", model="one", speed=1.23456),
        a_run("Training", model="two", speed=2.0),
        a_run("Training", memory=212),
    ]
    text = record.with_tables(TEXT, runs)
    assert "| run | model | speed |\n|---|---|---|\n| 1 | one | 1.235 |\n| 2 | two | 2 |\n" in text
    assert "| run | memory |\n|---|---|\n| 3 | 212 |\n" in text
    line = "- Run 3, 2026-11-22: tiny. a machine; others used 0.5 cores. Python 3. `go`"
    assert line in text.splitlines()
    assert "old tables" not in text
    assert record.with_tables(text, runs) == text
    outside = TEXT.partition("<!-- runs")[0], TEXT.partition("<!-- end of runs -->")[2]
    assert text.startswith(outside[0])
    assert text.endswith(outside[1])


def test_a_section_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"LOG.md has no <!-- runs: Streets -->"):
        record.with_tables(TEXT, [a_run("Streets", speed=1.0)])


def test_the_committed_tables_are_those_of_the_committed_runs() -> None:
    text = record.LOG.read_text(encoding="utf-8")
    assert record.with_tables(text, record.read_runs()) == text


def test_a_record_says_when_where_and_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "LOG", tmp_path / "LOG.md")
    monkeypatch.setattr(record, "RUNS", tmp_path / "runs.jsonl")
    monkeypatch.setattr(sys, "argv", ["x", "--steps", "3", "--record"])
    (tmp_path / "LOG.md").write_text(TEXT)
    with record.load() as load:
        pass
    record.record("Training", "a tiny net", [{"speed (images/s)": 2.5}], load)
    (run,) = record.read_runs()
    assert run["rows"] == [{"speed (images/s)": 2.5}]
    assert "cores" in run["machine"]
    assert f"torch {torch.__version__}" in run["versions"]
    assert run["command"].endswith("--steps 3")
    assert "| 1 | 2.5 |" in (tmp_path / "LOG.md").read_text()


@pytest.mark.slow  # needs a machine that nothing else uses
def test_load_is_that_of_others() -> None:
    """A process of our own group is not among the others; its time is counted as ours."""
    with record.load() as load:
        child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        time.sleep(0.5)
        before = record._own_ticks()
        time.sleep(0.5)
        after = record._own_ticks()
        child.kill()
        child.wait()
    assert after > before
    assert 0 <= load.cores <= (os.cpu_count() or 1)
