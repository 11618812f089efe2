"""Draw mlflow-runs.png and mlflow-chart.png anew, of the runs that `dvc repro` has left.

    uv run python -m docs.screenshots

It needs Chromium: from the system, or `uv run playwright install chromium`.
"""

from pathlib import Path

from mlflow import MlflowClient
from PIL import Image

from pipeline.tracking.api import store_uri
from stages.report import saved_views
from stages.settings import load
from tests.support.browser import chromium
from tests.support.mlflow_page import open_runs
from tests.support.mlflow_server import Server

FOLDER = Path(__file__).parent
WIDTH_PX = 1400
PICTURES = {
    # view -> the picture, and the window that it shows
    "scores": ("mlflow-runs.png", 1760, 450),
    "curves-encoder2": ("mlflow-chart.png", 1500, 760),
}
# What a visitor closes: an assistant, and a note that this view is not the visitor's own.
CLOSE = ("mlflow.assistant.chat_panel.close", "mlflow_header.toggle_sidebar_button")


def main() -> None:
    """Serve the store of this repository, and look at it."""
    params = load()
    experiment = MlflowClient(store_uri()).get_experiment_by_name(params.tracking.experiment)
    server = Server(Path.cwd(), store_uri(), Path("mlartifacts").absolute())
    server.start()
    try:
        with chromium() as browser:
            for view in saved_views(params):
                if view.key not in PICTURES:
                    continue
                name, width, height = PICTURES[view.key]
                page = open_runs(
                    browser,
                    view.url(server.uri, experiment.experiment_id),
                    run=f"evaluate {params.encoders[-1]}-proposed-{params.seeds[0]}",
                    width=width,
                    height=height,
                    scale=WIDTH_PX / width,
                )
                for part in CLOSE:
                    page.locator(f"[data-component-id='{part}']").click()
                if view.mode == "CHART":
                    page.locator(".js-plotly-plot .point").first.wait_for(state="attached")
                page.wait_for_timeout(2000)  # for what slides
                path = FOLDER / name
                page.screenshot(path=path)
                with Image.open(path) as image:
                    image.convert("RGB").quantize(256).save(path, optimize=True)
                print(f"{path}: {path.stat().st_size:,} bytes")
    finally:
        server.stop()


if __name__ == "__main__":
    main()
