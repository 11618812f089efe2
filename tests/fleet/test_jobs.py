"""Jobs run so many at a time, again if they end badly, and are given up in the end."""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import submitit

from pipeline.fleet import jobs
from pipeline.fleet.jobs import run_all
from pipeline.fleet.progress import Progress


@dataclass(frozen=True)
class Fake:
    """Stands for a model's work: notes when it ran and where, and ends as its name says."""

    model: str
    folder: Path
    slot: Mapping[str, str]

    def __call__(self) -> int:
        attempts = len(list(self.folder.glob(f"{self.model}.*")))
        begun = time.time()
        time.sleep(0.5)
        note = self.folder / f"{self.model}.{attempts}"
        note.write_text(f"{begun} {time.time()} {self.slot['gpu']}")
        if self.model.startswith("dies") and attempts == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.model.startswith("raises"):
            raise RuntimeError("planted")
        return 7 if self.model.startswith("fails") else 0


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(jobs, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(jobs, "ATTEMPTS", 2)
    # Where a job finds this file.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    executor = submitit.LocalExecutor(tmp_path / "jobs")
    executor.update_parameters(timeout_min=5)
    ended: list[str] = []
    names = ["a", "dies", "raises", "fails", "b"]
    failed = run_all(
        names,
        work_of=lambda model, slot: Fake(model, tmp_path, slot),  # type: ignore[arg-type, return-value]
        executor=executor,
        slots=[{"gpu": "4"}, {"gpu": "7"}],
        on_end=ended.append,
        progress=Progress(len(names), tmp_path),
    )
    return failed, ended, tmp_path


def test_jobs(ran: Any) -> None:
    failed, ended, folder = ran
    assert sorted(failed) == ["fails", "raises"]
    assert {name: ended.count(name) for name in set(ended)} == {
        **{"a": 1, "b": 1, "dies": 2},
        **{"raises": 2, "fails": 2},
    }
    spans = [path.read_text().split() for path in folder.glob("*.[0-9]")]
    assert len(spans) == len(ended)
    # Never two at once on the same GPU.
    for gpu in ("4", "7"):
        of_gpu = sorted((float(a), float(b)) for a, b, where in spans if where == gpu)
        assert len(of_gpu) > 1
        assert all(first[1] <= then[0] for first, then in pairwise(of_gpu))
