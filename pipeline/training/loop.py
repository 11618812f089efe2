"""Training: `fit` over epochs, `train_step` over one batch, `validate` over a split."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.nets.split import SplitNet
from pipeline.scoring.metrics import SCORES
from pipeline.scoring.sums import collect, sums_of
from pipeline.source import Source, Truth, in_order
from pipeline.training.checkpoint import Checkpoints
from pipeline.training.guard import Guard
from pipeline.training.losses import Objective
from pipeline.training.parallel import anyone, from_first, gather, wrap
from pipeline.training.progress import Progress
from pipeline.training.runtime import Runtime, seed_all
from pipeline.training.state import Position, Randomness, Row, Stateful

Surrogate = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast."""

    epochs: int
    batch: int
    """Frames per step, over all processes."""
    learning_rate: float
    decay_power: float
    validate_every: int
    """Epochs between validations; the last epoch always has one."""
    bottleneck_rate: float = 0.0
    """The learning rate of the bottleneck and its prior at the first step; a net without any does
    not use it."""

    def rate_at(self, progress: float) -> float:
        """Return the learning rate at a share of all steps: polynomial decay."""
        return self.learning_rate * (1 - progress) ** self.decay_power

    def validates_after(self, epoch: int) -> bool:
        """Return whether the scores are due after this epoch, counted from 0."""
        return (epoch + 1) % self.validate_every == 0 or epoch + 1 == self.epochs


class ScheduleError(ValueError):
    """A batch larger than the split it is drawn from."""


def fit(
    net: SplitNet,
    objective: Objective,
    train: Source,
    val: Source,
    *,
    schedule: Schedule,
    surrogate: Surrogate,
    runtime: Runtime,
    seed: int,
    checkpoints: Checkpoints,
    on_epoch: Callable[[Row], None],
) -> list[Row]:
    """Train `net` in place and return one row of values per epoch.

    This function is long on purpose: the whole course of a training is read in one piece.
    on_epoch: called with each row as it is made, and first with those of the epochs that a
    checkpoint brings along. Raises `ScheduleError`, `NotFiniteError`, and `Stopped` after a signal,
    once the state is saved.
    """
    steps = len(train) // schedule.batch
    if steps == 0:
        raise ScheduleError(
            f"train.batch is {schedule.batch}, but there are only {len(train)} frames to train on; "
            f"allowed: 1 to {len(train)}"
        )
    run = start(net, objective, schedule, runtime, seed)
    if saved := from_first(checkpoints.load(), runtime):
        run.load_state_dict(saved)
    at = run.position
    for row in at.history:
        on_epoch(row)
    progress = Progress(
        epochs=schedule.epochs,
        steps=steps,
        done=at.epoch * steps + at.done,
        resumed_from=checkpoints.path,
        shown=runtime.rank == 0,
    )
    with checkpoints.signals():
        while at.epoch < schedule.epochs:
            progress.epoch(at.epoch)
            if at.done == 0:
                seed_all(seed, at.epoch, runtime.rank)
            for batch in train.over(shuffled(len(train), schedule.batch, seed, at, runtime)):
                share = (at.epoch * steps + at.done) / (schedule.epochs * steps)
                run.set_learning_rate(schedule.rate_at(share))
                train_step(run, batch, surrogate, runtime)
                at.done += 1
                progress.step(schedule.batch)
                due = anyone(checkpoints.due(), runtime)
                if due or runtime.device.type == "cpu":
                    run.guard.check(at.epoch, at.done - 1)
                if due:
                    checkpoints.save(run.state_dict())
            run.guard.check(at.epoch, at.done - 1)
            row = {"epoch": at.epoch, "lr": at.learning_rate, **objective.end_epoch()}
            if schedule.validates_after(at.epoch):
                scores = validate(net, val, schedule.batch, runtime)
                row |= {f"val/{name}": score for name, score in scores.items()}
            at.history.append(row)
            at.epoch, at.done = at.epoch + 1, 0
            on_epoch(row)
            progress.row(row)
            # Also for a signal that came while the last epoch was validated.
            if anyone(checkpoints.due(at_the_end=at.epoch == schedule.epochs), runtime):
                checkpoints.save(run.state_dict())
    progress.close()
    return at.history


def train_step(run: "TrainingRun", batch: Truth, surrogate: Surrogate, runtime: Runtime) -> None:
    """Take one step of equation 6: forward, backward, Adam; the weights of the parts move too."""
    with runtime.autocast():
        output = run.forward(batch.seen_B3HW, surrogate)
    losses_P, values_P = run.objective.parts(output, batch)
    run.objective.before_step(values_P)
    run.objective.total(losses_P).backward()
    run.guard.look(values_P, run.parameters)
    run.move_weights()
    run.objective.after_step(values_P)


@torch.no_grad()
def validate(net: SplitNet, val: Source, batch: int, runtime: Runtime) -> Row:
    """Return the scores by name of uncompressed features over a split, shared out over ranks."""
    net.eval()
    order = in_order(len(val), batch, rank=runtime.rank, world=runtime.world)

    def served() -> Iterator[dict[str, dict[str, Tensor]]]:
        for truth in val.over(order):
            with runtime.autocast():
                predictions = net(truth.image_B3HW).predictions
            yield sums_of(predictions, truth)

    everyone = gather(collect(served(), sum(map(len, order))), runtime)
    net.train()
    # A process without frames of its own has nothing to add, but is asked like the others.
    parts = [of_rank for of_rank in everyone if of_rank]
    return {
        SCORES[task].name: SCORES[task].compute(
            {key: np.concatenate([x[task][key] for x in parts]) for key in sums}
        )
        for task, sums in parts[0].items()
    }


@dataclass
class TrainingRun:
    """The moving parts of one training run."""

    forward: Callable[..., Any]
    """The net as it is called: compiled, or wrapped for several processes."""
    objective: Objective
    optimizer: torch.optim.Adam
    """Over `rows`."""
    guard: Guard
    position: Position
    parameters: list[nn.Parameter]
    rows: list[Tensor]
    """Each parameter as one row (see `as_row`)."""
    saved: dict[str, Stateful]
    """What a checkpoint holds, in the order in which it is brought back."""

    def set_learning_rate(self, rate: float) -> None:
        """Set the rate of the next step."""
        self.position.learning_rate = rate
        for group in self.optimizer.param_groups:
            # A tensor is filled in place: compiled and captured steps read it where it is.
            group["lr"].fill_(rate * group["times"])

    def move_weights(self) -> None:
        """Take Adam's step; the gradients are used up."""
        for row, parameter in zip(self.rows, self.parameters, strict=True):
            # Autograd lays a gradient out like its parameter.
            row.grad = None if parameter.grad is None else as_row(parameter.grad)
            parameter.grad = None
        self.optimizer.step()
        self.optimizer.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that makes the next step what it would have been."""
        return {name: part.state_dict() for name, part in self.saved.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where a checkpoint was written."""
        for name, part in self.saved.items():
            part.load_state_dict(state_dict[name])
        for group in self.optimizer.param_groups:
            group["lr"] = group["lr"].to(self.rows[0].device)


def start(
    net: SplitNet, objective: Objective, schedule: Schedule, runtime: Runtime, seed: int
) -> TrainingRun:
    """Put the net on its device and make what moves it."""
    net.to(runtime.device).to(memory_format=torch.channels_last).train()
    objective.to(runtime.device)
    objective.prepare()
    forward = wrap(net, runtime)
    if runtime.compiled:
        forward = torch.compile(forward, dynamic=False)
    parts = [(1.0, [net.encoder, net.decoders])]
    if net.bottleneck:
        parts.append((schedule.bottleneck_rate / schedule.learning_rate, [net.bottleneck]))
    parameters: list[nn.Parameter] = []
    groups: list[dict[str, Any]] = []
    for times, modules in parts:
        some = [p for part in modules for p in part.parameters() if p.requires_grad]
        rate = torch.tensor(times * schedule.learning_rate, device=runtime.device)
        groups.append({"params": [as_row(p.detach()) for p in some], "lr": rate, "times": times})
        parameters += some
    rows = [row for group in groups for row in group["params"]]
    optimizer = torch.optim.Adam(groups, fused=True)
    guard = Guard(objective.names, optimizer, runtime.device)
    position = Position()
    saved: dict[str, Stateful] = {
        "net": net,
        "objective": objective,
        "optimizer": optimizer,
        "position": position,
        "random": Randomness(runtime, seed, position),
    }
    return TrainingRun(forward, objective, optimizer, guard, position, parameters, rows, saved)


def as_row(weights: Tensor) -> Tensor:
    """Return a dense tensor as one row, in the order of its memory, which it shares.

    On a CPU fused Adam copies what is not contiguous: of channels_last weights their values,
    gradients and both moments, back and forth, which took longer than the step itself.
    """
    return weights.as_strided((weights.numel(),), (1,))


def shuffled(
    frames: int, batch: int, seed: int, at: Position, runtime: Runtime
) -> list[np.ndarray]:
    """Return the indices of what is left of an epoch, a batch an entry, this rank's share of each.

    Every rank draws the same permutation.
    """
    order = np.random.default_rng([seed, at.epoch]).permutation(frames)
    share = batch // runtime.world
    starts = range(runtime.rank * share, (frames // batch) * batch, batch)
    return [order[i : i + share] for i in starts][at.done :]
