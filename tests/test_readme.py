"""What README and docs say of the repository: settings, code and commands that they name exist."""

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_readme_is_short() -> None:
    assert len(FILES[0].read_text().splitlines()) <= 180


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_settings_that_are_named_exist(file: Path, values: dict[str, Any]) -> None:
    text = file.read_text()
    keys = set(re.findall(r"-S [\"']?([a-z_.]+)=", text)) - {"key"}
    keys |= set(re.findall(rf"`((?:{'|'.join(values)})\.\w+)(?:: \w+)?`", text))
    for key in keys - {"model.safetensors"}:
        value: Any = values
        for part in key.split("."):
            assert part in value, key
            value = value[part]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_modules_and_files_that_are_named_exist(file: Path) -> None:
    text = file.read_text()
    for module in set(re.findall(r"python -m ((?:commands|stages|docs|tests)\.[\w.]+)", text)):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module
    for path in set(
        re.findall(r"`((?:pipeline|stages|commands|experiments|tests)/[\w/.]+)`", text)
    ):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("file", [FILES[0], ROOT / "docs/architecture.md"], ids=lambda x: x.name)
def test_dictionaries_to_extend_are_where_they_are_said_to_be(file: Path) -> None:
    rows = re.findall(r"`([A-Z]+)`.*\| `(pipeline/[\w/]+\.py)` \|", file.read_text())
    assert len(rows) == 7
    for name, path in rows:
        assert re.search(rf"^{name}\b", (ROOT / path).read_text(), re.M), name
