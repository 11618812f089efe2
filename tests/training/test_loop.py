"""Training on a net of a few thousand parameters, in place of ResNet-34, wherever that suffices.

Long on purpose: what holds of one thing is in one place.
"""

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn

from pipeline.coding.quantizer import add_noise
from pipeline.data.batches import Batch
from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet
from pipeline.training.checkpoint import Checkpoints, Stopped
from pipeline.training.guard import NotFiniteError
from pipeline.training.loop import Schedule, fit, validate
from pipeline.training.losses import Objective, RateTerm
from pipeline.training.runtime import Runtime, seed_all
from pipeline.training.state import Row
from tests.support.tiny_net import TINY

TASKS = ("segmentation", "disparity", "reconstruction")
CPU = Runtime(torch.device("cpu"), torch.float32, compiled=False)
BALANCES = ("adam-step", "adam-epoch", "closed-form", "fixed")
HALF_STEP = partial(add_noise, noise="half-step", bits=8, amplitude=0.002)
EPOCHS, FRAMES, BATCH = 3, 7, 2
STEPS = FRAMES // BATCH
SCHEDULE = Schedule(EPOCHS, BATCH, learning_rate=1e-3, decay_power=0.9, validate_every=2)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "tiny", TINY)


class Frames:
    """Random frames in memory, with void and invalid pixels.

    `hook` sees each batch with its number, from 0 on over all epochs of this source, before it is
    handed out; what it returns is handed out in its place.
    """

    def __init__(
        self,
        count: int = FRAMES,
        size: tuple[int, int] = (12, 20),
        seed: int = 0,
        hook: Callable[[int, Batch], Batch] = lambda number, batch: batch,
    ) -> None:
        rng = torch.Generator().manual_seed(seed)
        self.image = torch.rand(count, 3, *size, generator=rng)
        self.label = torch.randint(0, 19, (count, *size), generator=rng)
        self.label[torch.rand(count, *size, generator=rng) < 0.2] = 255
        self.disparity = 126 * torch.rand(count, *size, generator=rng)
        self.disparity[torch.rand(count, *size, generator=rng) < 0.2] = 0
        self.hook = hook
        self.asked: list[list[int]] = []

    def __len__(self) -> int:
        return len(self.image)

    def over(self, order: Sequence[np.ndarray]) -> Iterator[Batch]:
        for index in order:
            self.asked.append(index.tolist())
            batch = Batch(self.image[index], self.label[index], self.disparity[index])
            yield self.hook(len(self.asked) - 1, batch)


class Result(NamedTuple):
    net: SplitNet
    objective: Objective
    history: list[Row]
    reported: list[Row]


def train(
    frames: Frames | None = None,
    *,
    val: Frames | None = None,
    encoder: str = "tiny",
    balance: str = "closed-form",
    rate: RateTerm | None = RateTerm("levels", None),  # noqa: B008  frozen
    schedule: Schedule = SCHEDULE,
    surrogate: Callable[[Tensor], Tensor] = HALF_STEP,
    runtime: Runtime = CPU,
    seed: int = 0,
    initial: int = 0,
    path: Path | None = None,
    minutes: float = 1e9,
    reported: list[Row] | None = None,
    net: SplitNet | None = None,
) -> Result:
    """A whole run from seeds: `initial` for the first weights, `seed` for all that follows."""
    seed_all(initial)
    net = net or SplitNet(encoder, TASKS)
    objective = Objective(TASKS, rate, balance=balance, learning_rate=0.05, initial_weight=1.0)
    reported = [] if reported is None else reported
    history = fit(
        net,
        objective,
        frames or Frames(),
        val or (Frames(3, seed=9) if encoder == "tiny" else Frames(1, (32, 32), seed=9)),
        schedule=schedule,
        surrogate=surrogate,
        runtime=runtime,
        seed=seed,
        checkpoints=Checkpoints(path, minutes),
        on_epoch=reported.append,
    )
    return Result(net, objective, history, reported)


def assert_same_state(a: nn.Module, b: nn.Module) -> None:
    assert a.state_dict().keys() == b.state_dict().keys()
    for key, value in a.state_dict().items():
        torch.testing.assert_close(value, b.state_dict()[key], rtol=0, atol=0, msg=key)


def assert_same_run(a: Result, b: Result) -> None:
    assert_same_state(a.net, b.net)
    assert_same_state(a.objective, b.objective)
    assert a.history == b.history


# What a run computes


def test_history() -> None:
    result = train(schedule=Schedule(5, BATCH, 1e-3, 0.9, validate_every=2))
    assert result.reported == result.history
    assert [row["epoch"] for row in result.history] == [0, 1, 2, 3, 4]
    parts = (*TASKS, "rate")
    for row in result.history:
        assert {key for key in row if key.startswith("loss/")} == {
            *(f"loss/{part}" for part in parts),
            "loss/total",
        }
        assert {key for key in row if key.startswith("weight/")} == {f"weight/{p}" for p in parts}
    # Every second epoch, and the last whatever its number.
    validated = [row["epoch"] for row in result.history if any("val/" in key for key in row)]
    assert validated == [1, 3, 4]
    scores = {key for key in result.history[-1] if key.startswith("val/")}
    assert scores == {"val/miou", "val/irmse", "val/psnr"}


def test_learning_rate_decays_as_a_power_of_what_is_left() -> None:
    for power in (0.9, 2.0):
        schedule = Schedule(4, BATCH, 0.02, power, validate_every=9)
        history = train(schedule=schedule).history
        total = 4 * STEPS
        for epoch, row in enumerate(history):
            last_step = (epoch + 1) * STEPS - 1
            assert row["lr"] == pytest.approx(0.02 * (1 - last_step / total) ** power)


def test_batches_are_fresh_permutations_without_the_short_rest() -> None:
    frames = Frames()
    train(frames)
    assert len(frames.asked) == EPOCHS * STEPS
    epochs = [frames.asked[i : i + STEPS] for i in range(0, len(frames.asked), STEPS)]
    for batches in epochs:
        assert [len(x) for x in batches] == [BATCH] * STEPS
        drawn = [i for batch in batches for i in batch]
        assert len(set(drawn)) == len(drawn) == FRAMES - FRAMES % BATCH
        assert set(drawn) <= set(range(FRAMES))
    assert epochs[0] != epochs[1] != epochs[2]


def test_weights_are_those_of_a_plain_loop() -> None:
    """Against a loop written from the definitions, with torch's plain Adam, at closed form.

    There L is sum_i log(L_i) / 2 up to a constant, which is what the plain loop descends.
    """
    schedule = Schedule(2, BATCH, 0.01, 0.9, validate_every=9)
    frames = Frames()
    result = train(frames, rate=None, schedule=schedule, surrogate=lambda x: x)

    seed_all(0)
    net = SplitNet("tiny", TASKS).train()
    adam = torch.optim.Adam(net.parameters(), lr=0.01, foreach=False, fused=False)
    for step, index in enumerate(frames.asked):
        for group in adam.param_groups:
            group["lr"] = 0.01 * (1 - step / (2 * STEPS)) ** 0.9
        image, label, disparity = (x[index] for x in (frames.image, frames.label, frames.disparity))
        predictions = net(image).predictions
        seen = disparity > 0
        losses = torch.stack(
            [
                F.cross_entropy(predictions["segmentation"], label, ignore_index=255),
                F.mse_loss(predictions["disparity"][:, 0][seen], disparity[seen]),
                F.l1_loss(predictions["reconstruction"], image),
            ]
        )
        adam.zero_grad()
        (0.5 * losses.log()).sum().backward()
        adam.step()
    for key, value in net.state_dict().items():
        found = result.net.state_dict()[key]
        torch.testing.assert_close(found, value, rtol=2e-3, atol=2e-4, msg=lambda m, k=key: k + m)


def test_losses_fall() -> None:
    schedule = Schedule(25, BATCH, 0.01, 0.9, validate_every=99)
    history = train(schedule=schedule).history
    for task in TASKS:
        assert history[-1][f"loss/{task}"] < history[0][f"loss/{task}"]


def test_validate_equals_scores_worked_out_by_hand() -> None:
    net, val = train().net, Frames(5, seed=4)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    scores = validate(net, val, 2, CPU)
    assert val.asked == [[0, 1], [2, 3], [4]]
    assert net.training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())

    with torch.no_grad():
        predictions = {k: x.numpy() for k, x in net.eval()(val.image).predictions.items()}
    label, disparity = val.label.numpy(), val.disparity.numpy()
    predicted = predictions["segmentation"].argmax(1)
    ious = []
    for k in range(19):
        truth, guess = (label == k), (predicted == k) & (label != 255)
        if (truth | guess).any():
            ious.append((truth & guess).sum() / (truth | guess).sum())
    error = (predictions["disparity"][:, 0] - disparity) ** 2
    rmse = [np.sqrt(error[i][disparity[i] > 0].mean()) for i in range(5)]
    clamped = predictions["reconstruction"].clip(0, 1)
    mse = ((clamped - val.image.numpy()) ** 2).mean((1, 2, 3))
    assert scores["miou"] == pytest.approx(np.mean(ious), rel=1e-5)
    assert scores["irmse"] == pytest.approx(1 / np.mean(rmse), rel=1e-5)
    assert scores["psnr"] == pytest.approx(np.mean(-10 * np.log10(mse)), rel=1e-5)
    assert len(scores) == 3


def test_bfloat16_keeps_weights_in_float32() -> None:
    runtime = Runtime(torch.device("cpu"), torch.bfloat16, compiled=False)
    result = train(runtime=runtime)
    assert {x.dtype for x in result.net.parameters()} == {torch.float32}
    assert all(np.isfinite(list(row.values())).all() for row in result.history)
    exact = train().history[-1]
    for task in TASKS:
        assert result.history[-1][f"loss/{task}"] == pytest.approx(exact[f"loss/{task}"], rel=0.05)


def test_batch_larger_than_the_data_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"train\.batch is 8.* 7 "):
        train(schedule=Schedule(1, FRAMES + 1, 1e-3, 0.9, 1))


# The same seed


@pytest.mark.parametrize("balance", BALANCES)
def test_same_seed_gives_the_same_run(balance: str) -> None:
    one = train(balance=balance)
    assert_same_run(one, train(balance=balance))
    other = train(balance=balance, seed=1)
    assert other.history != one.history


def test_same_seed_gives_the_same_run_of_encoder2() -> None:
    schedule = Schedule(2, 2, 1e-3, 0.9, 2)
    runs = [train(Frames(4, (32, 64)), encoder="encoder2", schedule=schedule) for _ in range(2)]
    assert_same_run(*runs)


def write_prepared(folder: Path, count: int) -> None:
    frames = Frames(count, (16, 32), seed=count)
    folder.mkdir(parents=True)
    np.save(folder / "image.npy", (frames.image.permute(0, 2, 3, 1) * 255).byte().numpy())
    np.save(folder / "label.npy", frames.label.byte().numpy())
    np.save(folder / "disparity.npy", (frames.disparity * 256).numpy().astype(np.uint16))
    with (folder / "frames.csv").open("w", newline="") as file:
        rows = [(i, f"ulm_{i:06}_000019") for i in range(count)]
        csv.writer(file).writerows([("index", "name"), *rows])


@pytest.fixture
def train_stage(
    tmp_path: Path, repository: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Run the stage of one arm in a folder with six prepared frames; returns the model's folder."""
    from stages.train import main

    write_prepared(tmp_path / "data/prepared/train", 6)
    write_prepared(tmp_path / "data/prepared/val", 3)
    for name in ("pipeline", "stages"):
        (tmp_path / name).symlink_to(repository / name)
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    values |= {"encoders": ["tiny"]}
    values["model"]["weights"] = "none"
    values["data"] |= {"width": 32, "height": 16}
    values["train"] |= {"epochs": 2, "batch": 2, "device": "cpu", "precision": "float32"}
    values["tracking"]["enabled"] = False

    def run(arm: str, **loss: object) -> Path:
        changed = values | {"loss": values["loss"] | loss}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed))
        main("tiny", arm, 0)
        return tmp_path / f"models/tiny-{arm}-0"

    return run


def test_arms_differ_by_the_rate_term_alone(train_stage: Callable[..., Path]) -> None:
    def files(folder: Path) -> tuple[bytes, bytes]:
        return (folder / "model.safetensors").read_bytes(), (folder / "history.csv").read_bytes()

    benchmark = files(train_stage("benchmark", rate=True))
    control = files(train_stage("proposed", rate=False))
    proposed = files(train_stage("proposed", rate=True))
    assert control == benchmark
    assert proposed[0] != benchmark[0]
    # No setting of the rate term reaches the benchmark.
    other = train_stage("benchmark", rate=True, weight=10.0, rate_of="features", transform=False)
    assert files(other) == benchmark
    assert b"rate" in proposed[1].splitlines()[0]
    assert b"rate" not in benchmark[1].splitlines()[0]


# What is not finite


def plant(number: int, change: Callable[[Batch], Batch]) -> Callable[[int, Batch], Batch]:
    return lambda i, batch: change(batch) if i == number else batch


def nan_image(batch: Batch) -> Batch:
    image = batch.image_B3HW.clone()
    image[1, 2, 3, 4] = torch.nan
    return batch._replace(image_B3HW=image)


def infinite_disparity(batch: Batch) -> Batch:
    assert batch.disparity_BHW is not None
    disparity = batch.disparity_BHW.clone()
    disparity[0, 1, 1] = torch.inf
    return batch._replace(disparity_BHW=disparity)


class NanGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * torch.nan


@pytest.mark.parametrize("number", [0, 1, STEPS - 1, STEPS, STEPS + 1])
@pytest.mark.parametrize(
    ("change", "named", "not_named"),
    [
        (nan_image, ["segmentation", "disparity", "reconstruction", "rate"], []),
        (infinite_disparity, ["the disparity loss is"], ["segmentation", "rate loss"]),
    ],
)
def test_bad_batch_stops_training(
    tmp_path: Path,
    number: int,
    change: Callable[[Batch], Batch],
    named: list[str],
    not_named: list[str],
) -> None:
    seed_all(0)
    net = SplitNet("tiny", TASKS)
    first = {key: value.clone() for key, value in net.named_parameters()}
    path = tmp_path / "run.pt"
    frames = Frames(hook=plant(number, change))
    with pytest.raises(NotFiniteError) as error:
        train(frames, net=net, path=path, minutes=0)
    text = str(error.value)
    assert all(x in text for x in named)
    assert not any(x in text for x in not_named)
    assert f"epoch {number // STEPS}, step {number % STEPS} " in text
    assert len(frames.asked) == number + 1

    # Adam did not take that step, and the state of the last good one is on disk.
    parameters = dict(net.named_parameters())
    if number == 0:
        assert not path.exists()
        before = first
    else:
        state = torch.load(path, weights_only=True)
        at = state["position"]
        assert STEPS * at["epoch"] + at["done"] == number
        assert all(x.isfinite().all() for x in state["net"].values())
        before = state["net"]
    for key, value in parameters.items():
        assert torch.equal(value, before[key]), key


def test_bad_gradient_of_good_losses_is_named() -> None:
    def surrogate(x: Tensor) -> Tensor:
        return NanGradient.apply(x) if next(calls) == 4 else x

    calls = iter(range(100))
    with pytest.raises(NotFiniteError, match="the gradients of finite losses is not finite") as e:
        train(surrogate=surrogate)
    assert f"epoch {4 // STEPS}, step {4 % STEPS}" in str(e.value)


def test_run_goes_on_where_the_bad_batch_was(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    with pytest.raises(NotFiniteError):
        train(Frames(hook=plant(4, nan_image)), path=path, minutes=0)
    assert_same_run(train(path=path), train())


# Interruption


def stop_at(number: int, kind: int = signal.SIGTERM) -> Callable[[int, Batch], Batch]:
    def hook(i: int, batch: Batch) -> Batch:
        if i == number:
            os.kill(os.getpid(), kind)
        return batch

    return hook


@pytest.mark.parametrize("balance", BALANCES)
# In an epoch, at the end of one, and after the very last step.
@pytest.mark.parametrize("number", [0, STEPS - 1, STEPS + 1, 2 * STEPS - 1, EPOCHS * STEPS - 1])
def test_interrupted_run_ends_like_an_uninterrupted_one(
    tmp_path: Path, balance: str, number: int
) -> None:
    path = tmp_path / "deep" / "run.pt"
    first = Frames(hook=stop_at(number))
    with pytest.raises(Stopped) as stop:
        train(first, balance=balance, path=path)
    assert stop.value.code == 128 + signal.SIGTERM
    assert len(first.asked) == number + 1

    second = Frames()
    reported: list[Row] = []
    resumed = train(second, balance=balance, path=path, reported=reported, initial=77)
    whole_frames = Frames()
    whole = train(whole_frames, balance=balance)
    assert_same_run(resumed, whole)
    assert first.asked + second.asked == whole_frames.asked
    # A second process tells its listener, who may be a new one, of the first one's epochs too.
    assert reported == whole.history


def test_signal_during_the_last_validation_is_heeded(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    # Two validations, after epochs 2 and 3, of two batches each.
    with pytest.raises(Stopped):
        train(path=path, val=Frames(3, seed=9, hook=stop_at(2)))
    frames = Frames()
    resumed = train(frames, path=path, initial=77)
    assert frames.asked == []
    assert_same_run(resumed, train())


def test_interrupted_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    for _ in range(EPOCHS * STEPS):
        with pytest.raises(Stopped):
            train(Frames(hook=stop_at(0)), balance="adam-epoch", path=path)
    assert_same_run(train(path=path, balance="adam-epoch"), train(balance="adam-epoch"))


def test_interrupted_encoder2(tmp_path: Path) -> None:
    options = {"encoder": "encoder2", "schedule": Schedule(2, 2, 1e-3, 0.9, 2)}
    first = Frames(4, (32, 64), hook=stop_at(2, signal.SIGINT))
    with pytest.raises(Stopped) as stop:
        train(first, path=tmp_path / "run.pt", **options)
    assert stop.value.code == 130
    resumed = train(Frames(4, (32, 64)), path=tmp_path / "run.pt", **options)
    assert_same_run(resumed, train(Frames(4, (32, 64)), **options))


def test_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    train(schedule=Schedule(1, BATCH, 1e-3, 0.9, 1))
    with pytest.raises(Stopped):
        train(Frames(hook=stop_at(0)))
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_saving_does_not_change_the_run(tmp_path: Path) -> None:
    assert_same_run(train(path=tmp_path / "run.pt", minutes=0), train())


def train_until_killed(path: str) -> None:
    """Run in a process of its own: it saves after every step and dies in the sixth."""
    ENCODERS["tiny"] = TINY
    train(Frames(hook=stop_at(5, signal.SIGKILL)), path=Path(path), minutes=0)


def test_killed_process_resumes(tmp_path: Path, repository: Path) -> None:
    path = tmp_path / "run.pt"
    code = f"from tests.training import test_loop; test_loop.train_until_killed({str(path)!r})"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == -signal.SIGKILL, result.stderr
    frames = Frames()
    resumed = train(frames, path=path, initial=77)
    assert len(frames.asked) == EPOCHS * STEPS - 5
    assert_same_run(resumed, train())
