"""The whole experiment as a user runs it: `dvc repro` and `dvc exp run` on a tiny copy.

Long on purpose: the copy is made once, and everything that is asked of it stands here.
"""

import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

from tests.support.tiny_experiment import CODECS, command, runs, start, tiny_experiment


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of its own in which `dvc repro` has run once."""
    return tiny_experiment(tmp_path_factory.mktemp("experiment"))


def md5_of(folder: Path, stage: str) -> str:
    lock = yaml.safe_load((folder / "dvc.lock").read_text())
    return lock["stages"][stage]["outs"][0]["md5"]


def test_repro_leaves_the_table_and_the_figures(repository: Path) -> None:
    text = (repository / "reports/tables/table.md").read_text()
    assert "Encoder2" in text
    points = pd.read_csv(repository / "reports/points.csv")
    assert len(points) == 2 * len(CODECS)
    assert list(points["codec"].unique()) == CODECS
    rates = json.loads((repository / "reports/bd_rate.json").read_text())
    assert set(rates["bd_rate"]["encoder2-0"]) == {"miou", "irmse", "psnr"}
    drawn = {path.name for path in (repository / "reports/figures").iterdir()}
    assert {"rate-accuracy.png", "rate-accuracy.svg", "tiles-encoder2.png"} <= drawn


def test_metrics_are_the_few_figures_to_compare(repository: Path) -> None:
    shown = json.loads(command(repository, "dvc", "metrics", "show", "--json").stdout)
    (files,) = (revision["data"] for revision in shown.values())
    assert set(files) == {"reports/bd_rate.json", "reports/scores.json"}
    at_png = files["reports/scores.json"]["data"]["png"]
    assert set(at_png) == {"encoder2-benchmark-0", "encoder2-proposed-0"}
    points = pd.read_csv(repository / "reports/points.csv").set_index(["arm", "codec"])
    assert at_png["encoder2-proposed-0"] == {
        name: pytest.approx(points.loc[("proposed", "png"), name])
        for name in ("bpfe", "miou", "irmse", "psnr")
    }


def test_plots_draw_each_score_over_the_rate(repository: Path) -> None:
    shown = json.loads(command(repository, "dvc", "plots", "show", "--json").stdout)
    assert set(shown) == {"data"}  # no errors
    drawn = [plot["content"] for (plot,) in shown["data"].values()]
    assert {x["encoding"]["y"]["field"] for x in drawn} == {"miou", "irmse", "psnr"}
    for plot in drawn:
        assert plot["mark"]["type"] == "line"
        assert plot["encoding"]["x"]["field"] == "bpfe"
        values = plot["data"]["values"]
        curves = [[x["codec"] for x in values if x["arm"] == a] for a in ("benchmark", "proposed")]
        assert curves == [CODECS, CODECS]


def test_a_second_repro_does_nothing_and_leaves_git_clean(repository: Path) -> None:
    done = command(repository, "dvc", "repro")
    assert "Data and pipelines are up to date" in done.stdout + done.stderr
    assert command(repository, "git", "status", "--porcelain").stdout == ""


def test_a_refused_setting_deletes_nothing(repository: Path) -> None:
    """DVC deletes the outputs of a stage before it runs the stage; so `check` comes first."""
    path = repository / "params.yaml"
    before, there = path.read_text(), outputs(repository)
    assert len(there) > 40
    params = yaml.safe_load(before)
    params["seeds"] = [0, 0]
    # Without the check DVC would run training and all that follows it.
    params["train"]["epochs"] += 1
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    refused = start(repository, "dvc", "repro")
    assert refused.returncode != 0
    assert "error: seeds names 0 more than once" in refused.stderr
    assert outputs(repository) == there
    path.write_text(before)
    done = command(repository, "dvc", "repro")
    assert "Data and pipelines are up to date" in done.stdout + done.stderr


def outputs(folder: Path) -> dict[Path, int]:
    """Return all files of the outputs of stages, and when they were written."""
    lock = yaml.safe_load((folder / "dvc.lock").read_text())
    places = [folder / out["path"] for stage in lock["stages"].values() for out in stage["outs"]]
    files = [x for place in places for x in ([place] if place.is_file() else place.rglob("*.*"))]
    return {file: file.stat().st_mtime_ns for file in files if file.is_file()}


def test_every_model_and_evaluation_is_a_run(repository: Path) -> None:
    found = runs(repository)
    assert set(found["status"]) == {"FINISHED"}
    assert set(found["experiment"]) == {"compressible-features"}
    by_name = found.set_index("name")
    for arm in ("benchmark", "proposed"):
        parent = by_name.loc[f"evaluate encoder2-{arm}-0", "parent"]
        assert parent == by_name.loc[f"train encoder2-{arm}-0", "id"]
    assert "report" in by_name.index


PREDICT = """
import sys
import mlflow, numpy as np
mlflow.set_tracking_uri(sys.argv[1])
for arm in ("benchmark", "proposed"):
    model = mlflow.pyfunc.load_model(f"models:/compressible-features-encoder2@{arm}")
    for batch in (1, 3):
        image = np.zeros((batch, 3, 32, 64), np.float32)
        assert model.predict(image).shape == (batch, 19 + 1 + 3, 32, 64)
assert not {"pipeline", "stages"} & set(sys.modules)
"""


def test_a_model_of_either_arm_predicts_without_this_repository(
    repository: Path, tmp_path: Path
) -> None:
    uri = f"sqlite:///{repository}/mlflow.db"
    forbid = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "PYTHONPATH": ""}
    command(tmp_path, sys.executable, "-c", PREDICT, uri, **forbid)
    client = MlflowClient(uri)
    by_name = runs(repository).set_index("name")
    for arm in ("benchmark", "proposed"):
        version = client.get_model_version_by_alias("compressible-features-encoder2", arm)
        assert version.run_id == by_name.loc[f"train encoder2-{arm}-0", "id"]


def test_runs_hold_data_tables_and_pictures(repository: Path, tmp_path: Path) -> None:
    client = MlflowClient(f"sqlite:///{repository}/mlflow.db")
    id_of = runs(repository).set_index("name")["id"]
    for stage, context in (("train", "training"), ("evaluate", "evaluation")):
        for arm in ("benchmark", "proposed"):
            (used,) = client.get_run(id_of[f"{stage} encoder2-{arm}-0"]).inputs.dataset_inputs
            assert used.dataset.name == "streets"
            assert used.dataset.digest == md5_of(repository, "prepare")
            assert [tag.value for tag in used.tags] == [context]
    evaluated = client.get_run(id_of["evaluate encoder2-proposed-0"])
    path = client.download_artifacts(evaluated.info.run_id, "images.json", str(tmp_path))
    images = pd.read_json(path, orient="split")
    assert '"images.json"' in evaluated.data.tags["mlflow.loggedArtifacts"]
    assert list(images.columns) == ["image", "codec", "bytes", "bpfe", "miou", "irmse", "psnr"]
    assert len(images) == 4 * len(CODECS)
    mean = images[images["codec"] == "png"]["bpfe"].mean()
    assert evaluated.data.metrics["bpfe"] == pytest.approx(mean)
    assert evaluated.data.params["scale"] == "64x32"
    pictures = {Path(x.path).name for x in client.list_artifacts(id_of["report"], "figures")}
    assert {f"{x}-encoder2.png" for x in ("tiles", "predictions", "rate-accuracy")} <= pictures


def test_the_control_is_exactly_zero_and_retrains_no_benchmark(repository: Path) -> None:
    """In a temporary copy, which must report to the store of the repository it came from."""
    before = len(runs(repository))
    done = command(
        repository, "dvc", "exp", "run", "--temp", "-n", "control", "-S", "loss.rate=false"
    )
    assert "train_benchmark@encoder2-0' didn't change" in done.stdout + done.stderr
    refs = command(repository, "git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout
    control = next(ref for ref in refs.split() if ref.endswith("/control"))
    shown = command(repository, "git", "show", f"{control}:reports/bd_rate.json").stdout
    rates = json.loads(shown)["bd_rate"]["encoder2-0"]
    assert rates == {"miou": 0.0, "irmse": 0.0, "psnr": 0.0}
    # Only the workspace moves the registry's aliases.
    client = MlflowClient(f"sqlite:///{repository}/mlflow.db")
    named = client.get_model_version_by_alias("compressible-features-encoder2", "proposed")
    assert (
        named.run_id
        == runs(repository).set_index("name")["id"][:before]["train encoder2-proposed-0"]
    )
    # train, evaluate (proposed) and report ran anew; the benchmark's runs were not repeated.
    assert sorted(runs(repository)["name"][before:]) == [
        "evaluate encoder2-proposed-0",
        "report",
        "train encoder2-proposed-0",
    ]


@pytest.mark.parametrize(
    "file",
    [
        "streams/encoder2-proposed-0/png@5.safetensors",
        "models/encoder2-proposed-0/model.safetensors",
        "data/prepared/val/image.npy",
    ],
)
def test_the_report_refuses_what_was_not_measured(repository: Path, file: str) -> None:
    """Bitstreams, a model and frames other than those that were evaluated, put in their place."""
    path = repository / file
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        refused = start(repository, sys.executable, "-m", "stages.report")
    finally:
        path.write_bytes(whole)
    assert refused.returncode == 1
    last = refused.stderr.splitlines()[-1]
    assert re.match(r"error: evaluation/encoder2-\w+-0/sums\.safetensors was made of another", last)
    assert file in last


HOSTILE = "x; touch pwned $(touch pwned) `touch pwned` '; touch pwned; ' \"; touch pwned"


@pytest.mark.parametrize("key", ["encoders", "seeds", "codecs"])
def test_no_setting_reaches_the_shell_as_a_command(repository: Path, key: str) -> None:
    path = repository / "params.yaml"
    before = path.read_text()
    params = yaml.safe_load(before)
    params[key] = [*params[key], HOSTILE]
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    try:
        refused = start(repository, "dvc", "repro")
    finally:
        path.write_text(before)
        command(repository, "dvc", "checkout")
    assert refused.returncode != 0
    assert not list(repository.glob("pwned*"))


def test_a_refused_setting_after_a_run_that_is_not_committed_loses_nothing(
    repository: Path,
) -> None:
    """README's way back: `git checkout params.yaml && dvc repro`."""
    path = repository / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["quantizer"]["bits"] = 6
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    command(repository, "dvc", "repro")
    count = len(runs(repository))
    params["seeds"] = [0, 0]
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    assert start(repository, "dvc", "repro").returncode != 0
    command(repository, "git", "checkout", "params.yaml")
    command(repository, "dvc", "repro")
    # Everything came back from the cache: nothing was trained or evaluated again.
    assert len(runs(repository)) == count
    assert "up to date" in command(repository, "dvc", "status").stdout
    assert command(repository, "git", "status", "--porcelain").stdout == ""


ENCODING = {f"encode@encoder2-{arm}-0" for arm in ("benchmark", "proposed")}
EVALUATING = {f"evaluate@encoder2-{arm}-0" for arm in ("benchmark", "proposed")}


PROPOSED = {"train_proposed@encoder2-0"}
REACHED = {
    "train.launcher=torchrun --nproc-per-node=2": set(),
    "quantizer.bits=6": ENCODING | EVALUATING,
    "codecs=[png,jpeg-90]": ENCODING | EVALUATING,
    "loss.weight=50": PROPOSED,
    "loss.rate_of=features": PROPOSED,
    "loss.prediction=false": PROPOSED,
    "loss.transform=false": PROPOSED,
    "report.examples=2": EVALUATING,
}


@pytest.mark.parametrize("change", REACHED)
def test_a_change_reaches_the_stages_that_depend_on_it_alone(repository: Path, change: str) -> None:
    """The first stage checks all settings, and the report shows them, so both see each change."""
    assert stages_changed(repository, change) == REACHED[change] | {"check", "report"}


def stages_changed(folder: Path, change: str) -> set[str]:
    """Return the stages that a changed setting makes out of date by themselves."""
    key, value = change.split("=", 1)
    path = folder / "params.yaml"
    before = path.read_text()
    params = yaml.safe_load(before)
    section, _, name = key.rpartition(".")
    (params[section] if section else params)[name] = yaml.safe_load(value)
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    try:
        status = json.loads(command(folder, "dvc", "status", "--json").stdout)
    finally:
        path.write_text(before)
    return set(status)
