"""Saved views of an experiment on MLflow's page, and the addresses of views and runs.

A page of runs shows no metric and no param unless someone picks them. MLflow keeps what was picked
as a tag of the experiment, lists it under *Views*, and opens it by a link. The form of such a tag
is MLflow's own and described nowhere; `tests/tracking/test_views.py` holds it in a browser.
"""

import base64
import json
import os
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

RUN_COLOUR = "mlflow.runColor"
"""Tag of a run: the colour of its curves."""
LOCAL_SERVER = "http://127.0.0.1:5000"
SERVE = "uv run mlflow ui --backend-store-uri"
RUNS = "tags.stage = 'evaluate'"
# Columns that are always there: the name of the run, and when it was started.
FIXED_PX = {"attributes.`Run Name`": 230, "runDateAndNestInfo": 135}


class SavedView(NamedTuple):
    """What MLflow shows when this view is picked."""

    key: str
    """In links; a view of the same key is replaced."""
    name: str
    """In the menu."""
    state: Mapping[str, object]
    """As MLflow's page has it."""
    mode: str
    """What a link opens: TABLE or CHART."""

    @property
    def tag(self) -> tuple[str, str]:
        """Key and value of the experiment's tag."""
        # A value may have 5000 characters at most.
        packed = base64.b64encode(zlib.compress(json.dumps(self.state).encode())).decode()
        value = {"name": self.name, "createdAt": time.time_ns() // 10**6}
        key = f"mlflow.sharedViewState.{self.key}"
        return key, json.dumps(value | {"state": f"deflate;{packed}"})

    def url(self, server: str, experiment_id: str) -> str:
        """Return where a server shows the experiment like this."""
        page = f"{server}/#/experiments/{experiment_id}/runs?viewStateShareKey={self.key}"
        # Without the last, MLflow opens as a tool for language models.
        return f"{page}&compareRunsMode={self.mode}&workflowType=machine_learning"


class Server(NamedTuple):
    """Where MLflow's page is."""

    address: str
    command: str
    """What starts the server; empty for one that runs anyway."""


def experiment_views(
    encoders: Mapping[str, str], *, scores: Sequence[str], rates: Sequence[str]
) -> list[SavedView]:
    """Return what someone wants to see first: the table of all models, the curves of an encoder.

    encoders: name -> title. scores: names of the metrics of an evaluation, beside `bpfe`. rates:
    names of the metrics of the proposed arm's BD-rates.
    """
    return [_table(scores, rates), *(_curves(*item, scores) for item in encoders.items())]


def server() -> Server:
    """Return the server of `$MLFLOW_TRACKING_URI`, else the one that a command here would start."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if uri.startswith(("http:", "https:")):
        return Server(uri.rstrip("/"), "")
    # By the variable's name, since the address of a database may hold a password.
    store = "$MLFLOW_TRACKING_URI" if uri else "sqlite:///mlflow.db"
    return Server(LOCAL_SERVER, f"{SERVE} {store}")


def view_links(views: Sequence[SavedView], experiment_id: str | None) -> dict[str, str]:
    """Return the address of each view by its name; none if nothing is tracked."""
    address = server().address
    return {view.name: view.url(address, experiment_id) for view in views if experiment_id}


def _table(scores: Sequence[str], rates: Sequence[str]) -> SavedView:
    """Return a row for each evaluated model."""
    columns = {
        "params.`encoder`": 85,
        "params.`arm`": 95,
        "params.`seed`": 60,
        "params.`scale`": 80,
        "attributes.`Dataset`": 125,
        **{f"metrics.`{name}`": 75 for name in ("bpfe", *scores)},
        **{f"metrics.`{name}`": 160 for name in rates},
        "tags.`dvc.experiment`": 150,
    }
    state = {
        "searchFilter": RUNS,
        "orderByKey": "params.`encoder`",
        "orderByAsc": True,
        "selectedColumns": list(columns),
        "columnOrder": [*FIXED_PX, *columns],
        "columnWidths": FIXED_PX | columns,
    }
    return SavedView("scores", "Rates, scores and BD-rates", state, "TABLE")


def _curves(encoder: str, title: str, scores: Sequence[str]) -> SavedView:
    """Return a chart for each score over the rate, with a curve for each run of an encoder."""
    name = f"{title}, scores over rate"
    section = {
        "uuid": "curves",
        "name": name,
        "display": True,
        "isReordered": True,
        "columns": 3,
        "cardHeight": 400,
    }
    state = {
        "searchFilter": f"{RUNS} and params.encoder = '{encoder}'",
        "orderByKey": "params.`arm`",
        "orderByAsc": True,
        "selectedColumns": [],
        "compareRunCharts": [_curve(score) for score in scores],
        "compareRunSections": [section],
        # Otherwise MLflow sorts this section among those it makes for all other metrics.
        "isAccordionReordered": True,
    }
    return SavedView(f"curves-{encoder}", name, state, "CHART")


def _curve(score: str) -> dict[str, object]:
    return {
        "uuid": f"curve-{score}",
        "type": "LINE",
        "metricSectionId": "curves",
        "metricKey": score,
        "selectedMetricKeys": [score],
        "xAxisKey": "metric",
        "selectedXAxisMetricKey": "bpfe",
        "useGlobalXaxisKey": False,
        "lineSmoothness": 0,
        "scaleType": "linear",
        "xAxisScaleType": "linear",
        "displayPoints": True,
        "range": {},
    }
