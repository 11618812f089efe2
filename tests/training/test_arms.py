"""The stage of training: the arms differ by the rate term alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from benchmarks.made_up import noise_frames
from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet
from pipeline.nets.stored import load_model
from pipeline.training.runtime import seed_all
from stages.train import INITIAL, main
from tests.support.tiny_net import TINY
from tests.support.tiny_training import assert_same_state


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
    values["entropy"]["components"] = 3
    values["train"] |= {"epochs": 2, "batch": 2, "precision": "float32"}
    values["machine"] |= {"device": "cpu", "launcher": "python"}
    values["tracking"]["enabled"] = False

    def run(arm: str, section: str = "loss", **changes: object) -> list[bytes]:
        changed = values | {section: values[section] | changes}
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


def test_no_setting_of_the_entropy_model_reaches_another_arm(
    train: Callable[..., list[bytes]],
) -> None:
    before = [train(arm) for arm in ("benchmark", "proposed")]
    changes = {"components": 4, "weight": 9.0, "learning_rate": 0.5, "rounding": "straight-through"}
    assert [train(arm, "entropy", **changes) for arm in ("benchmark", "proposed")] == before
    assert train("entropy", "entropy", **changes)[0] not in [weights for weights, _ in before]


def test_a_frozen_encoder_is_left_as_it_starts(train: Callable[..., list[bytes]]) -> None:
    train("entropy", "entropy", freeze_encoder=True)
    frozen, _ = load_model(Path("models/tiny-entropy-0"))
    seed_all(0, 0, INITIAL)
    first = SplitNet("tiny", tuple(frozen.decoders), components=3)
    assert_same_state(frozen.encoder, first.encoder)
    assert any(
        not torch.equal(*pair)
        for pair in zip(frozen.decoders.parameters(), first.decoders.parameters(), strict=True)
    )
    train("entropy")
    trained, _ = load_model(Path("models/tiny-entropy-0"))
    with pytest.raises(AssertionError):
        assert_same_state(trained.encoder, first.encoder)
