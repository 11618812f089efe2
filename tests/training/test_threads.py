"""Threads of torch on a CPU: one is given up for each core that other programs use."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from pipeline.training.runtime import open_runtime
from pipeline.training.threads import AllThreads, SpareThreads, busy_seconds, spare

STAT = """cpu  1000 200 300 4000 50 6 7 0 0 0
cpu0 600 200 100 2000 25 3 4 0 0 0
cpu1 400 0 200 2000 25 3 3 0 0 0
intr 12 0
ctxt 99
"""


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process in which OMP_NUM_THREADS is not set, and torch's number is put back."""
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS")
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("cores", "others", "threads"),
    [(2, 0.0, 2), (2, -0.1, 2), (2, 0.2, 2), (2, 0.9, 1), (2, 1.9, 1), (8, 1.1, 7), (8, 1.4, 6)],
)
def test_each_core_in_use_costs_a_thread(cores: int, others: float, threads: int) -> None:
    assert spare(cores, others) == threads


@pytest.mark.parametrize(("cores", "ticks"), [({0}, 907), ({1}, 606), ({0, 1}, 1513)])
def test_time_of_the_cores_in_use_is_added_up(cores: set[int], ticks: int) -> None:
    assert busy_seconds(frozenset(cores), STAT) == ticks / os.sysconf("SC_CLK_TCK")


def test_a_busy_machine_leaves_one_thread(free: None) -> None:
    cores = frozenset(os.sched_getaffinity(0))
    loop = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(loop) for _ in range(2 * len(cores))]
    try:
        torch.set_num_threads(8)
        SpareThreads(cores)
        assert torch.get_num_threads() == 1
    finally:
        for process in others:
            process.kill()
            process.wait()


def test_a_number_from_outside_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with open_runtime("cpu", "float32", "off") as runtime:
        assert isinstance(runtime.threads, AllThreads)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core leaves no choice")
def test_without_one_the_number_follows_the_load(free: None) -> None:
    with open_runtime("cpu", "float32", "off") as runtime:
        assert isinstance(runtime.threads, SpareThreads)
