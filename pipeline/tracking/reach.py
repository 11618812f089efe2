"""Whether a store can be reached, known within seconds.

MLflow itself tries a database ten times, 100 s in all, and waits for ever for one that takes the
connection and says nothing.
"""

import threading
from pathlib import Path

REACH_SECONDS = 8.0


class StoreError(ConnectionError):
    """A store that does not answer."""


def check_reachable(uri: str) -> None:
    """Raise if the server or database at `uri` does not answer within `REACH_SECONDS`.

    What it answers does not matter. A database is logged into once, so a wrong password is raised
    too, as the driver has it.
    """
    faults: list[Exception] = []

    def ask() -> None:
        try:
            if uri.startswith(("http:", "https:")):
                _ask_server(uri)
            else:
                _ask_database(uri)
        except Exception as error:
            faults.append(error)

    # In a thread, since no driver and no look-up of a name can be relied on to give up in time.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(REACH_SECONDS)
    if asking.is_alive():
        raise _silent()
    if faults:
        raise faults[0]


def removed_store(database: Path) -> str | None:
    """Return what to say of a sqlite file that is gone while what belongs to it is still there."""
    artifacts = database.parent / "mlartifacts"
    if database.exists() or not artifacts.is_dir() or not any(artifacts.iterdir()):
        return None
    return (
        f"The MLflow store {database} is gone, but {artifacts} still holds the files of its runs. "
        "A new store is begun, which knows no earlier run. To keep the old one, stop, put it back "
        "and run the same command again"
    )


def _ask_server(uri: str) -> None:
    import requests

    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=REACH_SECONDS)
    except requests.exceptions.SSLError:  # an answer; MLflow has settings of its own for it
        pass
    except requests.exceptions.Timeout as error:
        raise _silent() from error
    except requests.exceptions.ConnectionError as error:
        raise StoreError("nothing answers there") from error


def _ask_database(uri: str) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    with create_engine(uri, poolclass=NullPool).connect():
        pass


def _silent() -> StoreError:
    return StoreError(f"it does not answer within {REACH_SECONDS:.0f} s")
