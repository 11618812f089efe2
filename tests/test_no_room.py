"""No room and no right to write: one line that says what to do, and nothing lost.

Whatever a library makes of the system's refusal, the message is ours.
"""

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from pipeline.artifacts import array_writer, arrays_writer, write_streams
from pipeline.files import UnwritableError, temporary, whole_file
from tests.support.synthetic_release import write_release
from tests.support.tiny_experiment import ROOT

LIMIT = 2**16
VALUES = torch.arange(2.0**18)  # a MiB


def picture(path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    Image.fromarray(pixels).save(path, "PNG")


def array(path: Path) -> None:
    with array_writer(path, (64, 2**12), np.float32) as write:
        for _ in range(64):
            write(np.ones((1, 2**12)))


def arrays(path: Path) -> None:
    with arrays_writer(path) as add:
        add("noise", np.random.default_rng(0).random(2**17))


WRITERS: dict[str, Callable[[Path], object]] = {
    "safetensors": lambda path: save_file({"a": VALUES}, path),
    "torch": lambda path: torch.save({"a": VALUES}, path),
    "text": lambda path: path.write_text("x" * 2**20),
    "picture": picture,
    "array": array,
    "arrays": arrays,
    "streams": lambda path: write_streams(path, "abcd", [bytes(2**18)] * 4, "coder"),
}


@pytest.fixture
def small_files() -> Iterator[None]:
    """The system lets this process write no more than LIMIT bytes into a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_the_system_refuses(name: str, tmp_path: Path, small_files: None) -> None:
    path = tmp_path / "a.bin"
    with whole_file(path) as part:
        part.write_text("old")
    with pytest.raises(UnwritableError) as refused, whole_file(path) as part:
        WRITERS[name](part)
    assert str(refused.value).startswith(f"{path} cannot be written: File too large. Remove the")
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_fault_of_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="elsewhere"), whole_file(tmp_path / "a"):
        (tmp_path / "elsewhere").read_text()
    with pytest.raises(RuntimeError, match="a bug"), whole_file(tmp_path / "a"):
        raise RuntimeError("a bug")
    assert [*tmp_path.iterdir()] == []


def test_what_killed_processes_left_is_swept(tmp_path: Path) -> None:
    """Own files stay, as do those of living processes and of other machines."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    own, foreign = temporary(tmp_path / "a"), tmp_path / ".a.elsewhere.1.part"
    dead, living = (
        own.with_name(own.name.replace(str(os.getpid()), str(pid)))
        for pid in (ended.pid, os.getppid())
    )
    for path in (own, dead, living, tmp_path / ".hidden.part"):
        path.touch()
    foreign.mkdir()
    with whole_file(tmp_path / "other") as part:
        part.write_text("whole")
    assert {*tmp_path.glob(".*")} == {own, living, foreign, tmp_path / ".hidden.part"}


STAGE = """
import resource, sys
from stages.settings import run
def main() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
    from stages.prepare import main
    main()
run(main)
"""


def test_a_stage_says_one_line_and_leaves_no_partial_file(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    for split in ("train", "val"):
        write_release(tmp_path / "release", split=split, width=512, height=256)
    values["data"] |= {"root": "release", "width": 512, "height": 256}
    values["tracking"]["enabled"] = False
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    done = subprocess.run(
        [sys.executable, "-c", STAGE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    words = r"data/\.prepared\S+/\w+\.npy cannot be written: File too large"
    assert re.match(f"error: {words}", done.stderr)
    assert done.stderr.count("\n") == 1
    assert [x.name for x in (tmp_path / "data").rglob("*")] == []
