"""The experiment survives kills: what it leaves is what an undisturbed run leaves."""

from pathlib import Path

import pytest

from tests.chaos.kill_anything import chaos


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_experiment_survives_kills(tmp_path: Path) -> None:
    stages = ("streets", "train_proposed@encoder2-0", "evaluate@encoder2-proposed-0", "report")
    found = chaos(tmp_path / "experiment", rounds=8, seed=0, stages=stages)
    assert found.faults == []
    assert found.passes == 1
    assert found.kills.total() >= 4
