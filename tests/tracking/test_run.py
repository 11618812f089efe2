"""A run: what is logged is what the store holds."""

import base64
import inspect
import json
import math
import zlib
from pathlib import Path

from pipeline.tracking.run import NullRun, Run
from pipeline.tracking.views import table_view
from tests.support.tracked_store import MD5, begin, client


def test_the_null_run_has_every_method_of_a_run() -> None:
    def methods(kind: type) -> dict[str, list[object]]:
        return {
            name: list(inspect.signature(method).parameters.values())
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert methods(NullRun) == methods(Run)
    assert NullRun.id is None
    assert NullRun.experiment_id is None


def test_a_run_holds_what_was_logged(store: Path) -> None:
    import pandas as pd

    picture = store / "curve.png"
    picture.write_bytes(b"first")
    params = {f"section.key{i}": i for i in range(150)}
    with begin("train", params=params, tags={"arm": "proposed"}) as run:
        for step in range(3):
            run.log({"loss": 1 / (step + 1), "bad": math.inf}, step=step)
        run.tags({"verdict": "good"})
        run.file(picture, folder="figures")
        picture.write_bytes(b"second")
        run.table(pd.DataFrame({"image": ["a", "b"], "bytes": [1, 2]}), "images")
        run.table(pd.DataFrame({"q": [1]}), "points")
        run.dataset("streets", digest=MD5, source="data/streets", context="training")
    with begin("evaluate", parent=run.id) as child:
        child.log({"miou": 0.5})

    seen = client().get_run(run.id)
    assert seen.info.status == "FINISHED"
    assert seen.data.params == {key: str(value) for key, value in params.items()}
    assert seen.data.tags["arm"] == "proposed"
    assert seen.data.tags["verdict"] == "good"
    history = client().get_metric_history(run.id, "loss")
    assert [(m.step, m.value) for m in history] == [(0, 1.0), (1, 1 / 2), (2, 1 / 3)]
    assert math.isnan(seen.data.metrics["bad"])
    assert seen.inputs.dataset_inputs[0].dataset.digest == MD5
    figures = client().list_artifacts(run.id, "figures")
    assert [f.path for f in figures] == ["figures/curve.png"]
    assert Path(client().download_artifacts(run.id, "figures/curve.png")).read_bytes() == b"first"
    table = client().load_table(seen.info.experiment_id, "images.json", run_ids=[run.id])
    assert table["bytes"].tolist() == [1, 2]
    assert "points.json" in seen.data.tags["mlflow.loggedArtifacts"]

    seen_child = client().get_run(child.id)
    assert seen_child.data.tags["mlflow.parentRunId"] == run.id
    assert seen_child.info.experiment_id == seen.info.experiment_id


def test_a_run_adds_to_another_and_to_its_experiment(store: Path) -> None:
    with begin("evaluate") as evaluated:
        evaluated.log({"miou": 0.5})
    view = table_view("scores", "All scores", runs="", order="", columns={"metrics.`miou`": 75})
    with begin("report") as report:
        said = {"verdict.bd_rate.miou": "do not quote"}
        report.log_to(evaluated.id, {"bd_rate/miou": -20.5}, said)
        report.view(view)
    seen = client().get_run(evaluated.id)
    assert seen.info.status == "FINISHED"
    assert seen.data.metrics == {"miou": 0.5, "bd_rate/miou": -20.5}
    assert seen.data.tags.items() >= said.items()
    tags = client().get_experiment(report.experiment_id).tags
    kept = json.loads(tags["mlflow.sharedViewState.scores"])
    assert kept["name"] == "All scores"
    packed = base64.b64decode(kept["state"].removeprefix("deflate;"))
    assert json.loads(zlib.decompress(packed)) == view.state
