"""The losses and their weights against equation 6 by hand.

Long on purpose: what holds of one thing is in one place.
"""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from pipeline.coding.rate import rate_loss
from pipeline.data.batches import Batch
from pipeline.nets.split import SplitOutput
from pipeline.training import losses
from pipeline.training.losses import LOSSES, RATE, Objective, RateTerm

TASKS = ("segmentation", "disparity", "reconstruction")
VOID = 255


def batch(images: int = 3, height: int = 5, width: int = 7, seed: int = 0) -> Batch:
    """Random targets with void and invalid pixels."""
    rng = torch.Generator().manual_seed(seed)
    label_BHW = torch.randint(0, 19, (images, height, width), generator=rng)
    label_BHW[torch.rand(label_BHW.shape, generator=rng) < 0.2] = VOID
    disparity_BHW = 126 * torch.rand(images, height, width, generator=rng)
    disparity_BHW[torch.rand(disparity_BHW.shape, generator=rng) < 0.2] = 0
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


@pytest.mark.parametrize("task", ["segmentation", "disparity"])
def test_what_is_not_valid_does_not_matter(task: str) -> None:
    truth, prediction = batch(), output().predictions[task].detach()
    assert truth.disparity_BHW is not None
    void_BHW = truth.label_BHW == VOID if task == "segmentation" else truth.disparity_BHW == 0
    assert 0 < void_BHW.sum() < void_BHW.numel()
    other = torch.where(void_BHW[:, None], prediction + 1000, prediction)
    assert float(LOSSES[task].of(other, truth).total) == float(
        LOSSES[task].of(prediction, truth).total
    )


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


def test_half_precision_predictions_are_summed_in_float32() -> None:
    net, truth = output(height=50, width=70), batch(height=50, width=70)
    for task, prediction in net.predictions.items():
        coarse = prediction.detach().bfloat16()
        found = LOSSES[task].of(coarse, truth).total
        assert found.dtype == torch.float32
        assert float(found) == float(LOSSES[task].of(coarse.float(), truth).total)


def test_a_disparity_below_one_pixel_is_valid() -> None:
    nothing_BHW = torch.zeros(1, 2, 2)
    truth = Batch(torch.zeros(1, 3, 2, 2), nothing_BHW.long(), nothing_BHW.clone())
    assert truth.disparity_BHW is not None
    truth.disparity_BHW[0, 1, 0] = 0.25
    found = LOSSES["disparity"].of(torch.full((1, 1, 2, 2), 2.25), truth)
    assert [x.item() for x in found] == [4.0, 1]


# Parts


def test_parts_are_means_over_what_is_valid() -> None:
    net, truth = output(), batch()
    made = objective(rate=LEARNED)
    losses_P, values_P = made.parts(net, truth)
    expected = []
    for task in TASKS:
        total, count = by_loop(task, net.predictions[task].detach().numpy(), truth)
        expected.append(total / count)
    assert values_P[:3].tolist() == pytest.approx(expected, rel=1e-5)
    assert torch.equal(losses_P.detach(), values_P)
    assert not values_P.requires_grad
    low, high = net.features_BChw.detach().aminmax(dim=1)
    low, high = (low.amin((1, 2)), high.amax((1, 2)))
    unit = (net.features_BChw.detach() - low.view(-1, 1, 1, 1)) / (high - low).view(-1, 1, 1, 1)
    assert float(values_P[3]) == pytest.approx(float(rate_loss(unit)), rel=1e-5)


def test_benchmark_has_no_rate_part() -> None:
    made = objective(rate=None)
    assert made.names == TASKS
    net = output()
    losses_P, values_P = made.parts(net, batch())
    assert len(losses_P) == len(values_P) == 3
    total_at(made, losses_P, values_P).backward()
    assert net.features_BChw.grad is None
    made.after_step(values_P)
    assert not any(RATE in key for key in made.end_epoch())


@pytest.mark.parametrize(
    "tasks", [("disparity",), ("reconstruction", "segmentation"), ("disparity", "segmentation")]
)
def test_parts_bear_the_right_names_whatever_their_order(tasks: tuple[str, ...]) -> None:
    net, truth = output(), batch()
    made = objective(tasks, rate=LEARNED)
    made.after_step(made.parts(net, truth)[1])
    row = made.end_epoch()
    for task in tasks:
        total, count = by_loop(task, net.predictions[task].detach().numpy(), truth)
        assert row[f"loss/{task}"] == pytest.approx(total / count, rel=1e-5)
    assert {key for key in row if key.startswith("loss/")} == {
        *(f"loss/{task}" for task in tasks),
        "loss/rate",
        "loss/total",
    }


def test_rate_of_features_scales_with_them_and_of_levels_does_not() -> None:
    features = output().features_BChw.detach()
    for of, power in (("features", 1), ("levels", 0), ("deviation", 0)):
        term = RateTerm(of, None)
        one = float(term.loss(features).total)
        assert float(term.loss(features * 0.125).total) == pytest.approx(one * 0.125**power)
    shifted = RateTerm("levels", None).loss(features * 3 + 7).total
    assert float(shifted) == pytest.approx(float(RateTerm("levels", None).loss(features).total))


def test_rate_of_features_is_equation_5() -> None:
    features = output().features_BChw.detach()
    for prediction in (False, True):
        for transform in (False, True):
            term = RateTerm("features", None, prediction, transform)
            total, images = term.loss(features)
            assert float(images) == 3
            assert float(total / images) == pytest.approx(
                float(rate_loss(features, prediction, transform)), rel=1e-6
            )


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


def test_the_share_of_a_part_is_its_weighted_loss_among_all() -> None:
    held = RateTerm("features", 10.0)
    made = objective(rate=held, balance="fixed", initial_weight=2.0)
    made.after_step(torch.tensor([1.0, 2.0, 3.0, 0.8]))
    row = made.end_epoch()
    # 2 * 1 + 2 * 2 + 2 * 3 + 10 * 0.8 = 20
    expected = {"segmentation": 0.1, "disparity": 0.2, "reconstruction": 0.3, "rate": 0.4}
    assert {n: row[f"share/{n}"] for n in made.names} == pytest.approx(expected)


def test_fixed_weights_stay() -> None:
    made = objective(rate=LEARNED, balance="fixed", initial_weight=2.5)
    for _ in range(3):
        values_P = torch.rand(4)
        total_at(made, values_P, values_P)
        made.after_step(values_P)
        row = made.end_epoch()
    assert [row[f"weight/{n}"] for n in made.names] == pytest.approx([2.5] * 4)


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


def test_adam_finds_the_closed_form() -> None:
    made = objective(rate=LEARNED, balance="adam-step", learning_rate=0.1)
    # With 2500 for the disparity it would take thousands of steps: Adam remembers the first ones.
    values_P = torch.tensor([2.9, 12.0, 0.25, 0.031])
    for _ in range(600):
        made.after_step(values_P)
    np.testing.assert_allclose(list(made.weights().values()), 1 / (2 * values_P), rtol=0.02)


@pytest.mark.parametrize("balance", ["adam-step", "adam-epoch", "closed-form", "fixed"])
def test_a_number_for_the_rates_weight_holds_it(balance: str) -> None:
    made = objective(rate=RateTerm("levels", 7.0), balance=balance)
    for values_P in series(5):
        total_at(made, values_P, values_P)
        made.after_step(values_P)
        made.end_epoch()
    assert made.weights()[RATE] == pytest.approx(7.0)
    if balance != "fixed":
        assert made.weights()["disparity"] != 1.0


def test_each_epoch_has_its_own_means() -> None:
    made = objective()
    for value in (1.0, 3.0):
        made.after_step(torch.full((3,), value))
    assert made.end_epoch()["loss/disparity"] == 2.0
    made.after_step(torch.full((3,), 8.0))
    assert made.end_epoch()["loss/disparity"] == 8.0


def test_state_carries_weights_and_sums() -> None:
    made = objective(rate=LEARNED, balance="closed-form")
    for values_P in series(3):
        total_at(made, values_P, values_P)
        made.after_step(values_P)
    other = objective(rate=LEARNED, balance="closed-form")
    other.load_state_dict(made.state_dict())
    assert other.end_epoch() == made.end_epoch()


def test_the_state_is_what_training_changes_and_nothing_else() -> None:
    assert set(objective(rate=LEARNED).state_dict()) == {
        *("log_weights_P", "totals_P", "steps", "_extra_state")
    }


def test_a_state_goes_on_as_if_nothing_had_happened() -> None:
    """Adam remembers earlier steps, so that it must be in the state too."""
    first, second = series(12)[:6], series(12)[6:]
    whole = objective(rate=LEARNED, balance="adam-step")
    for values_P in first:
        whole.after_step(values_P)
    other = objective(rate=LEARNED, balance="adam-step")
    other.load_state_dict(copy.deepcopy(whole.state_dict()))
    for values_P in second:
        whole.after_step(values_P)
        other.after_step(values_P)
    assert other.weights() == whole.weights()
    fresh = objective(rate=LEARNED, balance="adam-step")
    fresh.load_state_dict(objective(rate=LEARNED, balance="fixed").state_dict())
    assert fresh.weights() == objective(rate=LEARNED).weights()


def test_backward_leaves_the_weights_alone() -> None:
    made = objective(balance="adam-step")
    losses_P = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    made.total(losses_P).backward()
    assert made.log_weights_P.grad is None


def test_losses_of_zero_have_no_shares() -> None:
    made = objective()
    made.after_step(torch.zeros(3))
    row = made.end_epoch()
    assert [row[f"share/{name}"] for name in TASKS] == [0, 0, 0]


# Several processes


@pytest.mark.parametrize("processes", [1, 2])
def test_the_mean_over_one_pixel_is_its_loss(
    monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    net, truth = output(), batch()
    truth.label_BHW.fill_(VOID)
    truth.label_BHW[1, 2, 3] = 4
    if processes > 1:
        # The other has no valid pixel: what it adds are zeros.
        monkeypatch.setattr(losses.dist, "is_initialized", lambda: True)
        monkeypatch.setattr(losses.dist, "get_world_size", lambda: processes)
        monkeypatch.setattr(losses.dist, "all_reduce", lambda _: None)
    logits = net.predictions["segmentation"].detach().numpy()[1, :, 2, 3].astype(np.float64)
    expected = math.log(np.exp(logits).sum()) - logits[4]
    _, values_P = objective(("segmentation",)).parts(net, truth)
    assert float(values_P[0]) == pytest.approx(expected, rel=1e-5)


def test_two_processes_make_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Halves of a batch on two ranks, with unequal numbers of valid pixels, equal the whole."""
    term = replace(LEARNED, of="features")
    whole_net, truth = output(images=4), batch(images=4)
    truth.label_BHW[:2] = VOID
    truth.label_BHW[0, 0, :3] = 5
    made = objective(rate=term, initial_weight=0.5)
    losses_P, values_P = made.parts(whole_net, truth)
    total_at(made, losses_P, values_P).backward()

    halves = []
    for part in (slice(0, 2), slice(2, 4)):
        predictions = {
            task: x.detach()[part].requires_grad_() for task, x in whole_net.predictions.items()
        }
        features = whole_net.features_BChw.detach()[part].requires_grad_()
        targets = Batch(*(x[part] for x in truth if x is not None))
        halves.append((SplitOutput(features, predictions), targets))

    sent: list[Tensor] = []
    for net, targets in halves:
        monkeypatch.setattr(losses.dist, "is_initialized", lambda: True)
        monkeypatch.setattr(losses.dist, "get_world_size", lambda: 2)
        monkeypatch.setattr(losses.dist, "all_reduce", lambda x: sent.append(x.clone()))
        made.parts(net, targets)
    for rank, (net, targets) in enumerate(halves):
        monkeypatch.setattr(losses.dist, "all_reduce", lambda x, r=rank: x.add_(sent[1 - r]))
        rank_losses_P, rank_values_P = made.parts(net, targets)
        torch.testing.assert_close(rank_values_P, values_P)
        total_at(made, rank_losses_P, rank_values_P).backward()

    for task in TASKS:
        gradient = torch.cat([net.predictions[task].grad for net, _ in halves])
        # DistributedDataParallel takes the mean over the two ranks.
        torch.testing.assert_close(gradient / 2, whole_net.predictions[task].grad)
    gradient = torch.cat([net.features_BChw.grad for net, _ in halves])
    torch.testing.assert_close(gradient / 2, whole_net.features_BChw.grad)
