"""Keeps a step whose losses or gradients are not finite from reaching the weights."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class NotFiniteError(ArithmeticError):
    """A loss or a gradient became infinite or NaN."""


class Guard:
    """The decision is made on the device: fused Adam skips a step while `found_inf` is not 0.

    So no step waits for the host, which reads the first bad step whenever it looks.
    """

    def __init__(self, names: Sequence[str], optimizer: torch.optim.Adam, device: torch.device):
        self.names = [*(f"the {name} loss" for name in names), "the gradients of finite losses"]
        self.optimizer = optimizer
        self.steps = torch.zeros((), dtype=torch.int64, device=device)
        self.first = torch.full((), -1, dtype=torch.int64, device=device)
        self.bad_P = torch.zeros(len(self.names), dtype=torch.bool, device=device)

    def look(self, values_P: Tensor, parameters: Sequence[nn.Parameter]) -> None:
        """Judge one step between backward and the optimiser."""
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        bad_P = ~torch.cat([values_P, norm[None]]).isfinite()
        new = (self.first < 0) & bad_P.any()
        self.first.copy_(torch.where(new, self.steps, self.first))
        self.bad_P.copy_(torch.where(new, bad_P, self.bad_P))
        self.optimizer.found_inf = bad_P.any().float()  # type: ignore[attr-defined]
        self.steps += 1

    def check(self, epoch: int, step: int) -> None:
        """Raise `NotFiniteError` for the first bad step since the run, now at `step`, began."""
        first = int(self.first)
        if first >= 0:
            names = [n for n, bad in zip(self.names, self.bad_P.tolist(), strict=True) if bad]
            # A NaN loss makes every gradient NaN; the loss is what to name.
            name = " and ".join(names[:-1] or names)
            at = step - (int(self.steps) - 1 - first)
            raise NotFiniteError(
                f"{name} is not finite in epoch {epoch}, step {at} of it. The weights were not "
                "touched by that step. Try a lower train.learning_rate or "
                "train.precision=float32, or look at the frames of that batch"
            )
