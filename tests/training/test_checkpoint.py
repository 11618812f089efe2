"""The state of a training on disk: whole or not there, when it is due, and what a signal does."""

import os
import pickle
import signal
import threading
import time
from pathlib import Path

import pytest
import torch

from pipeline.training import checkpoint
from pipeline.training.checkpoint import Checkpoints, Stopped, checkpoint_key
from tests.support.foreign import Foreign


def test_the_key_tells_settings_and_files_apart(tmp_path: Path) -> None:
    for place in ("main", "copy"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.npy").write_bytes(b"one")
        (tmp_path / place / "b.npy").write_bytes(b"two")
    a, b = tmp_path / "main/a.npy", tmp_path / "main/b.npy"
    settings = {"train.batch": 8, "loss.rate": True, "tasks": ["x", "y"]}
    key = checkpoint_key(settings, [a, b])
    assert checkpoint_key(dict(reversed(settings.items())), [b, a]) == key
    # A temporary experiment runs in a copy of the repository.
    assert checkpoint_key(settings, (tmp_path / "copy").iterdir()) == key
    others = [
        checkpoint_key(settings | {"train.batch": 9}, [a, b]),
        checkpoint_key(settings | {"tasks": ["y", "x"]}, [a, b]),
        checkpoint_key({k: v for k, v in settings.items() if k != "loss.rate"}, [a, b]),
        checkpoint_key(settings, [a]),
    ]
    a.write_bytes(b"two")
    b.write_bytes(b"one")
    others.append(checkpoint_key(settings, [a, b]))
    a.write_bytes(b"one")
    (tmp_path / "main/c.npy").write_bytes(b"two")
    others.append(checkpoint_key(settings, [a, tmp_path / "main/c.npy"]))
    assert len({key, *others}) == 1 + len(others)


def test_state_comes_back_until_done(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.pt"
    checkpoints = Checkpoints(path, minutes=5)
    assert checkpoints.load() is None
    random = torch.get_rng_state()
    plain = {"history": [{"epoch": 0, "lr": 0.1 + 0.2}], "weights_adam": None, "epoch": 1}
    checkpoints.save({**plain, "net": {"w": torch.arange(3.0)}, "random": random})
    assert list(path.parent.iterdir()) == [path]
    found = Checkpoints(path, minutes=5).load()
    assert found is not None
    assert torch.equal(found.pop("net")["w"], torch.arange(3.0))
    assert torch.equal(found.pop("random"), random)
    assert found == plain
    for _ in range(2):
        checkpoints.done()
        assert list(path.parent.iterdir()) == []


def test_a_damaged_or_foreign_state_is_no_state_and_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    Checkpoints(path, minutes=5).save({"net": {"w": torch.rand(1000)}})
    whole = path.read_bytes()
    torch.save({"position": {"epoch": 3}, "net": Foreign(tmp_path / "ran")}, path)
    foreign = path.read_bytes(), pickle.dumps({"net": Foreign(tmp_path / "ran")}, protocol=2)
    for content in (b"", b"junk" * 9, whole[: len(whole) // 2], whole[:-1], *foreign):
        path.write_bytes(content)
        assert Checkpoints(path, minutes=5).load() is None
    assert not (tmp_path / "ran").exists()


def test_due_after_so_many_minutes_and_earlier_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now)
    checkpoints = Checkpoints(None, minutes=5)
    now += 29
    assert not checkpoints.due(at_the_end=True)
    now += 2
    assert checkpoints.due(at_the_end=True)
    assert not checkpoints.due()
    now += 268
    assert not checkpoints.due()
    now += 2
    assert checkpoints.due()
    checkpoints.save({})
    assert not checkpoints.due()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("writes", [True, False])
def test_signal_waits_for_the_next_save(tmp_path: Path, number: int, writes: bool) -> None:
    checkpoints = Checkpoints(tmp_path / "run.pt" if writes else None, minutes=5)
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
    checkpoints, survived = Checkpoints(tmp_path / "run.pt", minutes=5), []

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
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with Checkpoints(None, minutes=5).signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
