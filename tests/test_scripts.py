"""What the scripts of experiments/ promise, read from their text: nothing is run."""

from pathlib import Path

import yaml

from pipeline.params import flat, parse


def test_the_papers_script_pins_every_setting_that_decides_a_number(repository: Path) -> None:
    script = (repository / "experiments/paper.sh").read_text()
    params = parse(yaml.safe_load((repository / "params.yaml").read_text()))
    free = {
        *("model.file", "data.tuning_cities", "loss.balance_learning_rate", "loss.initial_weight"),
        *("train.launcher", "train.compile", "train.device", "train.checkpoint_minutes"),
        *("report.resamples", "report.level", "report.joint_loss", "report.picture_qualities"),
        "report.examples",
    }
    sections = ("streets", "tracking")
    decisive = {x for x in flat(params) if x not in free and x.split(".")[0] not in sections}
    assert not [key for key in decisive if f"{key}=" not in script]
