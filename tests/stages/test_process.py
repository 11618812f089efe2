"""A stage runs once at a time, and ends when the dvc that started it is killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.tiny_experiment import ROOT

STAGE = """
import os, time
from pathlib import Path
from stages.settings import run
def main() -> None:
    with Path("seen.txt").open("a") as seen:
        print(os.getpid(), "begins", file=seen)
    while not Path("go.txt").exists():
        time.sleep(0.05)
    with Path("seen.txt").open("a") as seen:
        print(os.getpid(), "ends", file=seen)
run(main)
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "DVC_STAGE": "stage"}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a stage that runs until there is a file go.txt."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "stage.py").write_text(STAGE)
    yield tmp_path
    (tmp_path / "go.txt").touch()


def begin(folder: Path, *words: str, **options: bool) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def seen(folder: Path, lines: int) -> list[str]:
    """Wait for so many lines of what the stages note."""
    path = folder / "seen.txt"
    while not path.exists() or path.read_text().count("\n") < lines:
        time.sleep(0.05)
    return path.read_text().splitlines()


def test_a_second_process_waits(folder: Path) -> None:
    first = begin(folder, "stage.py")
    seen(folder, 1)
    second = begin(folder, "stage.py")
    assert second.stderr is not None
    assert "waiting for an earlier process" in second.stderr.readline()
    (folder / "go.txt").touch()
    assert first.wait() == second.wait() == 0
    expected = [f"{x.pid} {what}" for x in (first, second) for what in ("begins", "ends")]
    assert seen(folder, 4) == expected


def test_a_killed_process_is_not_waited_for(folder: Path) -> None:
    killed = begin(folder, "stage.py")
    seen(folder, 1)
    killed.kill()
    killed.communicate()
    after = begin(folder, "stage.py")
    assert len(seen(folder, 2)) == 2
    after.kill()
    after.communicate()


DVC = """
import os, subprocess, sys
subprocess.run([sys.executable, "stage.py"], env={**os.environ, "DVC_STAGE": "stage"})
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such signal")
def test_a_killed_dvc_takes_its_stage_along(folder: Path) -> None:
    dvc = begin(folder, "-c", DVC)
    (line,) = seen(folder, 1)
    stage = psutil.Process(int(line.split()[0]))
    dvc.send_signal(signal.SIGKILL)
    dvc.wait()
    stage.wait(30)
    assert len(seen(folder, 1)) == 1


DVC_THAT_IS_GONE = """
import os, subprocess, sys
subprocess.Popen([sys.executable, "late.py"], env={**os.environ, "DVC_STAGE": "late"})
"""


def late_stage(folder: Path) -> None:
    """Write late.py: the stage, which begins after a second and need not wait for an end."""
    (folder / "go.txt").touch()
    (folder / "late.py").write_text(STAGE.replace("run(main)", "time.sleep(1)\nrun(main)"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such signal")
def test_a_stage_that_begins_after_its_dvc_was_killed_ends_at_once(folder: Path) -> None:
    late_stage(folder)
    dvc = begin(folder, "-c", DVC_THAT_IS_GONE, start_new_session=True)
    _, said = dvc.communicate(timeout=60)  # until the stage ends, which has the same streams
    assert "the dvc that started this stage has ended" in said
    assert not (folder / "seen.txt").exists()


def test_it_ends_in_a_container_too_whose_first_process_is_a_shell(folder: Path) -> None:
    """There the orphan goes to a process of its own session."""
    late_stage(folder)
    spaces = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")
    if shutil.which("unshare") is None or subprocess.run([*spaces, "true"]).returncode:
        pytest.skip("no process namespaces here")
    (folder / "killed.py").write_text(DVC_THAT_IS_GONE)
    # `cat` ends with the last process that could still write to it.
    begun = subprocess.run(
        [*spaces, "sh", "-c", f"{sys.executable} killed.py 2>&1 | cat"],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert "the dvc that started this stage has ended" in begun.stdout
    assert not (folder / "seen.txt").exists()
