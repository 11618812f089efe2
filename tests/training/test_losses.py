"""The losses and their weights against equation 6 by hand."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from pipeline.coding.quantizer import clipped
from pipeline.coding.rate import rate_loss, to_unit_range
from pipeline.data.batches import Batch
from pipeline.nets.split import SplitOutput
from pipeline.training.losses import LOSSES, RATE, BitsTerm, Objective, RateTerm

TASKS = ("segmentation", "disparity", "reconstruction")
VOID = 255


def batch(images: int = 3, height: int = 5, width: int = 7, seed: int = 0) -> Batch:
    """Random targets with void and invalid pixels."""
    rng = torch.Generator().manual_seed(seed)
    label_BHW = torch.randint(0, 19, (images, height, width), generator=rng)
    label_BHW[torch.rand(label_BHW.shape, generator=rng) < 0.2] = VOID
    disparity_BHW = 126 * torch.rand(images, height, width, generator=rng)
    disparity_BHW[torch.rand(disparity_BHW.shape, generator=rng) < 0.2] = 0
    disparity_BHW[0, 0, 0] = 0.25  # below one pixel, and valid
    return Batch(torch.rand(images, 3, height, width, generator=rng), label_BHW, disparity_BHW)


def output(images: int = 3, height: int = 5, width: int = 7, seed: int = 1) -> SplitOutput:
    """Random features and predictions, all leaves of a graph."""
    rng = torch.Generator().manual_seed(seed)
    sizes = {"segmentation": 19, "disparity": 1, "reconstruction": 3}
    predictions = {
        task: torch.randn(images, channels, height, width, generator=rng, requires_grad=True)
        for task, channels in sizes.items()
    }
    features = torch.randn(images, 4, 3, 5, generator=rng, requires_grad=True)
    return SplitOutput(features, predictions)


def objective(
    tasks: tuple[str, ...] = TASKS,
    rate: RateTerm | None = None,
    balance: str = "fixed",
    learning_rate: float = 0.05,
    initial_weight: float = 1.0,
) -> Objective:
    made = Objective(
        tasks, rate, balance=balance, learning_rate=learning_rate, initial_weight=initial_weight
    )
    made.prepare()
    return made


def total_at(made: Objective, losses_P: Tensor, values_P: Tensor) -> Tensor:
    """The total of a step, as `train_step` takes it."""
    made.before_step(values_P)
    return made.total(losses_P)


LEARNED = RateTerm("levels", None)


# Each loss against a loop over pixels


def by_loop(task: str, prediction: np.ndarray, truth: Batch) -> tuple[float, int]:
    total, count = 0.0, 0
    images, _, height, width = prediction.shape
    assert truth.disparity_BHW is not None
    for b in range(images):
        for y in range(height):
            for x in range(width):
                p = prediction[b, :, y, x].astype(np.float64)
                if task == "segmentation":
                    label = int(truth.label_BHW[b, y, x])
                    if label != VOID:
                        total += math.log(np.exp(p).sum()) - p[label]
                        count += 1
                elif task == "disparity":
                    d = float(truth.disparity_BHW[b, y, x])
                    if d > 0:
                        total += (p[0] - d) ** 2
                        count += 1
                else:
                    total += np.abs(p - truth.image_B3HW[b, :, y, x].numpy()).sum()
                    count += 3
    return total, count


@pytest.mark.parametrize("task", TASKS)
def test_loss_equals_a_loop(task: str) -> None:
    prediction, truth = output().predictions[task], batch()
    found = LOSSES[task].of(prediction, truth)
    total, count = by_loop(task, prediction.detach().numpy(), truth)
    assert [x.item() for x in found] == pytest.approx([total, count], rel=1e-5)


def test_nothing_valid_gives_zero_and_no_gradient() -> None:
    truth, net = batch(), output()
    nothing = truth._replace(
        label_BHW=torch.full_like(truth.label_BHW, VOID),
        disparity_BHW=torch.zeros_like(truth.image_B3HW[:, 0]),
    )
    made = objective(balance="closed-form")
    losses_P, values_P = made.parts(net, nothing)
    assert values_P[:2].tolist() == [0, 0]
    total_at(made, losses_P, values_P).backward()
    for task in TASKS[:2]:
        gradient = net.predictions[task].grad
        assert gradient is not None
        assert (gradient == 0).all()
    gradient = net.predictions["reconstruction"].grad
    assert gradient is not None
    assert gradient.isfinite().all()


# Parts


@pytest.mark.parametrize("tasks", [TASKS, ("disparity",), ("reconstruction", "segmentation")])
def test_parts_are_means_over_what_is_valid_by_name(
    tasks: tuple[str, ...],
) -> None:
    net, truth = output(), batch()
    made = objective(tasks, rate=LEARNED)
    losses_P, values_P = made.parts(net, truth)
    assert torch.equal(losses_P.detach(), values_P)
    assert not values_P.requires_grad
    made.after_step(values_P)
    row = made.end_epoch()
    for task in tasks:
        total, count = by_loop(task, net.predictions[task].detach().numpy(), truth)
        assert row[f"loss/{task}"] == pytest.approx(total / count, rel=1e-5)
    features_BChw = net.features_BChw.detach()
    assert row["loss/rate"] == pytest.approx(float(rate_loss(to_unit_range(features_BChw))))


def test_benchmark_has_no_rate_part() -> None:
    made = objective(rate=None)
    assert made.names == TASKS
    net = output()
    losses_P, values_P = made.parts(net, batch())
    total_at(made, losses_P, values_P).backward()
    assert net.features_BChw.grad is None
    made.after_step(values_P)
    assert not any(RATE in key for key in made.end_epoch())


@pytest.mark.parametrize("term", [(True, True), (False, True), (True, False, 90.0)])
def test_the_rate_term_is_equation_5_of_what_the_quantiser_leaves(term: tuple) -> None:
    features_BChw = output().features_BChw.detach()
    total, images = RateTerm("features", None, *term).loss(SplitOutput(features_BChw, {}))
    left_BChw = clipped(features_BChw, 90.0) if term[2:] else features_BChw
    assert float(images) == 3
    assert float(total / 3) == pytest.approx(float(rate_loss(left_BChw, *term[:2])), rel=1e-6)


def test_the_bits_are_counted_per_element_of_the_encoders_features() -> None:
    sent = SplitOutput(torch.zeros(2, 4, 3, 5), {}, bits_B=torch.tensor([60.0, 240.0]))
    total, images = BitsTerm(1.0, channels=8).loss(sent)
    assert float(images) == 2
    assert float(total) == pytest.approx((60 + 240) / (8 * 3 * 5))


# Equation 6


def equation_6(names: tuple[str, ...], weights: np.ndarray, values: np.ndarray) -> float:
    """Kendall's loss as the paper writes it: a task of classes, and the others with a 2."""
    total = 0.0
    for name, w, x in zip(names, weights, values, strict=True):
        total += w * x
        total += math.log(math.sqrt(1 / w if name == "segmentation" else 1 / (2 * w)))
    return total


VALUES = np.array([2.9, 2500.0, 0.25, 0.031])


def test_total_is_equation_6() -> None:
    made = objective(rate=RateTerm("levels", 10.0), initial_weight=0.3)
    weights = np.array([0.3, 0.3, 0.3, 10.0])
    values_P = torch.tensor(VALUES, dtype=torch.float32)
    expected = equation_6(made.names, weights, VALUES)
    assert float(total_at(made, values_P, values_P)) == pytest.approx(expected, rel=1e-5)
    assert list(made.weights().values()) == pytest.approx(weights.tolist(), rel=1e-6)
    by_name = {f"loss/{n}": x for n, x in zip(made.names, VALUES.tolist(), strict=True)}
    assert made.total_of(by_name) == pytest.approx(expected, rel=1e-5)


def test_closed_form_is_where_equation_6_is_least() -> None:
    made = objective(rate=LEARNED, balance="closed-form")
    found = minimize(
        lambda logs: equation_6(made.names, np.exp(logs), VALUES),
        np.zeros(4),
        method="BFGS",
        options={"gtol": 1e-9},
    )
    values_P = torch.tensor(VALUES, dtype=torch.float32)
    total = total_at(made, values_P, values_P)
    weights = np.array(list(made.weights().values()))
    np.testing.assert_allclose(weights, 1 / (2 * VALUES), rtol=1e-5)
    np.testing.assert_allclose(weights, np.exp(found.x), rtol=1e-4)
    assert float(total) == pytest.approx(found.fun, rel=1e-4)


def test_gradient_of_the_total_is_the_weighted_sum() -> None:
    made = objective(rate=RateTerm("features", 4.0), balance="closed-form")
    losses_P = torch.tensor(VALUES, dtype=torch.float32, requires_grad=True)
    total_at(made, losses_P, losses_P.detach()).backward()
    assert losses_P.grad is not None
    np.testing.assert_allclose(losses_P.grad, [*(1 / (2 * VALUES[:3])), 4.0], rtol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_the_share_of_a_part_is_its_weighted_loss_among_all(scale: float) -> None:
    made = objective(rate=RateTerm("features", 10.0), balance="fixed", initial_weight=2.0)
    made.after_step(scale * torch.tensor([1.0, 2.0, 3.0, 0.8]))
    row = made.end_epoch()
    # 2 * 1 + 2 * 2 + 2 * 3 + 10 * 0.8 = 20
    shares = [scale * share for share in (0.1, 0.2, 0.3, 0.4)]
    assert [row[f"share/{n}"] for n in made.names] == pytest.approx(shares)
    assert [row[f"weight/{n}"] for n in made.names] == pytest.approx([2.0, 2.0, 2.0, 10.0])


def series(steps: int) -> list[Tensor]:
    rng = torch.Generator().manual_seed(3)
    return list(torch.tensor(VALUES, dtype=torch.float32) * torch.rand(steps, 4, generator=rng))


def kendall(logs: Tensor, names: tuple[str, ...], values: Tensor) -> Tensor:
    weights = logs.exp()
    halves = torch.tensor([1.0 if name == "segmentation" else 0.5 for name in names])
    return (weights * values + (halves / weights).sqrt().log()).sum()


@pytest.mark.parametrize("every", ["adam-step", "adam-epoch"])
@pytest.mark.parametrize("held", [None, 7.0])
def test_adam_moves_weights_as_autograd_would(every: str, held: float | None) -> None:
    made = objective(rate=RateTerm("levels", held), balance=every, initial_weight=0.5)
    logs = torch.tensor([0.5, 0.5, 0.5, held or 0.5]).log().requires_grad_()
    adam = torch.optim.Adam([logs], lr=0.05)

    def move(values: Tensor) -> None:
        adam.zero_grad()
        kendall(logs, made.names, values).backward()
        assert logs.grad is not None
        if held:
            logs.grad[3] = 0
        adam.step()

    for epoch in (series(12)[:5], series(12)[5:]):
        for values_P in epoch:
            total_at(made, values_P, values_P)
            made.after_step(values_P)
            if every == "adam-step":
                move(values_P)
        row = made.end_epoch()
        if every == "adam-epoch":
            move(torch.stack(epoch).mean(0))
        expected = logs.detach().exp().tolist()
        assert list(made.weights().values()) == pytest.approx(expected, rel=1e-5)
        means = torch.stack(epoch).mean(0).tolist()
        assert [row[f"loss/{n}"] for n in made.names] == pytest.approx(means, rel=1e-5)
    assert expected != pytest.approx([0.5, 0.5, 0.5, held or 0.5], rel=0.01)
    if held:
        assert made.weights()[RATE] == pytest.approx(held)


@pytest.mark.parametrize("balance", ["closed-form", "adam-step", "adam-epoch", "fixed"])
def test_a_part_without_pixels_takes_no_part_in_the_step(balance: str) -> None:
    """Batches of one frame; the labels of every second one are all void."""
    made, seen = objective(balance=balance), []
    for step in range(6):
        net, truth = output(1, seed=step), batch(1, seed=step)
        if step % 2:
            truth = truth._replace(label_BHW=torch.full_like(truth.label_BHW, VOID))
        losses_P, values_P = made.parts(net, truth)
        before = made.weights()["segmentation"]
        made.before_step(values_P)
        logits = net.predictions["segmentation"]
        (gradient,) = torch.autograd.grad(made.total(losses_P), logits, allow_unused=True)
        made.after_step(values_P)
        if step % 2:
            assert made.weights()["segmentation"] == before
            assert gradient.abs().max() == 0
        else:
            seen.append(float(values_P[0]))
    row = made.end_epoch()
    assert row["loss/segmentation"] == pytest.approx(sum(seen) / 3)
    assert 0 < row["weight/segmentation"] < 100
    assert abs(row["loss/total"]) < 1e5


def test_a_part_that_an_epoch_does_not_have_is_left_out() -> None:
    made, truth = objective(balance="closed-form"), batch(1)
    truth = truth._replace(disparity_BHW=torch.zeros_like(truth.disparity_BHW))
    _, values_P = made.parts(output(1), truth)
    made.before_step(values_P)
    made.after_step(values_P)
    row = made.end_epoch()
    assert not [key for key in row if key.endswith("/disparity")]
    assert row["share/segmentation"] + row["share/reconstruction"] == pytest.approx(1)
