"""What README says of the repository: its folders, settings, links and commands exist."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def text() -> str:
    return (Path(__file__).parents[1] / "README.md").read_text()


def test_every_folder_is_explained_and_exists(text: str, repository: Path) -> None:
    files = subprocess.run(
        ["git", "ls-files"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout.split()
    folders = {f"{parent}/" for file in files for parent in Path(file).parents} - {"./"}
    house = text.partition("## The house")[2]
    named = {
        x for row in re.findall(r"^\|.*", house, re.M) for x in re.findall(r"`([\w./]+/)`", row)
    }
    assert named == folders


def test_settings_exist(text: str, values: dict[str, Any]) -> None:
    keys = set(re.findall(r"-S [\"']?([a-z_.]+)=", text)) - {"key"}
    keys |= set(re.findall(r"`((?:train|loss|quantizer|data|tracking|model|report)\.\w+)`", text))
    assert len(keys) >= 10
    for key in keys:
        value: Any = values
        for part in key.split("."):
            assert part in value, key
            value = value[part]


def test_links_lead_somewhere(text: str, repository: Path) -> None:
    links = [x for x in re.findall(r"\]\(([^)]+)\)", text) if not x.startswith("https:")]
    assert len(links) >= 8
    # The page is there after `dvc repro`.
    lacking = [x for x in links if not (repository / x).exists() and x != "reports/index.html"]
    assert not lacking


def test_code_that_is_named_exists(text: str, repository: Path) -> None:
    extend = text.partition("## Extend it")[2].partition("## The house")[0]
    rows = re.findall(r"`([A-Z]+)`: .*\| `(pipeline/[\w/]+\.py)` \|", extend)
    assert len(rows) == 7
    for name, file in rows:
        assert re.search(rf"^{name}\b", (repository / file).read_text(), re.M), name
