"""The whole experiment as a user runs it: `dvc repro` and `dvc exp run` on a tiny copy.

The copy is made once, and everything that is asked of a whole experiment stands here.
"""

import json
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

from pipeline.artifacts import digest
from tests.support.tiny_experiment import (
    CODECS,
    ENTROPY,
    FITTED,
    command,
    runs,
    start,
    tiny_experiment,
)

ARMS = ("benchmark", "proposed")
POINTS = [*CODECS, *FITTED]
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of its own in which `dvc repro` has run once."""
    return tiny_experiment(tmp_path_factory.mktemp("experiment"))


def ran(folder: Path, *words: str) -> list[str]:
    """Run a command of DVC; return the stages that it ran."""
    return re.findall(r"Running stage '([^']+)'", command(folder, "dvc", *words).stdout)


def status(folder: Path) -> str:
    return command(folder, "git", "status", "--porcelain").stdout


# What is left


def test_tables_figures_page_and_metrics(repository: Path) -> None:
    points = pd.read_csv(repository / "reports/points.csv")
    assert len(points) == 2 * len(POINTS) + len(ENTROPY)
    assert list(points["codec"].unique()) == [*POINTS, *ENTROPY]
    assert {"encoder", "arm", "seed", "bpfe", "kilobytes", "miou", "irmse", "psnr"} <= set(points)
    assert "proposed" in (repository / "reports/tables/table.md").read_text()
    assert "What to send" in (repository / "reports/index.html").read_text()
    assert list((repository / "reports/figures").glob("*.svg"))

    shown = json.loads(command(repository, "dvc", "metrics", "show", "--json").stdout)
    (files,) = (revision["data"] for revision in shown.values())
    assert "reports/bd_rate.json" in files
    rates = json.loads((repository / "reports/bd_rate.json").read_text())
    assert set(rates["bd_rate"]["encoder2-0"]) == {"miou", "irmse", "psnr"}
    at_png = files["reports/scores.json"]["data"]["png"]
    for arm in ARMS:
        row = points[(points["arm"] == arm) & (points["codec"] == "png")].iloc[0]
        assert at_png[f"encoder2-{arm}-0"] == {
            name: pytest.approx(row[name]) for name in ("bpfe", "miou", "irmse", "psnr")
        }


def test_tables_serve_as_png_does_and_cost_less_with_less_of_a_header(repository: Path) -> None:
    """Both code the same levels without loss."""
    at = pd.read_csv(repository / "reports/points.csv").set_index(["arm", "codec"])
    for arm in ARMS:
        scores = at.loc[arm][["miou", "irmse", "psnr"]]
        assert scores.loc["table@5"].tolist() == scores.loc["png@5"].tolist()
        for point in FITTED:
            assert 0 < at.loc[(arm, point), "bpfe"] < at.loc[(arm, "png"), "bpfe"]
    folder = repository / "evaluation/encoder2-proposed-0"
    facts = json.loads((folder / "evaluation.json").read_text())
    model = repository / "models/encoder2-proposed-0"
    described = json.loads((model / "model.json").read_text())
    assert (facts["runtime"], facts["settings"]) == (described["runtime"], described["settings"])
    assert facts["weights"] == digest(model / "model.safetensors")
    assert (folder / "history.csv").read_bytes() == (model / "history.csv").read_bytes()


def test_plots_draw_each_score_over_the_rate(repository: Path) -> None:
    shown = json.loads(command(repository, "dvc", "plots", "show", "--json").stdout)
    assert set(shown) == {"data"}  # no errors
    drawn = [plot["content"] for (plot,) in shown["data"].values()]
    assert {x["encoding"]["y"]["field"] for x in drawn} == {"miou", "irmse", "psnr"}
    for plot in drawn:
        assert plot["encoding"]["x"]["field"] == "bpfe"
        values = plot["data"]["values"]
        assert [[x["codec"] for x in values if x["arm"] == arm] for arm in ARMS] == [POINTS] * 2


def test_a_second_repro_does_nothing_and_leaves_git_clean(repository: Path) -> None:
    done = command(repository, "dvc", "repro")
    assert "Data and pipelines are up to date" in done.stdout + done.stderr
    assert status(repository) == ""


# MLflow


def test_a_run_is_found_from_what_it_made(repository: Path) -> None:
    found = runs(repository)
    assert set(found["status"]) == {"FINISHED"}
    by_name = found.set_index("name")
    client = MlflowClient(f"sqlite:///{repository}/mlflow.db")
    experiment = client.get_experiment_by_name("compressible-features")
    for arm in ARMS:
        trained, evaluated = (by_name.loc[f"{x} encoder2-{arm}-0"] for x in ("train", "evaluate"))
        assert evaluated["parent"] == trained["id"]
        for run_id, path in (
            (trained["id"], f"models/encoder2-{arm}-0/model.safetensors"),
            (evaluated["id"], f"evaluation/encoder2-{arm}-0/sums.npz"),
        ):
            wanted = f"tags.artifact = '{digest(repository / path)}'"
            (run,) = client.search_runs([experiment.experiment_id], wanted)
            assert run.info.run_id == run_id
        run = client.get_run(evaluated["id"])
        written = (repository / f"evaluation/encoder2-{arm}-0/sums.npz").stat().st_mtime * 1000
        assert run.info.start_time < written < run.info.end_time  # it spans the work
        assert run.data.params["train.epochs"] == "2"
        assert run.data.params["codecs"] == str(POINTS)
    assert client.get_run(trained["id"]).data.params["loss.rate"] == "True"
    assert "report" in by_name.index


def test_runs_hold_data_and_tables(repository: Path, tmp_path: Path) -> None:
    client = MlflowClient(f"sqlite:///{repository}/mlflow.db")
    id_of = runs(repository).set_index("name")["id"]
    lock = yaml.safe_load((repository / "dvc.lock").read_text())
    md5 = lock["stages"]["prepare"]["outs"][0]["md5"]
    for stage, context in (("train", "training"), ("evaluate", "evaluation")):
        (used,) = client.get_run(id_of[f"{stage} encoder2-proposed-0"]).inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.digest) == ("streets", md5)
        assert [tag.value for tag in used.tags] == [context]
    evaluated = client.get_run(id_of["evaluate encoder2-proposed-0"])
    path = client.download_artifacts(evaluated.info.run_id, "images.json", str(tmp_path))
    images = pd.read_json(path, orient="split")
    assert set(images.columns) == {"image", "codec", "bytes", "bpfe", "miou", "irmse", "psnr"}
    assert len(images) == 4 * len(POINTS)
    mean = images[images["codec"] == "png"]["bpfe"].mean()
    assert evaluated.data.metrics["bpfe"] == pytest.approx(mean)
    assert evaluated.data.metrics["png:5/bpfe"] < mean


PREDICT = """
import sys
import mlflow, numpy as np
mlflow.set_tracking_uri(sys.argv[1])
for arm in ("benchmark", "proposed"):
    model = mlflow.pyfunc.load_model(f"models:/compressible-features-encoder2@{arm}")
    image = np.zeros((3, 3, 32, 64), np.float32)
    assert model.predict(image).shape == (3, 19 + 1 + 3, 32, 64)
assert not {"pipeline", "stages"} & set(sys.modules)
"""


def test_a_model_of_either_arm_predicts_without_this_repository(
    repository: Path, tmp_path: Path
) -> None:
    uri = f"sqlite:///{repository}/mlflow.db"
    forbid = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "PYTHONPATH": ""}
    command(tmp_path, sys.executable, "-c", PREDICT, uri, **forbid)


# Experiments


def test_the_control_from_the_queue_is_zero_and_retrains_no_benchmark(repository: Path) -> None:
    """In a copy of the repository, which must report to the store of the repository itself."""
    before = len(runs(repository))
    command(repository, "dvc", "exp", "run", "--queue", "-n", "control", "-S", "loss.rate=false")
    command(repository, "dvc", "exp", "run", "--run-all")
    refs = command(repository, "git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout
    control = next(ref for ref in refs.split() if ref.endswith("/control"))
    shown = command(repository, "git", "show", f"{control}:reports/bd_rate.json").stdout
    for kind in ("bd_rate", "hull_bd_rate"):
        assert set(json.loads(shown)[kind]["encoder2-0"].values()) == {0.0}
    new = runs(repository)[before:]
    # The benchmark's runs were not repeated.
    assert sorted(new["name"]) == [
        "evaluate encoder2-proposed-0",
        "report",
        "train encoder2-proposed-0",
    ]
    client = MlflowClient(f"sqlite:///{repository}/mlflow.db")
    id_of = new.set_index("name")["id"]
    for name in ("train encoder2-proposed-0", "evaluate encoder2-proposed-0"):
        assert client.get_run(id_of[name]).data.params["loss.rate"] == "False"
    # Only the workspace moves the registry's aliases.
    named = client.get_model_version_by_alias("compressible-features-encoder2", "proposed")
    assert named.run_id != id_of["train encoder2-proposed-0"]
    assert status(repository) == ""


HOSTILE = "x; touch pwned $(touch pwned) `touch pwned` '; touch pwned; ' \"; touch pwned"


@pytest.mark.parametrize("key", ["encoders", "seeds", "codecs"])
def test_no_setting_reaches_the_shell_as_a_command(repository: Path, key: str) -> None:
    path = repository / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params[key] = [*params[key], HOSTILE]
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    refused = start(repository, "dvc", "repro")
    # The way back that README names.
    command(repository, "git", "checkout", "params.yaml")
    assert ran(repository, "repro") == []
    assert refused.returncode != 0
    assert not list(repository.glob("pwned*"))
    assert status(repository) == ""


# Other clones


def test_the_same_settings_in_another_clone_give_the_same_bytes(
    repository: Path, tmp_path: Path
) -> None:
    """Nothing is shared: the clone trains and evaluates for itself."""
    clone = tmp_path / "clone"
    command(tmp_path, "git", "clone", "-q", str(repository), str(clone))
    assert "train_proposed@encoder2-0" in ran(clone, "repro")
    assert status(clone) == ""
    assert "report" in set(runs(clone)["name"])


def test_a_result_travels_without_its_data(repository: Path, tmp_path: Path) -> None:
    store, clone = tmp_path / "store", tmp_path / "clone"
    command(repository, "dvc", "remote", "add", "-d", "store", str(store))
    command(repository, "git", "commit", "-qam", "remote")
    command(repository, "dvc", "push")
    md5s = {path.parent.name + path.name for path in store.rglob("*") if path.is_file()}
    data = yaml.safe_load((repository / "dvc.lock").read_text())["stages"]["prepare"]["outs"]
    assert md5s
    assert data[0]["md5"] not in md5s

    command(tmp_path, "git", "clone", "-q", str(repository), str(clone))
    command(clone, "dvc", "pull", "--allow-missing")
    uri = f"sqlite:///{repository}/mlflow.db"
    done = command(clone, "dvc", "repro", MLFLOW_TRACKING_URI=uri)
    ran = re.findall(r"Running stage '([^']+)'", done.stdout)
    assert ran == ["streets", "prepare", "encode_pictures"]
    assert status(clone) == ""
    # A report there finds the runs of the models that it has got.
    done = command(clone, sys.executable, "-m", "stages.report", MLFLOW_TRACKING_URI=uri)
    assert "not in MLflow" not in done.stdout + done.stderr


# What a person runs on a finished experiment


@pytest.mark.parametrize("network", ["torch", "onnx"])
def test_both_halves_as_programs_give_the_scores_of_the_pipeline(
    repository: Path, network: str
) -> None:
    words = ("encoder2-entropy-0", "--network", network, "--mbit", "10")
    told = command(repository, sys.executable, "-m", "commands.demo", *words).stdout
    found = re.findall(r"(\w+): ([\d.]+); dvc repro: ([\d.]+), (equal|differs)", told)
    assert [task for task, *_ in found] == ["segmentation", "disparity", "reconstruction"]
    row = pd.read_csv(repository / "reports/points.csv").set_index(["arm", "codec"])
    for (_, score, of_pipeline, word), name in zip(found, ("miou", "irmse", "psnr"), strict=True):
        expected = row.loc[("entropy", ENTROPY[0]), name]
        assert float(of_pipeline) == pytest.approx(expected, abs=1e-6)
        assert float(score) == pytest.approx(expected, rel=1e-3)
        assert network == "onnx" or word == "equal"
    assert network == "onnx" or "as many as in dvc repro: 4 of 4" in told
    assert re.search(r"link: median \d+\.\d ms", told)


def test_a_bundle_is_kept_in_mlflow_under_the_run_that_trained_its_model(
    repository: Path,
) -> None:
    command(repository, sys.executable, "-m", "commands.bundle", "encoder2-entropy-0")
    by_name = runs(repository).set_index("name")
    kept = by_name.loc["bundle encoder2-entropy-0"]
    assert kept["parent"] == by_name.loc["train encoder2-entropy-0", "id"]
    client = MlflowClient(f"sqlite:///{repository}/mlflow.db")
    names = {Path(x.path).name for x in client.list_artifacts(kept["id"], "bundle")}
    assert names == {x.name for x in (repository / "bundles/encoder2-entropy-0").iterdir()}
    versions = client.search_model_versions("name = 'compressible-features-encoder2'")
    where = {x.run_id: x.tags.get("bundle table/1") for x in versions}
    assert where[kept["parent"]] == f"runs:/{kept['id']}/bundle"
    assert sum(x is not None for x in where.values()) == 1
    assert status(repository) == ""
    done = start(repository, sys.executable, "-m", "commands.bundle", "encoder2-entropy-7")
    assert done.returncode == 1
    assert "there is no model 'encoder2-entropy-7' in params.yaml; it has enc" in done.stderr
    words = ("encoder2-entropy-0", "--point", "png")
    done = start(repository, sys.executable, "-m", "commands.bundle", *words)
    assert "has no point 'png'; allowed: table/1, table/2" in done.stderr


def test_packets_that_are_lost_cost_score_and_none_cost_nothing(repository: Path) -> None:
    command(repository, sys.executable, "-m", "commands.packet_loss")
    table = pd.read_csv(repository / "reports/packet_loss/packet_loss.csv")
    at = pd.read_csv(repository / "reports/points.csv").set_index(["arm", "codec"])
    whole = table[table["loss"] == 0].set_index(["sender", "burst"])
    for sender, arm, codec in (
        ("entropy model, range coder 1, slices", "entropy", "table/1"),
        ("entropy model, range coder 1", "entropy", "table/1"),
        ("benchmark features, KLT 0.5, slices", "benchmark", "klt/0.5"),
        ("proposed features, PNG 5-bit", "proposed", "png@5"),
    ):
        for name in ("miou", "irmse", "psnr"):
            assert whole.loc[(sender, 5), name] == pytest.approx(at.loc[(arm, codec), name])
    assert (whole["touched_frames"] == 0).all()
    assert (table[table["loss"] == 0.2]["touched_frames"] > 0.05).all()
    assert {"picture, JPEG-90", "picture, WebP-20"} <= set(table["sender"])
    folder = repository / "reports/packet_loss"
    assert {x.name for x in folder.glob("*.png")} == {"burst-1.png", "burst-5.png"}
    assert "| entropy model, range coder 1, slices" in (folder / "packet_loss.md").read_text()
