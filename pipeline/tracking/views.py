"""Saved views: which columns and charts MLflow's page of an experiment shows.

A page of runs shows no metric and no param unless someone picks them. MLflow keeps what was picked
as a tag of the experiment, lists it under *Views*, and opens it by a link. The form of such a tag
is MLflow's own and described nowhere; `tests/tracking/test_mlflow_ui.py` holds it in a browser.
"""

import base64
import json
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TAG = "mlflow.sharedViewState."
RUN_COLOUR = "mlflow.runColor"
"""Tag of a run: the colour of its curves."""
# Columns that are always there: the name of the run, and when it was started.
FIXED_PX = {"attributes.`Run Name`": 230, "runDateAndNestInfo": 135}
CHART_COLUMNS = 3
CHART_HEIGHT_PX = 400


@dataclass(frozen=True)
class SavedView:
    """What MLflow shows when this view is picked."""

    key: str
    """In links; a view of the same key is replaced."""
    name: str
    """In the menu."""
    state: Mapping[str, object]
    """As MLflow's page has it."""
    charts: bool
    """Whether a link opens the charts, not the table."""

    @property
    def tag(self) -> tuple[str, str]:
        """Key and value of the experiment's tag."""
        # A value may have 5000 characters at most.
        packed = base64.b64encode(zlib.compress(json.dumps(self.state).encode())).decode()
        value = {"name": self.name, "createdAt": time.time_ns() // 10**6}
        return TAG + self.key, json.dumps(value | {"state": f"deflate;{packed}"})

    def url(self, server: str, experiment_id: str) -> str:
        """Return where a server shows the experiment like this."""
        mode = "CHART" if self.charts else "TABLE"
        page = f"{server}/#/experiments/{experiment_id}/runs?viewStateShareKey={self.key}"
        # Without the last, MLflow opens as a tool for language models.
        return f"{page}&compareRunsMode={mode}&workflowType=machine_learning"


def experiment_views(
    encoders: Mapping[str, str], *, scores: Sequence[str], rates: Sequence[str]
) -> list[SavedView]:
    """Return what someone wants to see first: the table of all models, the curves of an encoder.

    encoders: name -> title. scores: names of the metrics of an evaluation, beside `bpfe`. rates:
    names of the metrics of the proposed arm's BD-rates.
    """
    columns = {
        column("params", "encoder"): 85,
        column("params", "arm"): 95,
        column("params", "seed"): 60,
        column("params", "scale"): 80,
        column("attributes", "Dataset"): 125,
        **{column("metrics", name): 75 for name in ("bpfe", *scores)},
        **{column("metrics", name): 160 for name in rates},
        column("tags", "dvc.experiment"): 150,
    }
    runs = "tags.stage = 'evaluate'"
    table = table_view(
        "scores",
        "Rates, scores and BD-rates",
        runs=runs,
        order=column("params", "encoder"),
        columns=columns,
    )
    curves = [
        curves_view(
            f"curves-{encoder}",
            f"{title}, scores over rate",
            runs=f"{runs} and params.encoder = '{encoder}'",
            order=column("params", "arm"),
            x="bpfe",
            metrics=scores,
        )
        for encoder, title in encoders.items()
    ]
    return [table, *curves]


def column(kind: str, name: str) -> str:
    """Return MLflow's name of a column; `kind` is attributes, params, metrics or tags."""
    return f"{kind}.`{name}`"


def table_view(
    key: str, name: str, *, runs: str, order: str, columns: Mapping[str, int]
) -> SavedView:
    """Return a table of the runs that `runs` finds, by the column `order`; columns and their px."""
    widths = {**FIXED_PX, **columns}
    state = {
        "searchFilter": runs,
        "orderByKey": order,
        "orderByAsc": True,
        "selectedColumns": list(columns),
        "columnOrder": list(widths),
        "columnWidths": widths,
    }
    return SavedView(key, name, state, charts=False)


def curves_view(
    key: str, name: str, *, runs: str, order: str, x: str, metrics: Sequence[str]
) -> SavedView:
    """Return a chart for each of `metrics` over the metric `x`, a curve per run of `runs`."""
    section = {
        "uuid": "curves",
        "name": name,
        "display": True,
        "isReordered": True,
        "columns": CHART_COLUMNS,
        "cardHeight": CHART_HEIGHT_PX,
    }
    state = {
        "searchFilter": runs,
        "orderByKey": order,
        "orderByAsc": True,
        "selectedColumns": [],
        "compareRunCharts": [_curve(metric, x) for metric in metrics],
        "compareRunSections": [section],
        # Otherwise MLflow sorts this section among those it makes for all other metrics.
        "isAccordionReordered": True,
    }
    return SavedView(key, name, state, charts=True)


def _curve(metric: str, x: str) -> dict[str, object]:
    return {
        "uuid": f"curve-{metric}",
        "type": "LINE",
        "metricSectionId": "curves",
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "xAxisKey": "metric",
        "selectedXAxisMetricKey": x,
        "useGlobalXaxisKey": False,
        "useGlobalLineSmoothing": False,
        "lineSmoothness": 0,
        "scaleType": "linear",
        "xAxisScaleType": "linear",
        "displayPoints": True,
        "range": {},
        "runsCountToCompare": 10,
        "deleted": False,
        "isGenerated": False,
    }
