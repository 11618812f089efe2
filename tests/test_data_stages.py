"""What DVC makes of the data: a changed frame is noticed, what is not read is not, nothing is lost.

Other stages do not run here.
"""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.support.synthetic_release import PARTS, zip_part
from tests.support.tiny_experiment import command, start, tiny_repository


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which the built-in data is prepared, and that is committed."""
    folder = tiny_repository(tmp_path_factory.mktemp("repository"))
    command(folder, "dvc", "repro", "prepare")
    command(folder, "git", "add", ".")
    command(folder, "git", "commit", "-qm", "data")
    return folder


@pytest.fixture
def elsewhere(repository: Path, tmp_path: Path) -> Path:
    """The same data in another folder, with much beside it that is not read."""
    root = tmp_path / "cityscapes"
    shutil.copytree(repository / "data/streets", root)
    (root / "gtCoarse/train").mkdir(parents=True)
    (root / "gtCoarse/train/a.png").write_text("large")
    return root


def use(repository: Path, root: Path) -> None:
    params = yaml.safe_load((repository / "params.yaml").read_text())
    params["data"]["root"] = str(root)
    (repository / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def prepare(repository: Path) -> list[str]:
    """Run the stages of the data; give those that ran."""
    done = command(repository, "dvc", "repro", "prepare")
    return re.findall(r"Running stage '([^']+)'", done.stdout)


def changed(repository: Path) -> set[str]:
    return set(json.loads(command(repository, "dvc", "status", "--json", "link", "prepare").stdout))


def digest(repository: Path) -> str:
    lock = yaml.safe_load((repository / "dvc.lock").read_text())
    return lock["stages"]["prepare"]["outs"][0]["md5"]


def test_only_what_is_read_counts(repository: Path, elsewhere: Path) -> None:
    before = digest(repository)
    use(repository, elsewhere)
    assert prepare(repository)[:2] == ["check", "link"]
    assert digest(repository) == before
    (elsewhere / "gtCoarse/train/a.png").write_text("larger")
    (elsewhere / "leftImg8bit/train/amselstadt/notes.txt").touch()
    assert changed(repository) == set()

    frame = next((elsewhere / "gtFine/val").rglob("*.png"))
    Image.new("L", (64, 32), 7).save(frame)
    assert changed(repository) == {"link", "prepare"}
    assert prepare(repository) == ["link", "prepare"]
    assert digest(repository) != before
    assert changed(repository) == set()

    for part in PARTS:
        zip_part(elsewhere, part, elsewhere / "zips")
    use(repository, elsewhere / "zips")
    assert prepare(repository) == ["check", "link", "prepare"]
    (elsewhere / "zips/stray.zip").touch()
    assert changed(repository) == set()


def test_a_root_that_is_not_there_is_told_by_its_setting(repository: Path) -> None:
    use(repository, Path("/nowhere"))
    done = start(repository, "dvc", "repro", "prepare")
    assert done.returncode != 0
    assert "error: data.root is '/nowhere', but there is no such folder in" in done.stderr
