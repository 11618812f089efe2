"""A run: what is logged is what the store holds."""

import base64
import json
import math
import zlib
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.tracking import api as tracking
from tests.support.tracked_store import MD5, begin, client, values


def test_the_null_run_takes_what_a_run_takes() -> None:
    run = tracking.NullRun()
    assert run.find("train", "encoder2-proposed-0", "aa") is None
    assert (run.id, run.experiment_id, run.made("aa")) == (None, None, None)
    with pytest.raises(AttributeError, match="mode1"):
        run.mode1(None)


def test_a_run_holds_what_was_logged(store: Path) -> None:
    import pandas as pd

    picture = store / "curve.png"
    picture.write_bytes(b"first")
    params = {f"section.key{i}": i for i in range(150)}
    with begin("train", params=params, tags={"arm": "proposed"}) as run:
        for step in range(3):
            run.log({"loss": 1 / (step + 1), "bad": math.inf, "none": math.nan}, step=step)
        run.file(picture, folder="figures")
        picture.write_bytes(b"second")
        run.table(pd.DataFrame({"image": ["a", "b"], "bytes": [1, 2]}), "images")
        run.table(pd.DataFrame({"q": [1]}), "points")
        run.dataset("streets", digest=MD5, source="data/streets", context="training")
    seen = client().get_run(run.id)
    assert seen.info.status == "FINISHED"
    assert seen.data.params == {key: str(value) for key, value in params.items()}
    assert seen.data.tags["arm"] == "proposed"
    assert set(seen.data.metrics) == {"loss"}
    assert values(run.id, "loss") == [(step, 1 / (step + 1)) for step in range(3)]
    assert seen.inputs.dataset_inputs[0].dataset.digest == MD5
    figures = client().list_artifacts(run.id, "figures")
    assert [f.path for f in figures] == ["figures/curve.png"]
    assert Path(client().download_artifacts(run.id, "figures/curve.png")).read_bytes() == b"first"
    table = client().load_table(seen.info.experiment_id, "images.json", run_ids=[run.id])
    assert table["bytes"].tolist() == [1, 2]
    shown = json.loads(seen.data.tags["mlflow.loggedArtifacts"])
    assert [entry["path"] for entry in shown] == ["images.json", "points.json"]


def test_a_run_is_found_by_what_it_made(store: Path) -> None:
    tags = {"stage": "train", "model": "encoder2-proposed-0"}
    ids = []
    for digest in ("aa", "aa", "bb"):
        with begin("train", tags=tags) as made:
            made.made(digest)
        ids.append(made.id)
    with suppress(RuntimeError), begin("train", tags=tags) as failed:
        failed.made("aa")
        raise RuntimeError
    with begin("evaluate") as run:
        assert run.find("train", "encoder2-proposed-0", "aa") == ids[1]
        assert run.find("train", "encoder2-proposed-0", "bb") == ids[2]
        for other in (("train", "a", "aa"), ("fit", tags["model"], "aa")):
            assert run.find(*other) is None
        run.under(ids[1])
    assert client().get_run(run.id).data.tags["mlflow.parentRunId"] == ids[1]


def test_a_run_adds_to_another_and_to_its_experiment(store: Path) -> None:
    with begin("evaluate") as evaluated:
        evaluated.log({"miou": 0.5})
    (view,) = tracking.experiment_views({}, scores=["miou"], rates=["bd_rate/miou"])
    for rate in (-20.5, -20.5, -21.0):
        with begin("report") as report:
            given = {"bd_rate/miou": rate, "none": math.nan}
            report.log_to(evaluated.id, given, {"verdict.miou": "quote it"})
            report.view(view)
    seen = client().get_run(evaluated.id)
    assert seen.info.status == "FINISHED"
    assert seen.data.metrics == {"miou": 0.5, "bd_rate/miou": -21.0}
    assert values(evaluated.id, "bd_rate/miou") == [(0, -20.5), (0, -21.0)]
    assert seen.data.tags["verdict.miou"] == "quote it"
    kept = json.loads(client().get_experiment(report.experiment_id).tags[view.tag[0]])
    assert kept["name"] == view.name
    packed = base64.b64decode(kept["state"].removeprefix("deflate;"))
    assert json.loads(zlib.decompress(packed)) == view.state
