"""The scripts of experiments/ that train, and DVC's queue: a grid, and data from elsewhere."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

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


def settings(repository: Path, prefix: str) -> list[dict]:
    """Return the settings of each DVC experiment whose name begins so."""
    fields = "%(refname:lstrip=-1) %(objectname)"
    found = command(repository, "git", "for-each-ref", f"--format={fields}", "refs/exps").stdout
    return [
        yaml.safe_load(command(repository, "git", "show", f"{commit}:params.yaml").stdout)
        for name, commit in map(str.split, found.splitlines())
        if name.startswith(prefix)
    ]


def test_a_grid_of_weights_trains_and_evaluates_the_benchmark_once(repository: Path) -> None:
    """With two workers side by side, one store, and a benchmark that has to be trained anew."""
    before = runs(repository)
    done = command(repository, "experiments/weights.sh", "-S", "train.epochs=1", JOBS="2")
    command(repository, "dvc", "queue", "stop")  # or they linger for a minute
    assert {x["loss"]["weight"] for x in settings(repository, "weight-")} == {0.1, 0.3, 1, 3}
    new: pd.DataFrame = runs(repository).iloc[len(before) :]
    assert set(new["status"]) == {"FINISHED"}
    assert set(new["experiment"]) == {"compressible-features"}
    assert new["name"].value_counts().to_dict() == {
        "train encoder2-benchmark-0": 1,
        "train encoder2-proposed-0": 4,
        "evaluate encoder2-benchmark-0": 1,
        "evaluate encoder2-proposed-0": 4,
        "report": 4,
    }
    for weight in ("0.1", "0.3", "1", "3"):
        assert f"weight-{weight}-" in done.stdout
    assert list((repository / "reports/family").iterdir())


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
    (found,) = settings(repository, "paper")
    assert (found["data"]["root"], found["data"]["width"]) == (str(data), 64)
    assert found["loss"]["rate_unit"] == "features"
    assert found["balance"]["method"] == "adam-epoch"
    assert found["train"]["noise"] == "fixed"
    assert found["train"]["epochs"] == 1
