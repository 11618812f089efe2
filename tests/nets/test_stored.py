"""A model folder: written whole, read back, and refused by name."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet
from pipeline.nets.stored import ModelError, load_model, save_model
from tests.support.tiny_net import PLAIN, TINY

TASKS = ("disparity", "segmentation")
DESCRIPTION = {"encoder": "tiny", "tasks": list(TASKS), "seed": 0, "lr": 0.1}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "tiny", TINY)
    monkeypatch.setitem(ENCODERS, "plain", PLAIN)


@pytest.fixture
def net() -> SplitNet:
    torch.manual_seed(3)
    net = SplitNet("tiny", TASKS)
    net(torch.rand(2, 3, 8, 12))  # so that batch norm has seen something
    return net


@pytest.fixture
def folder(tmp_path: Path, net: SplitNet) -> Path:
    folder = tmp_path / "models" / "tiny-proposed-0"
    save_model(folder, net, DESCRIPTION)
    return folder


def test_model_comes_back(folder: Path, net: SplitNet) -> None:
    found, description = load_model(folder, encoder="tiny", seed=0)
    assert description == DESCRIPTION
    assert not found.training
    assert list(found.decoders) == list(TASKS)
    stored = load_file(folder / "model.safetensors")
    assert found.state_dict().keys() == stored.keys() == net.state_dict().keys()
    for key, value in net.state_dict().items():
        assert torch.equal(found.state_dict()[key], value), key
        assert torch.equal(stored[key], value), key
    assert {x.name for x in folder.iterdir()} == {"model.safetensors", "model.json"}
    before = (folder / "model.safetensors").read_bytes()
    save_model(folder, net.to(memory_format=torch.channels_last), DESCRIPTION)
    assert (folder / "model.safetensors").read_bytes() == before


def test_another_model_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"tiny-proposed-0 holds a model whose seed is 0, not 1"):
        load_model(folder, encoder="tiny", seed=1)


@pytest.mark.parametrize(
    "text",
    [
        *("", '{"encoder": "ti', "[]", "null", '{"encoder": "tiny"}', '{"tasks": ["disparity"]}'),
        '{"encoder": "tiny", "tasks": 2}',
        '{"encoder": ["tiny"], "tasks": ["disparity"]}',
        '{"encoder": "tiny", "tasks": [["disparity"]]}',
        '{"encoder": "vgg", "tasks": ["disparity"]}',
        '{"encoder": "tiny", "tasks": ["disparity", "depth"]}',
    ],
)
def test_a_damaged_description_is_named(folder: Path, text: str) -> None:
    (folder / "model.json").write_text(text)
    with pytest.raises(ModelError, match=r"model\.json"):
        load_model(folder)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_missing_or_truncated_file_is_named(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for cut in (None, 0, 7, len(whole) // 2, len(whole) - 3):
        (folder / name).unlink() if cut is None else (folder / name).write_bytes(whole[:cut])
        with pytest.raises(ModelError, match=rf"{name}.*`dvc repro` to train it again"):
            load_model(folder)


def test_weights_of_another_net_are_named(folder: Path, net: SplitNet) -> None:
    path = folder / "model.safetensors"
    for other in ({"encoder": "plain"}, {"tasks": ["disparity"]}):
        (folder / "model.json").write_text(json.dumps(DESCRIPTION | other))
        with pytest.raises(ModelError, match=r"model\.safetensors does not hold the weights of"):
            load_model(folder)
    (folder / "model.json").write_text(json.dumps(DESCRIPTION))
    first, *rest = net.state_dict()
    save_file({key: net.state_dict()[key].contiguous() for key in rest}, path)
    with pytest.raises(ModelError, match=rf"model\.safetensors does not hold .*{first}"):
        load_model(folder)
    # A head that promises more than there is.
    head = json.dumps({first: {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}})
    for content in (struct.pack("<Q", len(head)) + head.encode(), struct.pack("<Q", 2**62) + b"{}"):
        path.write_bytes(content + bytes(64))
        with pytest.raises(ModelError, match=r"model\.safetensors"):
            load_model(folder)
