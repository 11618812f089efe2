"""No room, no right to write, no memory: one line that says what to do, and nothing lost.

Whatever a library makes of the system's refusal, the message is ours.
"""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from pipeline.files import UnwritableError, sweep, temporary, whole_file
from tests.support.tiny_experiment import ROOT

LIMIT = 2**16
VALUES = torch.arange(2.0**18)  # a MiB


def picture(path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    Image.fromarray(pixels).save(path, "PNG")


WRITERS: dict[str, Callable[[Path], object]] = {
    "safetensors": lambda path: save_file({"a": VALUES}, path),
    "torch": lambda path: torch.save({"a": VALUES}, path),
    "text": lambda path: path.write_text("x" * 2**20),
    "picture": picture,
}


@pytest.fixture
def small_files() -> Iterator[None]:
    """The system lets this process write no more than LIMIT bytes into a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk of 256 KiB."""
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.getuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_the_system_refuses(name: str, tmp_path: Path, small_files: None) -> None:
    path = tmp_path / "a.bin"
    with whole_file(path) as part:
        part.write_text("old")
    with pytest.raises(UnwritableError) as refused, whole_file(path) as part:
        WRITERS[name](part)
    expected = f"{path} cannot be written: the system allows no file of this size; see `ulimit -f`"
    assert str(refused.value) == f"{expected}, then run the same command again"
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def refusal(path: Path, write: Callable[[Path], object]) -> str:
    """What is said of a file that cannot be written.

    The error itself is let go: its traceback would keep the removed file open, and the disk full.
    """
    try:
        with whole_file(path) as part:
            write(part)
    except UnwritableError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk(name: str, disk: Path) -> None:
    path = disk / name
    assert f"{path} cannot be written: the disk is full; make room" in refusal(path, WRITERS[name])
    assert [*disk.iterdir()] == []
    with whole_file(path) as part:
        part.write_text("there is room")
    path.unlink()


def test_a_read_only_disk(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        for path in (disk / "a.json", disk / "deep" / "a.json"):
            said = refusal(path, WRITERS["text"])
            assert f"{path} cannot be written: the file system is read-only" in said
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


def test_a_fault_of_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="elsewhere"), whole_file(tmp_path / "a"):
        (tmp_path / "elsewhere").read_text()
    with pytest.raises(RuntimeError, match="a bug"), whole_file(tmp_path / "a"):
        raise RuntimeError("a bug")
    assert [*tmp_path.iterdir()] == []


WRITE_FOR_EVER = """
import sys, time
from pathlib import Path
from pipeline.files import whole_file
with whole_file(Path(sys.argv[1])) as part:
    part.write_text("half")
    print("half", flush=True)
    time.sleep(60)
"""


def test_what_killed_processes_left_is_swept(tmp_path: Path) -> None:
    writers = []
    for name in ("dead", "living"):
        writers.append(
            subprocess.Popen(
                [sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path / name)],
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                text=True,
            )
        )
        assert writers[-1].stdout.readline() == "half\n"
    dead, living = writers
    dead.send_signal(signal.SIGKILL)
    dead.wait()
    foreign = tmp_path / ".a.elsewhere.1.part"
    foreign.mkdir()
    assert len([*tmp_path.iterdir()]) == 3
    with whole_file(tmp_path / "other") as part:
        part.write_text("whole")
    hidden = {x.name for x in tmp_path.glob(".*")}
    assert foreign.name in hidden
    assert len(hidden) == 2
    assert any(name.startswith(".living.") for name in hidden)
    two_days_ago = time.time() - 48 * 3600
    os.utime(foreign, (two_days_ago, two_days_ago))
    living.kill()
    living.wait()
    sweep(tmp_path)
    assert [x.name for x in tmp_path.iterdir()] == ["other"]


def test_own_temporary_files_stay(tmp_path: Path) -> None:
    temporary(tmp_path / "a").touch()
    (tmp_path / ".hidden.part").touch()
    sweep(tmp_path)
    assert len([*tmp_path.iterdir()]) == 2


STAGE = """
import resource, sys
import numpy as np, torch
from stages import settings
def main() -> None:
    free = 2**28
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + free, used + free))
    {work}
settings.run(main)
"""


@pytest.mark.parametrize("work", ["np.ones(2**29)", "torch.ones(2**29)", "bytes(2**32)"])
def test_too_little_memory_is_one_line(work: str, tmp_path: Path) -> None:
    path = tmp_path / "stage.py"
    path.write_text(STAGE.format(work=work))
    done = subprocess.run(
        [sys.executable, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: memory ran out at stages/settings.py, line ")
    assert "lower train.batch" in done.stderr
    assert done.stderr.count("\n") == 1
