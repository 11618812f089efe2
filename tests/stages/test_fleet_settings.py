"""What a fleet gives its jobs: their stages, their GPU, Slurm's settings."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.artifacts import ModelName
from pipeline.fleet.alone import FleetError
from pipeline.params import ParamsError
from pipeline.workspace import main_root
from stages import fleet


def test_stages_of_a_model_are_those_of_dvc_yaml(repository: Path) -> None:
    stages = fleet.stages_of(ModelName("encoder2", "proposed", 3))
    assert stages == (
        "train_proposed@encoder2-3",
        "export@encoder2-proposed-3",
        "encode@encoder2-proposed-3",
        "evaluate@encoder2-proposed-3",
    )
    known = yaml.safe_load((repository / "dvc.yaml").read_text())["stages"]
    assert {stage.split("@")[0] for stage in stages} <= set(known)


def test_each_worker_has_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(fleet.os, "sched_getaffinity", lambda _: range(16))

    def of(workers: int, gpus: list[str]) -> list[tuple[str, str]]:
        slots = fleet.local_slots(workers, gpus)
        return [(slot["CUDA_VISIBLE_DEVICES"], slot["OMP_NUM_THREADS"]) for slot in slots]

    assert of(0, ["2", "5"]) == [("2", "8"), ("5", "8")]
    assert of(4, ["2", "5"]) == [("2", "4"), ("5", "4"), ("2", "4"), ("5", "4")]
    assert of(0, []) == [("", "16")]
    assert of(2, []) == [("", "8"), ("", "8")]


@pytest.mark.parametrize(
    ("visible", "count", "gpus"),
    [
        (None, 2, ["0", "1"]),
        ("3,1", 2, ["3", "1"]),
        ("GPU-ab,GPU-cd", 2, ["GPU-ab", "GPU-cd"]),
        ("", 0, []),
    ],
)
def test_gpus_are_those_that_are_visible(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, count: int, gpus: list[str]
) -> None:
    import torch

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    assert fleet.gpus() == gpus


def test_settings_of_slurm() -> None:
    assert fleet.slurm_settings(["partition=gpu", "cpus-per-task=8"]) == {
        "slurm_partition": "gpu",
        "slurm_cpus_per_task": 8,
        "slurm_srun_args": ["--cpus-per-task=8"],
    }
    with pytest.raises(FleetError, match="--slurm has 'gpu'; allowed: key=value"):
        fleet.slurm_settings(["gpu"])


def test_several_gpus_for_one_training_are_refused(
    tmp_path: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    values["train"]["launcher"] = "env torchrun"
    values["model"]["weights"] = "none"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match=r"train\.launcher is 'env torchrun'; allowed in a fleet"):
        fleet.main()


@pytest.mark.parametrize("copies", ["exps/tmp1234", "fleet/encoder2-proposed-0"])
def test_what_outlives_a_copy_lies_in_the_head(tmp_path: Path, copies: str) -> None:
    clone = tmp_path / ".dvc/tmp" / copies
    (clone / ".dvc").mkdir(parents=True)
    assert main_root(clone) == tmp_path.resolve()
    assert main_root(clone / ".dvc") == tmp_path.resolve()
