"""Checkpoints and model folders: written whole, read back, refused.

Long on purpose: what holds of one thing is in one place.
"""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from pipeline.shards import digest
from safetensors.torch import load_file
from torch import nn

from pipeline.nets.encoder import ENCODERS, Encoder
from pipeline.nets.split import SplitNet
from pipeline.training import checkpoint
from pipeline.training.checkpoint import (
    Checkpoints,
    ModelError,
    Stopped,
    load_model,
    save_model,
)

TASKS = ("disparity", "segmentation")


def build(weights: str) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.BatchNorm2d(8), nn.ReLU())


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders of a few hundred parameters: one and the same, and one of another width."""
    monkeypatch.setitem(ENCODERS, "tiny", Encoder(build, channels=8, stride=4))
    monkeypatch.setitem(ENCODERS, "twin", Encoder(build, channels=8, stride=4))
    wide = Encoder(lambda weights: nn.Conv2d(3, 16, 4, stride=4), channels=16, stride=4)
    monkeypatch.setitem(ENCODERS, "wide", wide)


@pytest.fixture
def net() -> SplitNet:
    torch.manual_seed(3)
    net = SplitNet("tiny", TASKS)
    net(torch.rand(2, 3, 8, 12))  # so that batch norm has seen something
    return net


@pytest.fixture
def folder(tmp_path: Path, net: SplitNet) -> Path:
    folder = tmp_path / "models" / "tiny-proposed-0"
    save_model(folder, net, {"encoder": "tiny", "tasks": list(TASKS), "seed": 0, "lr": 0.1})
    return folder


# The finished model


def test_model_comes_back(folder: Path, net: SplitNet) -> None:
    found, description = load_model(folder)
    assert description == {"encoder": "tiny", "tasks": list(TASKS), "seed": 0, "lr": 0.1}
    assert not found.training
    assert list(found.decoders) == list(TASKS)
    assert found.state_dict().keys() == net.state_dict().keys()
    for key, value in net.state_dict().items():
        assert torch.equal(found.state_dict()[key], value), key
    image_B3HW = torch.rand(1, 3, 12, 8)
    expected = net.eval()(image_B3HW).predictions
    for task, prediction in found(image_B3HW).predictions.items():
        torch.testing.assert_close(prediction, expected[task], rtol=0, atol=0)


def test_folder_holds_two_whole_files(folder: Path, net: SplitNet) -> None:
    assert {x.name for x in folder.iterdir()} == {"model.safetensors", "model.json"}
    stored = load_file(folder / "model.safetensors")
    assert stored.keys() == net.state_dict().keys()
    assert json.loads((folder / "model.json").read_text())["encoder"] == "tiny"


def test_same_net_gives_the_same_bytes(folder: Path, net: SplitNet, tmp_path: Path) -> None:
    channels_last = net.to(memory_format=torch.channels_last)
    save_model(tmp_path / "b", channels_last, {"encoder": "tiny", "tasks": list(TASKS)})
    other = (tmp_path / "b" / "model.safetensors").read_bytes()
    assert other == (folder / "model.safetensors").read_bytes()


def test_of_the_encoder_asked_for(folder: Path) -> None:
    load_model(folder, "tiny")
    with pytest.raises(ModelError, match="tiny-proposed-0 holds a model of tiny, but twin"):
        load_model(folder, "twin")


def describe(folder: Path, text: str) -> None:
    (folder / "model.json").write_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"encoder": "ti',
        "[]",
        "null",
        '"tiny"',
        '{"encoder": "tiny"}',
        '{"tasks": ["disparity"]}',
        '{"encoder": "tiny", "tasks": 2}',
        '{"encoder": ["tiny"], "tasks": ["disparity"]}',
        '{"encoder": "tiny", "tasks": [["disparity"]]}',
        '{"encoder": "vgg", "tasks": ["disparity"]}',
        '{"encoder": "tiny", "tasks": ["disparity", "depth"]}',
    ],
)
def test_damaged_description_is_named(folder: Path, text: str) -> None:
    describe(folder, text)
    with pytest.raises(ModelError, match=r"model\.json"):
        load_model(folder)


def test_missing_files_are_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors.*train it again"):
        load_model(folder)
    (folder / "model.json").unlink()
    with pytest.raises(ModelError, match=r"model\.json.*train it again"):
        load_model(folder)
    with pytest.raises(ModelError, match="gone"):
        load_model(folder / "gone")


def test_truncated_weights_are_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    for cut in (0, 7, 100, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(ModelError, match=r"model\.safetensors.*train it again"):
            load_model(folder)


@pytest.mark.parametrize(
    "text", ['"wide", "tasks": ["disparity", "segmentation"]', '"tiny", "tasks": ["disparity"]']
)
def test_weights_of_another_net_are_named(folder: Path, text: str) -> None:
    describe(folder, f'{{"encoder": {text}}}')
    with pytest.raises(ModelError, match=r"(?s)model\.safetensors.*train it again"):
        load_model(folder)


def test_failed_write_keeps_the_old_model(
    folder: Path, net: SplitNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (folder / "model.safetensors").read_bytes()

    def fail(state: object, part: Path) -> None:
        part.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", fail)
    with pytest.raises(OSError, match="No space"):
        save_model(folder, net, {"encoder": "twin", "tasks": []})
    assert (folder / "model.safetensors").read_bytes() == before
    assert {x.name for x in folder.iterdir()} == {"model.safetensors", "model.json"}
    assert load_model(folder)[1]["encoder"] == "tiny"


# The name of a run's state


def test_digest(tmp_path: Path) -> None:
    a, b = tmp_path / "a.npy", tmp_path / "b.npy"
    a.write_bytes(b"one")
    b.write_bytes(b"two")
    settings = {"train.batch": 8, "loss.rate": True, "tasks": ["x", "y"]}
    name = digest(settings, [a, b])
    assert name.isalnum()
    assert digest(dict(reversed(settings.items())), [b, a]) == name
    others = [
        digest(settings | {"train.batch": 9}, [a, b]),
        digest(settings | {"tasks": ["y", "x"]}, [a, b]),
        digest({k: v for k, v in settings.items() if k != "loss.rate"}, [a, b]),
        digest(settings, [a]),
        digest(settings, []),
    ]
    a.write_bytes(b"onf")
    others.append(digest(settings, [a, b]))
    a.write_bytes(b"two")
    b.write_bytes(b"one")
    others.append(digest(settings, [a, b]))
    a.write_bytes(b"one")
    b.rename(tmp_path / "c.npy")
    (tmp_path / "c.npy").write_bytes(b"two")
    others.append(digest(settings, [a, tmp_path / "c.npy"]))
    assert len({name, *others}) == 1 + len(others)


def test_digest_is_that_of_a_copy_elsewhere(tmp_path: Path) -> None:
    """Temporary experiments run in a copy of the repository and resume from the same state."""
    names = []
    for place in ("main", "copy"):
        (tmp_path / place / "train").mkdir(parents=True)
        (tmp_path / place / "train" / "image.npy").write_bytes(b"same")
        names.append(digest({}, (tmp_path / place).glob("*/*")))
    assert names[0] == names[1]


# State on disk, and when


def test_state_comes_back_until_done(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.pt"
    checkpoints = Checkpoints(path, minutes=5)
    assert checkpoints.load() is None
    state = {
        "net": {"w": torch.arange(3.0)},
        "history": [{"epoch": 0, "lr": 0.1 + 0.2}],
        "random": torch.get_rng_state(),
        "weights_adam": None,
        "epoch": 1,
    }
    checkpoints.save(state)
    assert list(path.parent.iterdir()) == [path]
    found = Checkpoints(path, minutes=5).load()
    assert found is not None
    assert torch.equal(found["net"]["w"], torch.arange(3.0))
    assert torch.equal(found["random"], state["random"])
    assert found["history"] == state["history"]
    assert (found["weights_adam"], found["epoch"]) == (None, 1)
    checkpoints.done()
    assert list(path.parent.iterdir()) == []
    assert checkpoints.load() is None
    checkpoints.done()


def test_damaged_state_is_no_state(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    Checkpoints(path, minutes=5).save({"net": {"w": torch.rand(1000)}})
    whole = path.read_bytes()
    for content in (b"", b"junk" * 9, whole[:100], whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(content)
        assert Checkpoints(path, minutes=5).load() is None


def test_failed_save_keeps_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.pt"
    checkpoints = Checkpoints(path, minutes=5)
    checkpoints.save({"epoch": 1})

    def fail(state: object, part: Path) -> None:
        part.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save({"epoch": 2})
    assert checkpoints.load() == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_due_after_so_many_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now)
    checkpoints = Checkpoints(tmp_path / "run.pt", minutes=0.5)
    assert not checkpoints.due()
    now += 29
    assert not checkpoints.due()
    now += 2
    assert checkpoints.due()
    checkpoints.save({})
    assert not checkpoints.due()


def test_due_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now)
    checkpoints = Checkpoints(tmp_path / "run.pt", minutes=5)
    now += 29
    assert not checkpoints.due(at_the_end=True)
    now += 2
    assert checkpoints.due(at_the_end=True)
    assert not checkpoints.due()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("writes", [True, False])
def test_signal_waits_for_the_next_save(tmp_path: Path, number: int, writes: bool) -> None:
    path = tmp_path / "run.pt"
    checkpoints = Checkpoints(path if writes else None, minutes=5)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    def step() -> None:
        with checkpoints.signals():
            assert not checkpoints.due()
            os.kill(os.getpid(), number)
            assert checkpoints.due()
            checkpoints.save({"epoch": 3})

    with pytest.raises(Stopped) as stop:
        step()
    assert stop.value.code == 128 + number
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert checkpoints.load() == ({"epoch": 3} if writes else None)


def test_second_signal_does_not_wait(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "run.pt", minutes=5)
    survived = []

    def step() -> None:
        with checkpoints.signals():
            for number in (signal.SIGTERM, signal.SIGINT):
                os.kill(os.getpid(), number)
                time.sleep(0.01)  # a point at which Python runs the handler
                survived.append(number)

    with pytest.raises(Stopped) as stop:
        step()
    assert stop.value.code == 128 + signal.SIGINT
    assert survived == [signal.SIGTERM]
    assert not (tmp_path / "run.pt").exists()


def test_signals_are_left_alone_outside_the_main_thread() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work() -> None:
        with Checkpoints(None, minutes=5).signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
