"""The experiment survives kills: what it leaves is what an undisturbed run leaves."""

from pathlib import Path

import pytest

from tests.chaos.kill_anything import chaos


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_experiment_survives_kills(tmp_path: Path) -> None:
    happened = chaos(tmp_path / "experiment", rounds=1, kills=4, seed=0)
    assert happened["faults"] == 0
    assert sum(count for what, count in happened.items() if what.startswith("killed")) >= 2
