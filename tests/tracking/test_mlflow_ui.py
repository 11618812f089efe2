"""What someone sees who opens MLflow after a run, in a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.scoring.hull import monotone_envelope
from pipeline.scoring.metrics import SCORES, bits_per_element
from pipeline.tracking import start as tracking
from stages.report import saved_views
from stages.settings import load
from tests.support.browser import chromium_or_skip
from tests.support.mlflow_page import open_runs
from tests.support.mlflow_server import Server
from tests.support.report_models import CODECS
from tests.support.tracked_experiment import ENCODERS, MD5, NAMES, measured, track

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Server]:
    """A server of the store that the stages have filled."""
    folder = tmp_path_factory.mktemp("experiment")
    (folder / ".dvc").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        track(folder, yaml.safe_load((repository / "params.yaml").read_text()), patch)
        server = Server(folder, tracking.store_uri(), folder / "mlartifacts")
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium_or_skip() as browser:
        yield browser


@pytest.fixture(scope="module")
def links(server: Server) -> dict[str, str]:
    """View -> where MLflow shows it."""
    (experiment,) = [
        x.experiment_id
        for x in client(server).search_experiments()
        if x.name == "compressible-features"
    ]
    return {view.key: view.url(server.uri, experiment) for view in saved_views(load())}


def client(server: Server) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(server.uri)


ROWS = """() => {
  const rows = {};
  for (const cell of document.querySelectorAll(".ag-row .ag-cell")) {
    const row = (rows[cell.closest(".ag-row").getAttribute("row-index")] ??= {});
    row[cell.getAttribute("col-id")] =
      (cell.querySelector("a") ?? cell).textContent.trim();
  }
  return Object.keys(rows).sort((a, b) => a - b).map((index) => rows[index]);
}"""
NAME = "attributes.`Run Name`"


def cells(page: Any) -> dict[str, dict[str, str]]:
    """Name of a run -> column -> what its cell shows; runs in order, columns as MLflow names them.

    A row lies in two parts on the page: that of the names stays where it is when the rest moves.
    """
    return {row[NAME]: row for row in page.evaluate(ROWS)}


def test_the_table_shows_models_scores_and_bd_rates(
    server: Server, browser: Any, links: dict[str, str]
) -> None:
    page = open_runs(browser, links["scores"], run=f"evaluate {NAMES[-1]}", **WIDE)
    found = cells(page)
    assert set(found) == {f"evaluate {name}" for name in NAMES}
    for name in NAMES:
        row = found[f"evaluate {name}"]
        shown = {key: row[f"params.`{key}`"] for key in ("encoder", "arm", "seed", "scale")}
        assert shown == {key: str(x) for key, x in name._asdict().items()} | {"scale": "192x96"}
        assert row["attributes.`Dataset`"].startswith("streets")
        best = measured(name).codecs[CODECS[0]]
        bpfe = bits_per_element(best.bytes_N, elements=measured(name).elements)
        assert float(row["metrics.`bpfe`"]) == pytest.approx(bpfe)
        for task, score in SCORES.items():
            value = score.compute(best.sums[task])
            assert float(row[f"metrics.`{score.name}`"]) == pytest.approx(value)
            for kind in ("hull_bd_rate", "bd_rate"):
                percent = row[f"metrics.`{kind}/{score.name}`"]
                if name.arm == "proposed":
                    assert -25 < float(percent) < -15
                else:
                    assert percent == "-"


WIDE = {"width": 3600, "height": 900}
CURVES = """() => [...document.querySelectorAll(".js-plotly-plot")].map((plot) =>
  plot.data.filter((x) => x.mode.includes("markers")).map((x) => [x.name, [...x.x], [...x.y]]))"""


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_charts_draw_the_curve_of_either_arm(
    server: Server, browser: Any, links: dict[str, str], encoder: str
) -> None:
    both = [name for name in NAMES if name.encoder == encoder]
    page = open_runs(browser, links[f"curves-{encoder}"], run=f"evaluate {both[-1]}", **WIDE)
    page.wait_for_function(f"() => ({CURVES})().filter((x) => x.length === 2).length >= 3")
    charts = page.evaluate(CURVES)[: len(SCORES)]
    titles = page.locator(".js-plotly-plot .xtitle").all_text_contents()
    assert titles[: len(SCORES)] == ["bpfe"] * len(SCORES)
    for (task, score), curves in zip(SCORES.items(), charts, strict=True):
        drawn = {run: (x, y) for run, x, y in curves}
        assert set(drawn) == {f"evaluate {name}" for name in both}
        for name in both:
            found = measured(name)
            at = list(found.codecs.values())
            x, y = drawn[f"evaluate {name}"]
            rates = [bits_per_element(point.bytes_N, elements=found.elements) for point in at]
            scored = [score.compute(point.sums[task]) for point in at]
            # The first codec is the dearest; the others come from the cheapest on.
            kept = sorted({0, *monotone_envelope(rates, scored).tolist()}, reverse=True)
            assert len(kept) >= 2
            assert x == pytest.approx([rates[i] for i in kept])
            assert y == pytest.approx([scored[i] for i in kept])


def test_the_views_are_on_the_menu(server: Server, browser: Any, links: dict[str, str]) -> None:
    plain = links["scores"].split("?")[0] + "?workflowType=machine_learning"
    page = open_runs(browser, plain, run="report", **WIDE)
    page.get_by_test_id("saved-views-trigger").click()
    page.get_by_text("Encoder1, scores over rate").wait_for()
    page.get_by_text("Rates, scores and BD-rates").click()
    page.get_by_role("link", name=f"evaluate {NAMES[-1]}").first.wait_for()
    assert "metrics.`miou`" in cells(page)[f"evaluate {NAMES[-1]}"]


def test_an_evaluation_lies_under_its_training(
    server: Server, browser: Any, links: dict[str, str]
) -> None:
    plain = links["scores"].split("?")[0] + "?workflowType=machine_learning"
    page = open_runs(browser, plain, run="report", **WIDE)
    trainings = {f"train {name}" for name in NAMES}
    assert set(cells(page)) == {*trainings, "report"}
    for name in NAMES:
        row = page.locator(".ag-row", has=page.get_by_role("link", name=f"train {name}"))
        row.locator(f"[col-id='{NAME}'] button").first.click()
        page.get_by_role("link", name=f"evaluate {name}").first.wait_for()
    in_order = list(cells(page))
    for name in NAMES:
        assert in_order[in_order.index(f"train {name}") + 1] == f"evaluate {name}"


def test_the_data_set_has_the_digest_of_dvc(server: Server, links: dict[str, str]) -> None:
    for run in client(server).search_runs([links["scores"].split("/")[-2]]):
        if run.data.tags["stage"] == "evaluate":
            (used,) = run.inputs.dataset_inputs
            assert (used.dataset.name, used.dataset.digest) == ("streets", MD5)
