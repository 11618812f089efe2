"""What the scripts of experiments/ promise, read from their text: nothing is run."""

from pathlib import Path

import pytest
import yaml

from pipeline.params import flat, parse


@pytest.mark.parametrize(("name", "sections"), [("paper", {"streets"}), ("long", set())])
def test_the_script_pins_every_setting_that_decides_a_number(
    repository: Path, name: str, sections: set[str]
) -> None:
    """sections: of settings that have no effect there."""
    script = (repository / f"experiments/{name}.sh").read_text()
    params = parse(yaml.safe_load((repository / "params.yaml").read_text()))
    free = {
        *("model.file", "data.tuning_cities", "loss.balance_learning_rate", "loss.initial_weight"),
        *("train.launcher", "train.compile", "train.device", "train.checkpoint_minutes"),
        *("report.resamples", "report.level", "report.joint_loss", "report.picture_qualities"),
        "report.examples",
    }
    idle = {*sections, "tracking"}
    decisive = {x for x in flat(params) if x not in free and x.split(".")[0] not in idle}
    assert not [key for key in decisive if f"{key}=" not in script]
