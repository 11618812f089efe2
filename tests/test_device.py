"""The device of the nets: what an environment or a container says of it."""

from pathlib import Path

import pytest
import torch

from pipeline import device
from pipeline.params import ParamsError
from stages.train import launch


@pytest.mark.parametrize(
    ("quota", "threads"),
    [("50000 100000\n", 1), ("250000 100000\n", 2), ("800000 100000\n", 3), ("max 100000\n", 3)],
)
def test_threads_stay_within_the_quota_of_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, threads: int
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(device, "CPU_QUOTA", tmp_path / "cpu.max")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert device.open_device("cpu").type == "cpu"
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_what_a_launcher_left_in_the_environment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    device.open_device("cpu")  # which other stages use, waits for nobody
    with pytest.raises(ParamsError, match="WORLD_SIZE is 2 in the environment"):
        launch("python", [])
