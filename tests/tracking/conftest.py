"""One store for all tests of tracking, since making one takes seconds."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def main_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a space in its path."""
    folder = tmp_path_factory.mktemp("a repository")
    (folder / ".dvc").mkdir()
    return folder


@pytest.fixture
def store(main_repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository that runs are tracked from; the test works in it."""
    monkeypatch.chdir(main_repository)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return main_repository
