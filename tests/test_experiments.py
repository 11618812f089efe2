"""The scripts of experiments/, DVC's queue, and results that travel to another clone."""

import csv
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.artifacts import read_examples
from tests.support.tiny_experiment import command, runs, tiny_experiment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository of its own in which `dvc repro` has run once; `uv run` is this environment."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "uv").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    (folder / "uv").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.pathsep.join([str(folder), os.environ["PATH"]]))
        yield tiny_experiment(tmp_path_factory.mktemp("experiments"))


@pytest.fixture(autouse=True)
def _workspace_stays_as_it_was(repository: Path) -> Iterator[None]:
    yield
    assert command(repository, "git", "status", "--porcelain").stdout == ""


def experiments(repository: Path) -> dict[str, str]:
    """The commit of each DVC experiment by its name."""
    fields = "%(refname:lstrip=-1) %(objectname)"
    found = command(repository, "git", "for-each-ref", f"--format={fields}", "refs/exps").stdout
    return {name: commit for name, commit in map(str.split, found.splitlines()) if name != "stash"}


def settings_of(repository: Path, commit: str) -> dict:
    return yaml.safe_load(command(repository, "git", "show", f"{commit}:params.yaml").stdout)


def run_ids(repository: Path) -> dict[str, str]:
    """The MLflow run that each result says it came from."""
    files = sorted(repository.glob("[!.]*/**/run.json"))
    return {
        str(path.relative_to(repository)): json.loads(path.read_text())["run_id"] for path in files
    }


def test_control_takes_further_settings(repository: Path) -> None:
    done = command(repository, "experiments/control.sh", "-S", "quantizer.bits=6")
    assert done.stderr.startswith("Trains the proposed arm")
    ((name, commit),) = (x for x in experiments(repository).items() if "control" in x[0])
    assert f"Ran experiment(s): {name}" in done.stdout
    rates = json.loads(command(repository, "git", "show", f"{commit}:reports/bd_rate.json").stdout)
    assert rates["bd_rate"]["encoder2-0"] == {"miou": 0.0, "irmse": 0.0, "psnr": 0.0}
    assert settings_of(repository, commit)["quantizer"]["bits"] == 6


def test_a_grid_of_weights_trains_and_evaluates_the_benchmark_once(repository: Path) -> None:
    """With two workers side by side, one store, and a benchmark that has to be trained anew."""
    before = runs(repository)
    command(repository, "experiments/weights.sh", "-S", "train.epochs=1", JOBS="2")
    command(repository, "dvc", "queue", "stop")  # or they linger for a minute
    found = experiments(repository)
    weights = {
        settings_of(repository, x)["loss"]["weight"] for n, x in found.items() if "weight-" in n
    }
    assert weights == {0.1, 0.3, 1, 3}
    new = runs(repository).iloc[len(before) :]
    assert set(new["status"]) == {"FINISHED"}
    assert set(new["experiment"]) == {"compressible-features"}
    count = new["name"].value_counts()
    assert count["train encoder2-benchmark-0"] == 1
    assert count["train encoder2-proposed-0"] == 4
    assert count["evaluate encoder2-benchmark-0"] == 1
    assert count["evaluate encoder2-proposed-0"] == 4
    assert count["report"] == 4


def test_the_table_of_experiments_is_small(repository: Path) -> None:
    command(repository, "dvc", "exp", "run", "--temp", "-n", "four", "-S", "quantizer.bits=4")
    whole = command(repository, "dvc", "exp", "show", "--csv").stdout
    assert len(next(csv.reader(io.StringIO(whole)))) > 90
    shown = command(repository, "experiments/show.sh").stdout.splitlines()
    assert max(map(len, shown)) <= 120
    (four,) = (i for i, line in enumerate(shown) if line.startswith("four "))
    assert shown[four + 1].strip() == "quantizer.bits=4"
    assert 0 < float(shown[four].split()[-4]) < 4.5


def test_the_papers_script_reads_data_from_elsewhere(repository: Path, tmp_path: Path) -> None:
    data = tmp_path / "cityscapes"
    shutil.copytree(repository / "data/streets", data)
    small = [
        *("data.width=64", "data.height=32", "model.weights=none", "encoders=[encoder2]"),
        *("train.epochs=1", "train.batch=4", "train.validate_every=1", "seeds=[0]"),
        *("codecs=[png,jpeg-90,png@5,jpeg-20]", "model.file=.dvcignore"),
    ]
    options = [word for setting in small for word in ("-S", setting)]
    command(repository, "experiments/paper_literal.sh", str(data), *options)
    ((_, commit),) = (x for x in experiments(repository).items() if "paper" in x[0])
    settings = settings_of(repository, commit)
    assert (settings["data"]["root"], settings["data"]["width"]) == (str(data), 64)
    assert settings["loss"]["rate_of"] == "features"
    assert settings["loss"]["balance"] == "adam-epoch"
    assert settings["train"]["noise"] == "fixed"
    assert settings["train"]["epochs"] == 1


def test_what_the_run_cache_restores_points_to_its_runs(repository: Path) -> None:
    """The same settings under another name: nothing is run or tracked, and the run ids stay."""
    options = ("dvc", "exp", "run", "--temp", "-S", "quantizer.bits=5")
    command(repository, *options, "-n", "first")
    before = runs(repository)
    again = command(repository, *options, "-n", "again").stdout
    assert "Stage 'report' is cached - skipping run, checking out outputs" in again
    assert len(runs(repository)) == len(before)
    found = experiments(repository)
    # The lock file has the md5 of every run.json.
    locks = [
        command(repository, "git", "show", f"{found[x]}:dvc.lock").stdout
        for x in ("first", "again")
    ]
    assert locks[0] == locks[1]


def test_a_result_travels_to_another_clone(repository: Path, tmp_path: Path) -> None:
    # A setting tried in between leaves nothing that would make the same settings another result.
    params = repository / "params.yaml"
    params.write_text(params.read_text().replace("seeds:\n- 0\n", "seeds:\n- 0\n- 1\n"))
    command(repository, "dvc", "repro")
    assert (repository / "models/encoder2-proposed-1").is_dir()
    command(repository, "git", "checkout", "params.yaml")
    command(repository, "dvc", "repro")
    assert not list(repository.glob("*/encoder2-proposed-1*"))
    command(repository, "git", "commit", "-qam", "back")

    remote, store, clone = tmp_path / "remote.git", tmp_path / "store", tmp_path / "clone"
    command(tmp_path, "git", "init", "-q", "--bare", str(remote))
    command(repository, "git", "remote", "add", "origin", str(remote))
    command(repository, "dvc", "remote", "add", "-d", "store", str(store))
    command(repository, "git", "commit", "-qam", "remote")
    command(repository, "git", "push", "-q", "origin", "HEAD:main")
    command(repository, "dvc", "push")
    command(repository, "dvc", "exp", "run", "--temp", "-n", "six", "-S", "quantizer.bits=6")
    command(repository, "dvc", "exp", "push", "origin", "six")

    command(tmp_path, "git", "clone", "-q", "-b", "main", str(remote), str(clone))
    command(clone, "dvc", "pull", "--allow-missing")
    assert not [x for x in (clone / "data").rglob("*") if x.is_file()]
    done = command(clone, "dvc", "repro").stdout
    ran = re.findall(r"Running stage '([^']+)'", done)
    assert ran == ["check", "streets", "link", "prepare"]
    assert command(clone, "git", "status", "--porcelain").stdout == ""
    assert_nothing_to_do(clone)
    assert run_ids(clone) == run_ids(repository)
    assert set(run_ids(clone).values()) <= set(runs(repository)["id"])

    command(clone, "dvc", "exp", "pull", "origin", "six")
    command(clone, "dvc", "exp", "apply", "six")
    assert_nothing_to_do(clone)
    assert_no_frame(repository, store)
    of_six, of_main = run_ids(clone), run_ids(repository)
    changed = {path for path in of_six if of_six[path] != of_main[path]}
    assert changed == {
        "evaluation/encoder2-benchmark-0/run.json",
        "evaluation/encoder2-proposed-0/run.json",
        "reports/run.json",
    }
    by_id = runs(repository).set_index("id")["name"]
    assert by_id[of_six["reports/run.json"]] == "report"
    assert (clone / "reports/index.html").read_text().count(of_six["reports/run.json"])
    assert not (clone / "mlflow.db").exists()


def assert_no_frame(repository: Path, store: Path) -> None:
    """The store has no file of the data and the bytes of no frame; it has the wanted examples."""
    frames = [x for x in (repository / "data").rglob("*") if x.is_file()]
    pushed = [x for x in store.rglob("*") if x.is_file()]
    md5s = {hashlib.md5(x.read_bytes()).hexdigest() for x in frames}
    assert len(md5s) > 60
    assert not md5s & {x.parent.name + x.name for x in pushed}
    image_NHW3 = np.load(repository / "data/prepared/val/image.npy")
    examples = yaml.safe_load((repository / "params.yaml").read_text())["report"]["examples"]
    shown = {
        number
        for path in pushed
        for number, image_HW3 in enumerate(image_NHW3)
        if image_HW3.tobytes() in path.read_bytes()
    }
    # The examples are deflated, so their bytes are not found either.
    assert not shown
    for path in (repository / "evaluation").glob("*/examples.safetensors"):
        assert len(read_examples(path).names) == examples


def assert_nothing_to_do(folder: Path) -> None:
    assert json.loads(command(folder, "dvc", "status", "--json").stdout) == {}
    done = command(folder, "dvc", "repro")
    assert "Data and pipelines are up to date" in done.stdout + done.stderr
