"""What tests share: one thread, and the repository's own settings."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

# Before torch is imported, here or in a process that a test starts: tiny tensors gain nothing from
# more threads, and with one a sum has one order.
os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).parents[1]


@pytest.fixture
def values(repository: Path) -> dict[str, Any]:
    """params.yaml as YAML gives it, to be changed at will."""
    return yaml.safe_load((repository / "params.yaml").read_text())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the file that takes longest come first: two workers then end at about the same time."""
    items.sort(key=lambda item: item.path.name != "test_pipeline.py")
