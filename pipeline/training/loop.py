"""Training: `fit` over epochs, `train_step` over one batch, `validate` over a split."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from pipeline.data.source import Source, in_order
from pipeline.data.truth import Truth
from pipeline.nets.split import SplitNet
from pipeline.scoring.metrics import SCORES
from pipeline.scoring.sums import collect, sums_of
from pipeline.training.checkpoint import Checkpoints
from pipeline.training.device import Runtime, seed_all
from pipeline.training.losses import Objective
from pipeline.training.parallel import anyone, from_first, gather, wrap

Row = dict[str, float]
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


class ScheduleError(ValueError):
    """A batch larger than the split it is drawn from."""


class NotFiniteError(ArithmeticError):
    """A loss or a gradient became infinite or NaN."""


class Guard:
    """Keeps a step whose losses or gradients are not finite from reaching the weights.

    The decision is made on the device: fused Adam skips a step while `found_inf` is not 0. So no
    step waits for the host, which reads the first bad step whenever it looks.
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
                f"{name} is not finite in epoch {epoch}, step {at} of it; the weights were not "
                "touched by that step. Try a lower train.learning_rate, train.precision=float32, "
                "or look at the frames of that batch"
            )


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
    """Train `net` in place and return one row of figures per epoch.

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
    run = _start(net, objective, schedule, runtime)
    history, epoch, done = _resume(run, checkpoints, runtime, seed)
    for row in history:
        on_epoch(row)
    bar = _Progress(schedule.epochs * steps, epoch * steps + done, runtime.rank == 0)

    with checkpoints.signals():
        while epoch < schedule.epochs:
            bar.epoch(epoch, schedule.epochs)
            if done == 0:
                seed_all(seed, epoch, runtime.rank)
            order = _order(len(train), schedule.batch, seed, epoch, runtime)[done:]
            for batch in train.over(order):
                progress = (epoch * steps + done) / (schedule.epochs * steps)
                run.set_learning_rate(schedule, progress)
                train_step(run, batch, surrogate, runtime)
                done += 1
                bar.step(schedule.batch)
                due = anyone(checkpoints.due(), runtime)
                if due or runtime.device.type == "cpu":
                    run.guard.check(epoch, done - 1)
                if due:
                    checkpoints.save(run.state(history, epoch, done))
            run.guard.check(epoch, done - 1)
            row = {"epoch": epoch, "lr": run.learning_rate}
            row |= objective.end_epoch()
            if (epoch + 1) % schedule.validate_every == 0 or epoch + 1 == schedule.epochs:
                scores = validate(net, val, schedule.batch, runtime)
                row |= {f"val/{name}": score for name, score in scores.items()}
            history.append(row)
            on_epoch(row)
            bar.line(epoch, schedule.epochs, row)
            epoch, done = epoch + 1, 0
            # Also what came while the last epoch was validated.
            if anyone(checkpoints.due(), runtime):
                checkpoints.save(run.state(history, epoch, done))
    bar.close()
    return history


def train_step(run: "Run", batch: Truth, surrogate: Surrogate, runtime: Runtime) -> None:
    """One step of equation 6: forward, backward, Adam; the weights of the parts move last."""
    with runtime.autocast():
        output = run.forward(batch.image_B3HW, surrogate)
    losses_P, values_P = run.objective.parts(output, batch)
    run.objective.total(losses_P, values_P).backward()
    run.guard.look(values_P, run.parameters)
    run.move_weights()
    run.objective.update(values_P)


@torch.no_grad()
def validate(net: SplitNet, val: Source, batch: int, runtime: Runtime) -> Row:
    """Scores by name of the uncompressed features over a whole split, shared out over ranks."""
    net.eval()

    def served() -> Iterator[dict[str, dict[str, Tensor]]]:
        for truth in val.over(in_order(len(val), batch, rank=runtime.rank, world=runtime.world)):
            with runtime.autocast():
                predictions = net(truth.image_B3HW).predictions
            yield sums_of(predictions, truth)

    everyone = gather(collect(served()), runtime)
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
class Run:
    """The moving parts of one training run."""

    net: SplitNet
    forward: Callable[..., Any]
    """The net as it is called: compiled, or wrapped for several processes."""
    objective: Objective
    optimizer: torch.optim.Adam
    """Over `rows`."""
    guard: Guard
    parameters: list[nn.Parameter]
    rows: list[Tensor]
    """Each parameter as one row (see `_as_row`)."""
    learning_rate: float

    def set_learning_rate(self, schedule: Schedule, progress: float) -> None:
        """Polynomial decay: the rate at a share `progress` of all steps."""
        self.learning_rate = schedule.learning_rate * (1 - progress) ** schedule.decay_power
        for group in self.optimizer.param_groups:
            # A tensor is filled in place: compiled and captured steps read it where it is.
            group["lr"].fill_(self.learning_rate)

    def move_weights(self) -> None:
        """Adam's step; the gradients are used up."""
        for row, parameter in zip(self.rows, self.parameters, strict=True):
            # Autograd lays a gradient out like its parameter.
            row.grad = None if parameter.grad is None else _as_row(parameter.grad)
            parameter.grad = None
        self.optimizer.step()
        self.optimizer.zero_grad()

    def state(self, history: list[Row], epoch: int, done: int) -> dict[str, Any]:
        """Everything that makes the next step what it would have been."""
        adam = self.objective.adam
        return {
            "net": self.net.state_dict(),
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "weights_adam": adam.state_dict() if adam else None,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
            "learning_rate": self.learning_rate,
            "history": history,
            "epoch": epoch,
            "done": done,
        }


def _start(net: SplitNet, objective: Objective, schedule: Schedule, runtime: Runtime) -> Run:
    net.to(runtime.device).to(memory_format=torch.channels_last).train()
    objective.to(runtime.device)
    objective.prepare()
    forward = wrap(net, runtime)
    if runtime.compiled:
        forward = torch.compile(forward, dynamic=False)
    parameters = list(net.parameters())
    rate = torch.tensor(schedule.learning_rate, device=runtime.device)
    rows = [_as_row(p.detach()) for p in parameters]
    optimizer = torch.optim.Adam(rows, lr=rate, fused=True)
    guard = Guard(objective.names, optimizer, runtime.device)
    return Run(net, forward, objective, optimizer, guard, parameters, rows, schedule.learning_rate)


def _as_row(weights: Tensor) -> Tensor:
    """A dense tensor as one row, in the order of its memory, which it shares.

    On a CPU fused Adam copies what is not contiguous: of channels_last weights their values,
    gradients and both moments, back and forth, which took longer than the step itself.
    """
    return weights.as_strided((weights.numel(),), (1,))


def _resume(
    run: Run, checkpoints: Checkpoints, runtime: Runtime, seed: int
) -> tuple[list[Row], int, int]:
    state = from_first(checkpoints.load(), runtime)
    if state is None:
        return [], 0, 0
    run.net.load_state_dict(state["net"])
    run.objective.load_state_dict(state["objective"])
    run.optimizer.load_state_dict(state["optimizer"])
    for group in run.optimizer.param_groups:
        group["lr"] = group["lr"].to(runtime.device)
    if run.objective.adam and state["weights_adam"]:
        run.objective.adam.load_state_dict(state["weights_adam"])
    run.learning_rate = float(state["learning_rate"])
    epoch, done = int(state["epoch"]), int(state["done"])
    if runtime.rank == 0:
        torch.set_rng_state(state["random"])
        if state["random_cuda"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["random_cuda"])
    else:  # the saved state is rank 0's; the same noise in every process would not be noise
        seed_all(seed, epoch, runtime.rank, done)
    return list(state["history"]), epoch, done


def _order(frames: int, batch: int, seed: int, epoch: int, runtime: Runtime) -> list[np.ndarray]:
    # Every rank draws the same permutation and takes its share of each batch.
    order = np.random.default_rng([seed, epoch]).permutation(frames)
    share = batch // runtime.world
    starts = range(runtime.rank * share, (frames // batch) * batch, batch)
    return [order[i : i + share] for i in starts]


class _Progress:
    """A bar on a terminal, a line per epoch in a log."""

    def __init__(self, total: int, done: int, shown: bool) -> None:
        self.shown = shown
        self.bar = tqdm(total=total, initial=done, unit="step", disable=None if shown else True)
        self.images = 0
        self.since = time.monotonic()

    def epoch(self, epoch: int, epochs: int) -> None:
        self.bar.set_description(f"epoch {epoch + 1}/{epochs}")

    def step(self, images: int) -> None:
        self.images += images
        self.bar.update()

    def line(self, epoch: int, epochs: int, row: Row) -> None:
        speed = self.images / max(time.monotonic() - self.since, 1e-9)
        losses = [f"{k.partition('/')[2]} {v:.3g}" for k, v in row.items() if k.startswith("loss/")]
        scores = [f"{k} {v:.4g}" for k, v in row.items() if k.startswith("val/")]
        self.bar.set_postfix_str(f"{speed:.1f} images/s, losses: {', '.join(losses)}")
        if self.shown and self.bar.disable:
            figures = ", ".join([*losses, *scores])
            print(f"epoch {epoch + 1}/{epochs}: {figures}, {speed:.1f} images/s", flush=True)

    def close(self) -> None:
        self.bar.close()
