"""What the scripts of experiments/ promise, read from their text: nothing is run."""

import re
from pathlib import Path

import pytest
import yaml

from pipeline.params import flat, parse

FREE = {
    # Without effect there: a closed form has no step, ImageNet's weights no file.
    *("balance.learning_rate", "balance.initial_weight", "model.file", "data.tuning_cities"),
    # The rival, and what is shown of it.
    *("pictures.codecs", "evaluate.examples"),
}


@pytest.mark.parametrize(("name", "idle"), [("paper", {"streets"}), ("long", set())])
def test_the_script_pins_every_setting_that_decides_a_number(
    repository: Path, name: str, idle: set[str]
) -> None:
    """idle: sections of settings that have no effect there."""
    script = (repository / f"experiments/{name}.sh").read_text()
    (pinned,) = re.findall(r"^settings=\((.*?)^\)", script, re.DOTALL | re.MULTILINE)
    keys = set(re.findall(r"([a-z_.]+)=", pinned))
    known = set(flat(parse(yaml.safe_load((repository / "params.yaml").read_text()))))
    assert keys <= known
    idle = idle | {"machine", "tracking"}
    assert {x for x in known - keys - FREE if x.split(".")[0] not in idle} == set()
