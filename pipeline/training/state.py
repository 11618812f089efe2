"""What a training run is made of, and what of it a checkpoint holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from pipeline.training.runtime import Runtime, seed_all

Row = dict[str, float]
"""The values of one epoch by name."""


class Stateful(Protocol):
    """Something that can be saved and brought back."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that must be saved."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Take over what was saved."""
        ...


@dataclass
class Position:
    """How far a training run is."""

    epoch: int = 0
    """The one in hand, from 0."""
    done: int = 0
    """Steps of it that are done."""
    learning_rate: float = 0.0
    """Of the last step."""
    history: list[Row] = field(default_factory=list)
    """A row for each epoch that is done."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that must be saved."""
        return {**vars(self), "history": list(self.history)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what was saved."""
        self.epoch, self.done = int(state_dict["epoch"]), int(state_dict["done"])
        self.learning_rate = float(state_dict["learning_rate"])
        self.history = list(state_dict["history"])


@dataclass
class Randomness:
    """The random numbers of this process."""

    runtime: Runtime
    seed: int
    position: Position

    def state_dict(self) -> dict[str, Any]:
        """Return the state of this process's generators."""
        cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
        return {"cpu": torch.get_rng_state(), "cuda": cuda}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the state of rank 0; other ranks begin their own stream at the position."""
        if self.runtime.rank:
            # The same noise in every process would not be noise.
            seed_all(self.seed, self.position.epoch, self.runtime.rank, self.position.done)
            return
        torch.set_rng_state(state_dict["cpu"])
        if state_dict["cuda"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(state_dict["cuda"])
