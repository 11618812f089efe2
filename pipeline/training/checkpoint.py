"""What training leaves on disk: checkpoints to resume from, and the finished model."""

import contextlib
import json
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pipeline.files import sweep, whole_file
from pipeline.nets.decoder import DECODERS
from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
END_SECONDS = 30.0
"""A training that took no longer since its last checkpoint is not worth one at its end."""


class ModelError(ValueError):
    """A model folder that cannot be used."""


def save_model(folder: Path, net: SplitNet, description: Mapping[str, Any]) -> None:
    """Write the weights, float32 on the CPU, and the description a net is rebuilt from.

    description: holds at least `encoder` and `tasks`.
    """
    state = {key: value.cpu().contiguous() for key, value in net.state_dict().items()}
    with whole_file(folder / WEIGHTS) as part:
        save_file(state, part)
    with whole_file(folder / DESCRIPTION) as part:
        part.write_text(json.dumps(description, indent=2) + "\n")


def load_model(folder: Path, encoder: str | None = None) -> tuple[SplitNet, dict[str, Any]]:
    """Rebuild a net, in eval mode, from its folder; `encoder`, if given, is the one it must have.

    Raises `ModelError` for a folder that is missing, damaged or of another encoder.
    """
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text())
        name, tasks = description["encoder"], description["tasks"]
        known = name in ENCODERS and set(tasks) <= DECODERS.keys()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} does not describe a model: {error!r}; train it again") from error
    if encoder is not None and name != encoder:
        raise ModelError(f"{folder} holds a model of {name}, but {encoder} was asked for")
    if not known:
        raise ModelError(f"{path} names {name} with tasks {tasks}, which this version cannot build")
    net = SplitNet(name, tasks)
    try:
        net.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModelError(
            f"{folder / WEIGHTS} does not hold the weights of {name} for {', '.join(tasks)}: "
            f"{_short(error)}; train it again"
        ) from error
    return net.eval(), description


def _short(error: Exception, limit: int = 200) -> str:
    # torch names every key and shape of a net, thousands of characters of them.
    text = " ".join(str(error).split())
    return text if len(text) <= limit else f"{text[:limit]} ..."


class Stopped(SystemExit):
    """SIGTERM or Ctrl-C, turned into an exit once the step in hand is done."""


class Checkpoints:
    """The state of one training run on disk, and when it is due to be written.

    path: where it lies, outside the outputs of any stage and named by `pipeline.shards.digest`, so
    that a checkpoint of other settings, data or code is never found. None: nothing is written.
    """

    def __init__(self, path: Path | None, minutes: float) -> None:
        self.path = path
        self.seconds = minutes * 60
        self.last = time.monotonic()
        self.stop_signal: int | None = None

    def load(self) -> dict[str, Any] | None:
        """Return the saved state, on the CPU, or None if there is none.

        What a process that was killed while it saved has left is removed.
        """
        if self.path is None:
            return None
        sweep(self.path.parent)
        if not self.path.is_file():
            return None
        try:
            return torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception:  # a damaged file fails in whatever way its bytes suggest
            return None

    def due(self, at_the_end: bool = False) -> bool:
        """Whether so much time has passed, or a signal come, that the state must be written.

        at_the_end: the training is done. Its model has still to be written, for which there may be
        no room, and the training must not be lost then.
        """
        seconds = min(self.seconds, END_SECONDS) if at_the_end else self.seconds
        return self.stop_signal is not None or time.monotonic() - self.last > seconds

    def save(self, state: Mapping[str, Any]) -> None:
        """Write the state whole or not at all; then leave, if a signal asked for it."""
        if self.path is not None:
            with whole_file(self.path) as part:
                torch.save(dict(state), part)
        self.last = time.monotonic()
        if self.stop_signal is not None:
            raise Stopped(128 + self.stop_signal)

    def done(self) -> None:
        """Remove the state: the run has ended well."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Let SIGTERM and Ctrl-C wait for the next save; a second one does not wait."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: FrameType | None) -> None:
            if self.stop_signal is not None:
                raise Stopped(128 + number)
            self.stop_signal = number

        before = {x: signal.signal(x, note) for x in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
