"""The stores that tests of tracking run with: sqlite, PostgreSQL, PostgreSQL behind a server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mlflow_server import Server
from tests.support.postgres import Cluster, NoPostgres, cluster


@pytest.fixture(scope="module")
def main_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for the module, since making one takes seconds; with a space in its path."""
    folder = tmp_path_factory.mktemp("a repository")
    (folder / ".dvc").mkdir()
    return folder


@pytest.fixture(scope="module")
def postgres() -> Iterator[Cluster]:
    pytest.importorskip("psycopg")
    try:
        with cluster() as running:
            yield running
    except NoPostgres as error:
        pytest.skip(f"no PostgreSQL: {error}")


@pytest.fixture(scope="module")
def database(postgres: Cluster) -> str:
    """A PostgreSQL database, used directly."""
    return postgres.database("direct")


@pytest.fixture(scope="module")
def database_server(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose runs lie in PostgreSQL."""
    server = Server(tmp_path_factory.mktemp("server"), postgres.database("served"))
    server.start()
    yield server.uri
    server.stop()


STORES = [
    "sqlite",
    pytest.param("database", marks=pytest.mark.slow),
    pytest.param("database_server", marks=pytest.mark.slow),
]


@pytest.fixture(params=STORES)
def store(
    request: pytest.FixtureRequest, main_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The repository that runs are tracked from; where they go, the environment says."""
    monkeypatch.chdir(main_repository)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if request.param != "sqlite":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", request.getfixturevalue(request.param))
    return main_repository
