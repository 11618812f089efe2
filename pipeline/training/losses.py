"""The multi-task loss of equation 6: task losses, the rate term, and the weights between them.

Every loss is a sum and the count it is divided by, so that the mean of a batch spread over several
processes is exactly the mean of the whole batch.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.coding.quantizer import clipped
from pipeline.coding.rate import in_units, rate_loss
from pipeline.labels import VOID
from pipeline.nets.split import SplitOutput
from pipeline.source import Truth

RATE = "rate"
"""Name of the rate term among the parts of the loss."""


class LossSum(NamedTuple):
    """A loss before the division: both scalars, float32."""

    total: Tensor
    divisor: Tensor


def segmentation_loss(logits_BKHW: Tensor, truth: Truth) -> LossSum:
    """Return cross-entropy over the pixels that are not void."""
    label_BHW = truth.label_BHW
    total = F.cross_entropy(logits_BKHW.float(), label_BHW, ignore_index=VOID, reduction="sum")
    return LossSum(total, (label_BHW != VOID).sum())


def disparity_loss(disparity_B1HW: Tensor, truth: Truth) -> LossSum:
    """Return squared error, in squared pixels of the original width, over the valid pixels."""
    truth_BHW = truth.disparity_BHW
    assert truth_BHW is not None
    valid_BHW = truth_BHW > 0
    error_BHW = (disparity_B1HW[:, 0].float() - truth_BHW) * valid_BHW
    return LossSum(error_BHW.square().sum(), valid_BHW.sum())


def reconstruction_loss(image_B3HW: Tensor, truth: Truth) -> LossSum:
    """Return absolute error of the image in [0, 1], over all its values."""
    error_B3HW = image_B3HW.float() - truth.image_B3HW
    return LossSum(error_B3HW.abs().sum(), _count(error_B3HW.numel(), error_B3HW))


def _count(number: int, like: Tensor) -> Tensor:
    # `new_tensor` would copy from the host, for which a GPU waits.
    return torch.full((), float(number), dtype=like.dtype, device=like.device)


class TaskLoss(NamedTuple):
    """How a task is trained."""

    of: Callable[[Tensor, Truth], LossSum]
    """(prediction of a batch, its truth) -> the loss."""
    constant: float
    """What equation 6 takes off beside log(w) / 2: log(2) / 2 for a loss of regression."""


HALF_LOG_2 = math.log(2) / 2

LOSSES = {
    "segmentation": TaskLoss(segmentation_loss, 0.0),
    "disparity": TaskLoss(disparity_loss, HALF_LOG_2),
    "reconstruction": TaskLoss(reconstruction_loss, HALF_LOG_2),
}
"""Task -> how it is trained."""


BALANCES = ("adam-step", "adam-epoch", "closed-form", "fixed")
"""How the weights of the parts move; see `Objective`."""


@dataclass(frozen=True)
class RateTerm:
    """How L_r enters the loss."""

    unit: str
    """The unit of the features, one of `pipeline.coding.forms.UNITS`."""
    weight: float | None
    """w_r held at this number, or None to let it move like the tasks' weights."""
    prediction: bool = True
    transform: bool = True
    range_percent: float = 100.0
    """Per cent of an image's features inside the quantiser's range; the others are clipped."""

    def loss(self, output: SplitOutput) -> LossSum:
        """Return L_r (equation 5), summed over the images of the batch."""
        x = in_units(clipped(output.features_BChw.float(), self.range_percent), self.unit)
        mean = rate_loss(x, prediction=self.prediction, transform=self.transform)
        return LossSum(mean * len(x), _count(len(x), mean))


@dataclass(frozen=True)
class BitsTerm:
    """How the bits that a learned prior expects enter the loss."""

    weight: float
    """Of a bit per feature element."""
    channels: int
    """C of the encoder's features, whose elements are counted."""

    def loss(self, output: SplitOutput) -> LossSum:
        """Return the bits per feature element, summed over the images of the batch."""
        bits_B = output.bits_B
        assert bits_B is not None
        *_, h, w = output.features_BChw.shape
        total = bits_B.sum() / (self.channels * h * w)
        return LossSum(total, _count(len(bits_B), total))


class Objective(nn.Module):
    """Equation 6 (after Kendall, Gal and Cipolla, CVPR 2018) over the parts a model is trained on.

    L = sum_i w_i L_i - log(w_i) / 2, less another log(2) / 2 for every loss of regression and for
    the rate term.

    balance: how the weights move. `adam-step` and `adam-epoch`: Adam on log w, after each step or
    on the mean losses of each epoch; `closed-form`: each w_i is where L is least for the losses of
    this step, 1 / (2 L_i); `fixed`: they stay at `initial_weight`. Raises ValueError for another.
    A part of which a step has no pixel, in any process, takes no part in that step: its weight
    stays, and the mean of the epoch is over the other steps.
    """

    log_weights_P: Tensor
    held_P: Tensor
    halves_P: Tensor
    totals_P: Tensor
    steps_P: Tensor
    present_P: Tensor

    def __init__(
        self,
        tasks: Sequence[str],
        rate: RateTerm | BitsTerm | None,
        *,
        balance: str,
        learning_rate: float,
        initial_weight: float,
    ) -> None:
        super().__init__()
        if balance not in BALANCES:
            raise ValueError(f"balance is {balance!r}; allowed: {', '.join(BALANCES)}")
        self.names = (*tasks, RATE) if rate else tuple(tasks)
        self.rate = rate
        self.balance = balance
        held = [bool(name == RATE and rate and rate.weight) for name in self.names]
        start = [rate.weight if x and rate and rate.weight else initial_weight for x in held]
        logs = torch.tensor(start).log()
        # A Parameter for Adam's sake; its gradient is written down, not found by backward.
        self.log_weights_P = nn.Parameter(logs, requires_grad=False)
        self.register_buffer("held_P", torch.tensor(held), False)
        halves = [LOSSES[name].constant if name in LOSSES else HALF_LOG_2 for name in self.names]
        self.register_buffer("halves_P", torch.tensor(halves), False)
        # Sums of an epoch's losses stay on the device until the epoch's end.
        self.register_buffer("totals_P", torch.zeros(len(self.names)))
        self.register_buffer("steps_P", torch.zeros(len(self.names)))
        # Which parts the step in hand has.
        self.register_buffer("present_P", torch.ones(len(self.names), dtype=torch.bool), False)
        self.learning_rate = learning_rate
        self.adam: torch.optim.Adam | None = None

    def prepare(self) -> None:
        """Make the optimiser of the weights, once the module is on its device."""
        if self.balance.startswith("adam"):
            self.adam = torch.optim.Adam([self.log_weights_P], lr=self.learning_rate)

    def get_extra_state(self) -> dict[str, Any] | None:
        """Return the state of the weights' optimiser, which `state_dict` then holds too."""
        return self.adam.state_dict() if self.adam else None

    def set_extra_state(self, state: dict[str, Any] | None) -> None:
        """Take over the state of the weights' optimiser."""
        if self.adam and state:
            self.adam.load_state_dict(state)

    def parts(self, output: SplitOutput, truth: Truth) -> tuple[Tensor, Tensor]:
        """Return the losses of all parts, to differentiate (P,), and over all ranks (P,)."""
        tasks = [name for name in self.names if name != RATE]
        sums = [LOSSES[task].of(output.predictions[task], truth) for task in tasks]
        if self.rate:
            sums.append(self.rate.loss(output))
        totals_P = torch.stack([x.total for x in sums])
        counts_P = torch.stack([x.divisor.to(totals_P) for x in sums])
        if not dist.is_initialized():
            self.present_P = counts_P > 0
            losses_P = totals_P / counts_P.clamp(min=1)
            return losses_P, losses_P.detach()
        shared_2P = torch.stack([totals_P.detach(), counts_P])
        dist.all_reduce(shared_2P)
        self.present_P = shared_2P[1] > 0
        counts_P = shared_2P[1].clamp(min=1)
        # DistributedDataParallel averages gradients over ranks; the world size undoes that.
        return totals_P * dist.get_world_size() / counts_P, shared_2P[0] / counts_P

    @torch.no_grad()
    def before_step(self, values_P: Tensor) -> None:
        """Move the weights to where they are best for these losses, if they go by closed form."""
        if self.balance == "closed-form":
            best_P = -(2 * values_P.clamp(min=1e-12)).log()
            stays_P = self.held_P | ~self.present_P
            self.log_weights_P.copy_(torch.where(stays_P, self.log_weights_P, best_P))

    def total(self, losses_P: Tensor) -> Tensor:
        """Return equation 6 at the present weights."""
        weights_P = self.log_weights_P.exp()
        return (weights_P * losses_P - self.log_weights_P / 2 - self.halves_P).sum()

    @torch.no_grad()
    def after_step(self, values_P: Tensor) -> None:
        """Add up the losses of a step, and move the weights if they go by steps."""
        self.totals_P += values_P
        self.steps_P += self.present_P
        if self.balance == "adam-step":
            self._move(values_P, self.present_P)

    @torch.no_grad()
    def end_epoch(self) -> dict[str, float]:
        """Return means, weights and shares of the epoch; move the weights if it is their turn.

        A part that no step has had is left out.
        """
        means_P = self.totals_P / self.steps_P.clamp(min=1)
        if self.balance == "adam-epoch":
            self._move(means_P, self.steps_P > 0)
        means = zip(self.names, means_P.tolist(), self.steps_P.tolist(), strict=True)
        result = {f"loss/{name}": mean for name, mean, steps in means if steps}
        total = self.total_of(result)
        result["loss/total"] = total
        weights = {name: x for name, x in self.weights().items() if f"loss/{name}" in result}
        result |= {f"weight/{name}": weight for name, weight in weights.items()}
        weighted = {name: weight * result[f"loss/{name}"] for name, weight in weights.items()}
        whole = sum(weighted.values())
        # How much each part has to say: w_i L_i of the sum of all of them.
        result |= {f"share/{n}": x / whole if whole else 0.0 for n, x in weighted.items()}
        self.totals_P.zero_()
        self.steps_P.zero_()
        return result

    def total_of(self, losses: Mapping[str, float]) -> float:
        """Return equation 6 for mean losses by name, at the present weights."""
        logs = self.log_weights_P.tolist()
        parts = (
            math.exp(s) * losses[f"loss/{name}"] - s / 2 - half
            for name, s, half in zip(self.names, logs, self.halves_P.tolist(), strict=True)
            if f"loss/{name}" in losses
        )
        return sum(parts)

    def weights(self) -> dict[str, float]:
        """Return the present w_i by name."""
        return dict(zip(self.names, self.log_weights_P.exp().tolist(), strict=True))

    def _move(self, values_P: Tensor, present_P: Tensor) -> None:
        assert self.adam is not None
        stays_P, before_P = self.held_P | ~present_P, self.log_weights_P.clone()
        gradient_P = self.log_weights_P.exp() * values_P - 0.5
        self.log_weights_P.grad = gradient_P.masked_fill(stays_P, 0.0)
        self.adam.step()
        # Adam's momentum moves a weight without a gradient too.
        self.log_weights_P.copy_(torch.where(stays_P, before_P, self.log_weights_P))
