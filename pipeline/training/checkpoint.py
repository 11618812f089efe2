"""Checkpoints: what a training that was killed goes on from."""

import contextlib
import hashlib
import json
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from pipeline.files import sweep, whole_file

END_SECONDS = 30.0
"""A training that took no longer since its last checkpoint is not worth one at its end."""


def checkpoint_key(settings: Mapping[str, Any], files: Iterable[Path]) -> str:
    """Return a name for all that a training depends on: its settings and the bytes of files."""
    total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in sorted(files):
        with path.open("rb") as file:
            total.update(f"{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}".encode())
    return total.hexdigest()[:32]


class Stopped(SystemExit):
    """SIGTERM or Ctrl-C, turned into an exit once the step in hand is done."""


class Checkpoints:
    """The state of one training run on disk, and when it is due to be written.

    path: where it lies, outside the outputs of any stage and named by `checkpoint_key`, so that a
    checkpoint of other settings, data or code is never found. None: nothing is written.
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
