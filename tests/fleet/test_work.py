"""What a killed job leaves running is found by its mark and ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.fleet import work
from pipeline.fleet.work import MARK, end_marked

WRITE_AND_LEAVE = """
import pathlib, signal, sys, time
def stop(*_):
    pathlib.Path(sys.argv[1]).write_text("saved")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(60)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def begin(started: list[subprocess.Popen[str]], mark: str, code: str, *words: str) -> int:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE,
        text=True,
    )
    started.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return len(started) - 1


def test_the_marked_end_and_no_others(started: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    ours = begin(started, "test/a-1/", WRITE_AND_LEAVE, str(tmp_path / "state"))
    other = begin(started, "test/a-10/", WRITE_AND_LEAVE, str(tmp_path / "other"))
    end_marked("test/a-1/")
    assert started[ours].poll() is not None
    assert (tmp_path / "state").read_text() == "saved"
    assert started[other].poll() is None
    end_marked("test/")
    assert started[other].poll() is not None


def test_the_deaf_are_killed(
    started: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "GRACE_SECONDS", 1)
    deaf = begin(started, "test/deaf/", DEAF)
    before = time.monotonic()
    end_marked("test/deaf/")
    assert time.monotonic() - before < 10
    assert started[deaf].wait() in (0, -signal.SIGKILL)  # psutil may have taken the code
