"""The stage of training: the arms differ by the rate term alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.made_up import noise_frames
from pipeline.nets.encoder import ENCODERS
from stages.train import main
from tests.support.tiny_net import TINY


@pytest.fixture
def train(
    tmp_path: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[bytes]]:
    """Train one arm, in a folder with six prepared frames; return its weights and history."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "tiny", TINY)
    for split, count in (("train", 6), ("val", 3)):
        noise_frames(tmp_path / "data/prepared" / split, count, width=32, height=16)
    values |= {"encoders": ["tiny"]}
    values["model"]["weights"] = "none"
    values["data"] |= {"width": 32, "height": 16}
    values["train"] |= {"epochs": 2, "batch": 2, "precision": "float32"}
    values["machine"] |= {"device": "cpu", "launcher": "python"}
    values["tracking"]["enabled"] = False

    def run(arm: str, **loss: object) -> list[bytes]:
        changed = values | {"loss": values["loss"] | loss}
        Path("params.yaml").write_text(yaml.safe_dump(changed))
        main("tiny", arm, 0)
        files = ("model.safetensors", "history.csv")
        return [Path(f"models/tiny-{arm}-0", name).read_bytes() for name in files]

    return run


def test_arms_differ_by_the_rate_term_alone(train: Callable[..., list[bytes]]) -> None:
    benchmark = train("benchmark", rate=True)
    assert train("proposed", rate=False) == benchmark
    # No setting of the rate term reaches the benchmark.
    assert train("benchmark", rate=True, weight=10.0, transform=False) == benchmark
    proposed = train("proposed", rate=True)
    assert proposed[0] != benchmark[0]
    assert b"rate" in proposed[1].splitlines()[0]
    assert b"rate" not in benchmark[1].splitlines()[0]
