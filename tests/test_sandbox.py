"""The whole experiment without network, home, name of the user, or right to write elsewhere.

`uv run pytest -m slow -n 0 tests/test_sandbox.py` takes one to two minutes.
"""

from pathlib import Path

import pytest

from tests.support.sandbox import sandboxed, why_none
from tests.support.tiny_experiment import ROOT, runs, tiny_repository
from tests.support.tracked_store import OPEN

PROBE = """
import os, pwd, socket
for path in ("/", "/tmp", "/var/tmp", "/dev/shm", os.path.dirname(os.getcwd())):
    try:
        open(os.path.join(path, "written-by-a-test"), "w")
    except OSError as error:
        print(path, error.strerror, sep=": ")
try:
    pwd.getpwuid(os.getuid())
except KeyError:
    print("nobody's id")
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error:
    print(error.strerror)
print(sorted({"HOME", "USER", "LOGNAME"} & set(os.environ)))
open("here", "w"), open(os.environ["TMPDIR"] + "/there", "w")
"""


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """A checkout and a scratch folder, all that can be written to in the sandbox."""
    made = [tmp_path / "checkout", tmp_path / "scratch"]
    for folder in made:
        folder.mkdir()
    if reason := why_none(tmp_path):
        pytest.skip(reason)
    return made


def test_the_sandbox_is_closed(folders: list[Path]) -> None:
    done = sandboxed("python", "-c", PROBE, folders=folders)
    assert done.returncode == 0, done.stderr
    refused = ("/", "/tmp", "/var/tmp", "/dev/shm", str(folders[0].parent))
    assert done.stdout.splitlines() == [
        *(f"{path}: Read-only file system" for path in refused),
        "nobody's id",
        "Network is unreachable",
        "[]",
    ]
    assert [x.name for folder in folders for x in folder.iterdir()] == ["here", "there"]


def test_a_run_is_tracked_in_it(folders: list[Path]) -> None:
    """MLflow asks for a home when it is imported."""
    (folders[0] / ".git").mkdir()
    done = sandboxed("python", "-c", OPEN, "a", folders=folders, PYTHONPATH=str(ROOT))
    assert done.stderr == ""
    assert list(runs(folders[0])["status"]) == ["FINISHED"]


@pytest.mark.slow
def test_the_whole_experiment_runs_in_it(folders: list[Path]) -> None:
    """DVC itself cannot do without three variables; the stages get none of them."""
    checkout, scratch = folders
    tiny_repository(checkout)
    stages = checkout / "dvc.yaml"
    without = "cmd: env -u HOME -u USER -u DVC_SITE_CACHE_DIR python "
    stages.write_text(stages.read_text().replace("cmd: python ", without))
    needed = {"HOME": "/nonexistent", "USER": "nobody", "DVC_SITE_CACHE_DIR": f"{scratch}/dvc"}
    done = sandboxed("dvc", "repro", folders=folders, **needed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Not tracked" not in done.stdout + done.stderr
    assert "Encoder2" in (checkout / "reports/tables/table.md").read_text()
    assert (checkout / "reports/index.html").is_file()
    found = runs(checkout)
    assert set(found["status"]) == {"FINISHED"}
    assert len(found) == 2 + 2 + 1  # trainings, evaluations, the report
    # A home that is not known must not become a folder of that name.
    assert not (checkout / "~").exists()
