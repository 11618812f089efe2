"""Where MLflow shows what was tracked: the address of its server, of runs and of views."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.tracking.views import SavedView

LOCAL_SERVER = "http://127.0.0.1:5000"
SERVE = "uv run mlflow ui --backend-store-uri"


class Server(NamedTuple):
    """Where MLflow's page is."""

    address: str
    command: str
    """What starts the server; empty for one that runs anyway."""

    def run(self, run_id: str) -> str:
        """Return the address of a run."""
        return f"{self.address}/#/runs/{run_id}"


def server() -> Server:
    """Return the server of `$MLFLOW_TRACKING_URI`, else the one that a command here would start."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if uri and uri.startswith(("http:", "https:")):
        return Server(uri.rstrip("/"), "")
    # By the variable's name, since the address of a database may hold a password.
    return Server(
        LOCAL_SERVER, f"{SERVE} {'$MLFLOW_TRACKING_URI' if uri else 'sqlite:///mlflow.db'}"
    )


def view_links(views: Sequence[SavedView], experiment_id: str | None) -> dict[str, str]:
    """Return the address of each view by its name; none if nothing is tracked."""
    address = server().address
    return {view.name: view.url(address, experiment_id) for view in views if experiment_id}


def run_links(runs: Mapping[str, str | None]) -> dict[str, str]:
    """Return the address of each run that was tracked, by what it is."""
    return {name: server().run(run_id) for name, run_id in runs.items() if run_id}
