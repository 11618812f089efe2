"""Training of a tiny net: what a run computes, what stops it, and that it resumes bit for bit."""

import os
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.data.batches import Batch
from pipeline.training.checkpoint import Stopped
from pipeline.training.guard import NotFiniteError
from pipeline.training.loop import Schedule, validate
from pipeline.training.losses import BALANCES
from pipeline.training.runtime import Runtime, seed_all
from tests.support.tiny_training import (
    BATCH,
    CPU,
    EPOCHS,
    FRAMES,
    STEPS,
    TASKS,
    Frames,
    Result,
    assert_same_run,
    assert_same_state,
    tiny_net,
    train,
)


@cache
def whole(balance: str = "closed-form") -> Result:
    """A run that nothing interrupts."""
    return train(balance=balance)


# What a run computes


def test_history() -> None:
    power = 2.0
    result = train(schedule=Schedule(5, BATCH, 0.02, power, validate_every=2))
    assert result.reported == result.history
    assert [row["epoch"] for row in result.history] == [0, 1, 2, 3, 4]
    parts = (*TASKS, "rate")
    for epoch, row in enumerate(result.history):
        last_step = (epoch + 1) * STEPS - 1
        assert row["lr"] == pytest.approx(0.02 * (1 - last_step / (5 * STEPS)) ** power)
        assert {f"{x}/{p}" for x in ("loss", "weight", "share") for p in parts} <= row.keys()
    # Every second epoch, and the last whatever its number.
    validated = [row["epoch"] for row in result.history if any("val/" in key for key in row)]
    assert validated == [1, 3, 4]
    scores = {key for key in result.history[-1] if key.startswith("val/")}
    assert scores == {"val/miou", "val/irmse", "val/psnr"}


def test_batches_are_fresh_permutations_without_the_short_rest() -> None:
    asked = whole().asked
    assert len(asked) == EPOCHS * STEPS
    epochs = [asked[i : i + STEPS] for i in range(0, len(asked), STEPS)]
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
    net = tiny_net().train()
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
    assert_same_state(result.net, net, rtol=2e-3, atol=2e-4)


def test_losses_fall() -> None:
    history = train(schedule=Schedule(25, BATCH, 0.01, 0.9, validate_every=99)).history
    for task in TASKS:
        assert history[-1][f"loss/{task}"] < history[0][f"loss/{task}"]


def test_validate_equals_scores_worked_out_by_hand() -> None:
    net, val = train(schedule=Schedule(1, BATCH, 1e-3, 0.9, 1)).net, Frames(5, seed=4)
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
    expected = {
        "miou": np.mean(ious),
        "irmse": 1 / np.mean(rmse),
        "psnr": np.mean(-10 * np.log10(mse)),
    }
    assert scores == pytest.approx(expected, rel=1e-5)


def test_bfloat16_keeps_weights_in_float32() -> None:
    result = train(runtime=Runtime(torch.device("cpu"), torch.bfloat16, compiled=False))
    assert {x.dtype for x in result.net.parameters()} == {torch.float32}
    assert all(np.isfinite(list(row.values())).all() for row in result.history)
    for task in TASKS:
        exact = whole().history[-1][f"loss/{task}"]
        assert result.history[-1][f"loss/{task}"] == pytest.approx(exact, rel=0.05)


def test_batch_larger_than_the_data_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"train\.batch is 8.* 7 "):
        train(schedule=Schedule(1, FRAMES + 1, 1e-3, 0.9, 1))


def test_the_seed_decides() -> None:
    assert_same_run(train(), whole())
    assert train(seed=1).history != whole().history


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


ALL = "the segmentation loss and the disparity loss and the reconstruction loss and the rate loss"


@pytest.mark.parametrize(
    ("number", "change", "named"),
    [
        (0, nan_image, ALL),
        (STEPS - 1, infinite_disparity, "the disparity loss"),
        (STEPS + 1, nan_image, ALL),
    ],
)
def test_a_bad_batch_stops_training_and_it_goes_on_there(
    tmp_path: Path, number: int, change: Callable[[Batch], Batch], named: str
) -> None:
    path = tmp_path / "run.pt"
    seed_all(0)
    net = tiny_net()
    before = {key: value.clone() for key, value in net.named_parameters()}
    frames = Frames(hook=plant(number, change))
    words = f"^{named} is not finite in epoch {number // STEPS}, step {number % STEPS} of it"
    with pytest.raises(NotFiniteError, match=words):
        train(frames, net=net, path=path, minutes=0)
    assert len(frames.asked) == number + 1

    # Adam did not take that step, and the state of the last good one is on disk.
    assert path.exists() == (number > 0)
    if number:
        state = torch.load(path, weights_only=True)
        at = state["position"]
        assert STEPS * at["epoch"] + at["done"] == number
        before = state["net"]
    for key, value in net.named_parameters():
        assert torch.equal(value, before[key]), key
    assert_same_run(train(path=path), whole())


class NanGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * torch.nan


def test_bad_gradient_of_good_losses_is_named() -> None:
    calls = iter(range(100))
    words = f"the gradients of finite losses is not finite in epoch {4 // STEPS}, step {4 % STEPS}"
    with pytest.raises(NotFiniteError, match=words):
        train(surrogate=lambda x: NanGradient.apply(x) if next(calls) == 4 else x)


# Interruption


def stop_at(number: int) -> Callable[[int, Batch], Batch]:
    def hook(i: int, batch: Batch) -> Batch:
        if i == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return batch

    return hook


@pytest.mark.parametrize(
    ("balance", "number"),
    # In an epoch, at the end of one, and after the very last step.
    [
        *[("closed-form", n) for n in (0, STEPS - 1, STEPS + 1, EPOCHS * STEPS - 1)],
        *[(balance, STEPS + 1) for balance in BALANCES if balance != "closed-form"],
    ],
)
def test_interrupted_run_ends_like_an_uninterrupted_one(
    tmp_path: Path, balance: str, number: int
) -> None:
    path = tmp_path / "deep" / "run.pt"
    first = Frames(hook=stop_at(number))
    with pytest.raises(Stopped) as stop:
        train(first, balance=balance, path=path)
    assert stop.value.code == 128 + signal.SIGTERM
    assert len(first.asked) == number + 1
    resumed = train(balance=balance, path=path, initial=77)
    assert_same_run(resumed, whole(balance))
    assert first.asked + resumed.asked == whole(balance).asked
    # A second process tells its listener, who may be a new one, of the first one's epochs too.
    assert resumed.reported == whole(balance).history


def test_signal_during_the_last_validation_is_heeded(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    # Two validations, after epochs 2 and 3, of two batches each.
    with pytest.raises(Stopped):
        train(path=path, val=Frames(3, seed=9, hook=stop_at(2)))
    resumed = train(path=path, initial=77)
    assert resumed.asked == []
    assert_same_run(resumed, whole())


def test_interrupted_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    for _ in range(EPOCHS * STEPS):
        with pytest.raises(Stopped):
            train(Frames(hook=stop_at(0)), balance="adam-epoch", path=path)
    assert_same_run(train(path=path, balance="adam-epoch"), whole("adam-epoch"))
