"""Holds that weights, models and notes in JSON that lack an entry are refused by name."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from pipeline.artifacts import ArtifactError, FrameFacts, read_run_id, write_run_id
from pipeline.files import write_json
from pipeline.nets.encoder import WeightsError
from pipeline.nets.split import SplitNet
from pipeline.training.checkpoint import ModelError, load_model, save_model
from stages import kept
from tests.support.tiny_experiment import ROOT


@pytest.fixture(scope="module")
def net() -> SplitNet:
    return SplitNet("encoder2", ["reconstruction"], "none")


def without(path: Path, entry: str) -> None:
    with safe_open(path, "numpy") as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    del arrays[entry]
    save_file(arrays, path)


def test_a_model_without_one_of_its_weights(net: SplitNet, tmp_path: Path) -> None:
    save_model(tmp_path, net, {"encoder": "encoder2", "tasks": ["reconstruction"]})
    entry = next(iter(net.state_dict()))
    without(tmp_path / "model.safetensors", entry)
    words = rf"model\.safetensors does not hold .*{re.escape(entry)}.*; train it again"
    with pytest.raises(ModelError, match=words):
        load_model(tmp_path)


def test_weights_to_start_from_without_one_of_them(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    shutil.copyfile(ROOT / "weights/streets.safetensors", path)
    without(path, "conv1.weight")
    with pytest.raises(WeightsError, match=r"w\.safetensors lacks 1 entries \(conv1\.weight"):
        SplitNet("encoder2", ["reconstruction"], str(path))


@pytest.mark.parametrize("lacking", ["encoder", "tasks"])
def test_a_model_without_its_description(net: SplitNet, tmp_path: Path, lacking: str) -> None:
    description = {"encoder": "encoder2", "tasks": ["reconstruction"]}
    del description[lacking]
    save_model(tmp_path, net, description)
    with pytest.raises(ModelError, match=rf"model\.json .*{lacking}.*; train it again"):
        load_model(tmp_path)


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    write_run_id(tmp_path, "id")
    assert read_run_id(tmp_path) == "id"
    write_json(tmp_path / "run.json", {})
    with pytest.raises(ArtifactError, match=r"run\.json has no entry run_id; run `dvc repro`"):
        read_run_id(tmp_path)


@pytest.mark.parametrize("lacking", FrameFacts._fields)
def test_notes_of_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str) -> None:
    facts: Mapping[str, Any] = FrameFacts(1, 2, 3, {"disparity": 0.5})._asdict()
    monkeypatch.setattr(kept, "FRAMES_FILE", tmp_path / "frames.json")
    write_json(tmp_path / "frames.json", facts)
    assert kept.frame_facts(["disparity"])._asdict() == facts
    write_json(tmp_path / "frames.json", {k: v for k, v in facts.items() if k != lacking})
    with pytest.raises(ArtifactError, match=rf"frames\.json has no entry {lacking};"):
        kept.frame_facts(["disparity"])
