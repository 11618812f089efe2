"""What someone sees who opens MLflow after a run, in a browser."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from pipeline.tracking import api as tracking
from tests.support.browser import chromium_or_skip
from tests.support.mlflow_page import open_runs
from tests.support.mlflow_server import Server
from tests.support.tracked_store import MD5, begin

SCORES = ("miou", "irmse", "psnr")
RATES = ("hull_bd_rate/miou", "bd_rate/miou")
BPFE = (5.0, 3.5, 2.0)
ARMS = {"benchmark": 1.0, "proposed": 0.75}
"""Arm -> its rate, relative to that of the benchmark."""
ENCODERS = {"encoder1": "Encoder1", "encoder2": "Encoder2"}
NAME = "attributes.`Run Name`"
WIDE = {"width": 3600, "height": 900}


class Page(NamedTuple):
    browser: Any
    server: str
    experiment: str | None

    def open(self, key: str, run: str) -> Any:
        """Open a saved view as a new visitor, and wait until a run is on it."""
        views = tracking.experiment_views(ENCODERS, scores=SCORES, rates=RATES)
        (view,) = [view for view in views if view.key == key]
        return open_runs(self.browser, view.url(self.server, self.experiment), run=run, **WIDE)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A browser, and a server of made-up runs of two encoders and both arms."""
    folder = tmp_path_factory.mktemp("experiment")
    (folder / ".dvc").mkdir()
    with pytest.MonkeyPatch.context() as patch, chromium_or_skip() as browser:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(folder)
        experiment = track()
        server = Server(folder, tracking.store_uri(), folder / "mlartifacts")
        server.start()
        yield Page(browser, server.uri, experiment)
        server.stop()


def track() -> str | None:
    for encoder in ENCODERS:
        for arm, rate in ARMS.items():
            params = {"encoder": encoder, "arm": arm, "seed": 0, "scale": "192x96"}
            with begin(f"train {encoder} {arm}", params=params, tags={"stage": "train"}) as trained:
                trained.log({"loss": 1.0})
            with begin(
                f"evaluate {encoder} {arm}", params=params, tags={"stage": "evaluate"}
            ) as run:
                run.under(trained.id)
                run.dataset("streets", digest=MD5, source="data/streets", context="evaluation")
                for step, bpfe in enumerate(BPFE):
                    scores = {name: bpfe * (i + 1) for i, name in enumerate(SCORES)}
                    run.log({"bpfe": bpfe * rate} | scores, step=step)
                if arm == "proposed":
                    run.log(dict.fromkeys(RATES, -25.0))
    with begin("report", tags={"stage": "report"}) as report:
        for view in tracking.experiment_views(ENCODERS, scores=SCORES, rates=RATES):
            report.view(view)
    return report.experiment_id


ROWS = """() => {
  const rows = {};
  for (const cell of document.querySelectorAll(".ag-row .ag-cell")) {
    const row = (rows[cell.closest(".ag-row").getAttribute("row-index")] ??= {});
    row[cell.getAttribute("col-id")] = (cell.querySelector("a") ?? cell).textContent.trim();
  }
  return Object.values(rows);
}"""


@pytest.mark.slow
def test_the_table_shows_a_row_for_each_model(shown: Page) -> None:
    page = shown.open("scores", "evaluate encoder2 proposed")
    # The menu offers the other view too.
    page.get_by_test_id("saved-views-trigger").click()
    page.get_by_text("Encoder1, scores over rate").wait_for()
    rows = {row[NAME]: row for row in page.evaluate(ROWS)}
    assert set(rows) == {f"evaluate {encoder} {arm}" for encoder in ENCODERS for arm in ARMS}
    for encoder in ENCODERS:
        for arm, rate in ARMS.items():
            row = rows[f"evaluate {encoder} {arm}"]
            params = [row[f"params.`{key}`"] for key in ("encoder", "arm", "seed", "scale")]
            assert params == [encoder, arm, "0", "192x96"]
            assert row["attributes.`Dataset`"].startswith("streets")
            expected = [BPFE[-1] * rate, *(BPFE[-1] * (i + 1) for i in range(3))]
            assert [float(row[f"metrics.`{x}`"]) for x in ("bpfe", *SCORES)] == expected
            given = "-25" if arm == "proposed" else "-"
            assert [row[f"metrics.`{rate}`"] for rate in RATES] == [given, given]


CURVES = """() => [...document.querySelectorAll(".js-plotly-plot")].map((plot) =>
  plot.data.filter((x) => x.mode.includes("markers")).map((x) => [x.name, [...x.x], [...x.y]]))"""


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_charts_draw_the_curve_of_either_arm(shown: Page, encoder: str) -> None:
    page = shown.open(f"curves-{encoder}", f"evaluate {encoder} proposed")
    page.wait_for_function(f"() => ({CURVES})().filter((x) => x.length === 2).length >= 3")
    titles = page.locator(".js-plotly-plot .xtitle").all_text_contents()
    assert titles[:3] == ["bpfe"] * 3
    for i, curves in enumerate(page.evaluate(CURVES)[:3]):
        drawn = {run: (x, y) for run, x, y in curves}
        assert drawn == {
            f"evaluate {encoder} {arm}": (
                [bpfe * rate for bpfe in sorted(BPFE)],
                [bpfe * (i + 1) for bpfe in sorted(BPFE)],
            )
            for arm, rate in ARMS.items()
        }
