"""dvc.yaml: which settings and files reach which stages, seen by running it.

The stages are stubs here, which write what they were called with and all settings: so whatever runs
gives something new, and what DVC does not run would not have known of the change.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo

from tests.support.tiny_experiment import command, small_params, tiny_repository

STUB = """
import sys
from pathlib import Path

stage, words = Path(sys.argv[0]).stem, dict(zip(sys.argv[1::2], sys.argv[2::2]))
name = "-".join(words[x] for x in ("--encoder", "--arm", "--seed") if x in words)
settings = Path("params.yaml").read_text()
if "refuse" in settings and stage == "encode":
    sys.exit("refused")
for out in {
    "streets": ["data/streets/frame.png"],
    "prepare": ["data/prepared/train/frames.csv", "data/prepared/val/frames.csv"],
    "train": [f"models/{name}/model.json"],
    "fit": [f"fitted/{name}.npz"],
    "export": [f"features/{name}.npy", f"diagnostics/{name}.npz"],
    "encode": [f"streams/{name}/png.zip"],
    "encode_pictures": ["streams/pictures/jpeg-90.zip"],
    "evaluate": [f"evaluation/{name}/evaluation.json"],
    "timing": [f"times/{name}.json"],
    "report": ["reports/tables/table.md", "reports/figures/a.png", "reports/index.html",
               "reports/bd_rate.json", "reports/scores.json", "reports/points.csv"],
}[stage]:
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(stage + name + settings)
"""
ARMS = ("benchmark", "proposed", "entropy")
LATER = ("fit", "export", "encode", "evaluate")


def of(stage: str, *arms: str) -> set[str]:
    return {f"{stage}@encoder2-{arm}-0" for arm in arms}


def all_of(*arms: str) -> set[str]:
    """Return the stages of the models of some arms, from training on."""
    models = {x for stage in LATER for x in of(stage, *arms)}
    times = {f"time@encoder2-{arm}" for arm in arms}
    return models | times | {f"train_{arm}@encoder2-0" for arm in arms}


PICTURE = {"train_picture@encoder2-0", "evaluate_picture@encoder2-0"}
TIMES = {f"time@encoder2-{arm}" for arm in ARMS}
EVALUATE = of("evaluate", *ARMS)
ENCODE = of("fit", *ARMS) | of("encode", *ARMS) | EVALUATE | TIMES
TRAIN = all_of(*ARMS) | PICTURE
PREPARE = {"prepare", "encode_pictures", *TRAIN}
SEED_1 = {
    *(f"train_{arm}@encoder2-1" for arm in ARMS),
    *(f"{stage}@encoder2-{arm}-1" for stage in LATER for arm in ARMS),
}
REACHED = {
    "seeds": ([0, 1], SEED_1),
    "codecs": (["png", "jpeg-90"], ENCODE),
    "tasks": (["segmentation"], PREPARE),
    "data.width": (32, PREPARE),
    "streets.seed": (2, {"streets", *PREPARE}),
    "model.residual_init": ("torch", TRAIN),
    "quantizer.bits": (6, ENCODE),
    "quantizer.range_percent": (99.9, TRAIN),
    "loss.weight": (50.0, all_of("proposed")),
    "loss.rate_unit": ("features", all_of("proposed")),
    "entropy.weight": (9.0, all_of("entropy")),
    "entropy.codecs": (["table/2"], ENCODE),
    "pictures.codecs": (
        ["jpeg-50"],
        EVALUATE | TIMES | {"encode_pictures", "evaluate_picture@encoder2-0"},
    ),
    "pictures.qualities": ([20, 30], PICTURE),
    "balance.learning_rate": (0.1, TRAIN),
    "train.epochs": (3, TRAIN),
    "evaluate.examples": (2, EVALUATE | {"evaluate_picture@encoder2-0"}),
    "report.confidence": (0.9, set()),
}
"""Setting -> another value, and the stages that it makes run, beside `report`."""
NEUTRAL = {"machine.device": "cpu", "machine.checkpoint_minutes": 1.0, "tracking.enabled": False}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository of stubs in which everything has run and been committed."""
    folder = tiny_repository(tmp_path_factory.mktemp("stubs"))
    for path in (folder / "stages").glob("*.py"):
        path.write_text(STUB if path.stem != "__init__" else "")
    path = os.environ["PATH"]
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), path])
    run(folder)
    command(folder, "git", "add", ".")
    command(folder, "git", "commit", "-qm", "run")
    yield folder
    os.environ["PATH"] = path


@pytest.fixture(autouse=True)
def _as_committed(repository: Path) -> Iterator[None]:
    yield
    go_back(repository)


def run(folder: Path, **options: Any) -> set[str]:
    """Run what is out of date; return the stages that ran."""
    with chdir(folder), Repo() as repo:
        return {stage.addressing for stage in repo.reproduce(**options)}


def go_back(folder: Path) -> None:
    """`git checkout . && dvc checkout`."""
    command(folder, "git", "checkout", "-q", ".")
    with chdir(folder), Repo() as repo:
        repo.checkout()


def change(folder: Path, changes: Mapping[str, Any]) -> None:
    values = small_params()
    for key, value in changes.items():
        section, _, name = key.rpartition(".")
        (values[section] if section else values)[name] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def test_every_section_is_asked_about() -> None:
    sections = {key.partition(".")[0] for key in [*REACHED, *NEUTRAL]}
    assert sections | {"encoders", "arms"} == set(small_params())


@pytest.mark.parametrize("key", REACHED)
def test_a_setting_reaches_the_stages_that_it_should_and_no_other(
    repository: Path, key: str
) -> None:
    value, expected = REACHED[key]
    change(repository, {key: value})
    # Dry: DVC needs a second for each stage that it runs, most of it for its lock file.
    assert run(repository, dry=True, force_downstream=True) == expected | {"report"}


@pytest.mark.parametrize("key", ["loss.weight", "evaluate.examples", "report.confidence"])
def test_so_it_is_when_they_really_run(repository: Path, key: str) -> None:
    value, expected = REACHED[key]
    change(repository, {key: value})
    assert run(repository) == expected | {"report"}


def test_settings_of_the_machine_and_of_tracking_run_nothing(repository: Path) -> None:
    change(repository, NEUTRAL)
    assert run(repository) == set()


def test_no_other_arm_is_trained_for_a_report_of_some(repository: Path) -> None:
    change(repository, {"arms": ["benchmark", "entropy"], "train.epochs": 5, "pictures.seeds": []})
    expected = all_of("benchmark", "entropy") | {"report"}
    assert run(repository, targets=["report"], dry=True, force_downstream=True) == expected


def test_a_folder_of_data_elsewhere_is_watched(repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository / "data/streets", tmp_path / "release")
    change(repository, {"data.root": str(tmp_path / "release")})
    run(repository)
    (tmp_path / "release/frame.png").write_text("another picture")
    assert "prepare" in run(repository)


def test_a_refused_setting_comes_back_from_the_cache(repository: Path) -> None:
    """DVC deletes the outputs of a stage before it runs; then the stage refuses."""
    change(repository, {"codecs": ["png", "refuse"]})
    with pytest.raises(DvcException):
        run(repository)
    assert not (repository / "streams/encoder2-benchmark-0").exists()
    command(repository, "git", "checkout", "params.yaml")
    run(repository)
    names = {path.name for path in (repository / "streams").iterdir()}
    assert names == {"pictures", *(f"encoder2-{arm}-0" for arm in ARMS)}
    assert command(repository, "git", "status", "--porcelain").stdout == ""


def test_outputs_of_other_settings_go_with_dvc_checkout(repository: Path) -> None:
    change(repository, {"seeds": [0, 1]})
    run(repository)
    go_back(repository)
    assert {path.name for path in (repository / "models").iterdir()} == {
        f"encoder2-{arm}-0" for arm in (*ARMS, "picture")
    }
    assert run(repository) == set()
