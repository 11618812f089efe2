"""Training on a GPU: `uv run pytest -m gpu`; compiled code on a CPU: `uv run pytest -m slow`."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.made_up import noise_frames
from pipeline.coding.forms import UNITS
from pipeline.coding.quantizer import add_noise
from pipeline.data.batches import Batches
from pipeline.data.frames import Frames
from pipeline.training.checkpoint import Checkpoints
from pipeline.training.guard import NotFiniteError
from pipeline.training.loop import Schedule, start, train_step
from pipeline.training.losses import BALANCES, Objective, RateTerm
from pipeline.training.runtime import Runtime, open_runtime
from tests.support.tiny_training import TASKS, Result, assert_same_state, tiny_net, train

SCHEDULE = Schedule(3, 4, 1e-3, 0.9, validate_every=3)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    return noise_frames(tmp_path_factory.mktemp("gpu") / "noise", 10, width=64, height=32)


def train_on(frames: Frames, device: str, compile: str = "off", **options: object) -> Result:
    """Without noise, which each device, and compiled code, draws in its own way."""
    with open_runtime(device, "float32", compile) as runtime:
        batches = Batches(frames, device=runtime.device)
        settings = {"surrogate": torch.nn.Identity(), "schedule": SCHEDULE, **options}
        return train(batches, val=batches, runtime=runtime, **settings)  # type: ignore[arg-type]


def assert_like(found: Result, expected: Result, tolerance: float, start: str = "") -> None:
    for ours, theirs in zip(found.history, expected.history, strict=True):
        for name, value in theirs.items():
            if name.startswith(start):
                assert ours[name] == pytest.approx(value, rel=tolerance, abs=tolerance / 20), name


@pytest.mark.gpu
def test_a_gpu_trains_what_a_cpu_trains(frames: Frames) -> None:
    on_gpu = train_on(frames, "cuda")
    assert {x.device.type for x in on_gpu.net.state_dict().values()} == {"cuda"}
    assert_like(on_gpu, train_on(frames, "cpu"), 0.02)


@pytest.mark.parametrize(
    "device",
    [pytest.param("cpu", marks=pytest.mark.slow), pytest.param("cuda", marks=pytest.mark.gpu)],
)
def test_compiled_and_eager_train_the_same_and_nothing_is_compiled_twice(
    frames: Frames, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._dynamo.utils import counters

    # Torch takes code for AVX-512 from its cache although ATEN_CPU_CAPABILITY forbids that now, and
    # dies of it.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    graphs: list[int] = []
    eager = train_on(frames, device)
    counters.clear()

    class Watched(Checkpoints):
        def due(self, at_the_end: bool = False) -> bool:
            graphs.append(counters["stats"]["unique_graphs"])
            return super().due(at_the_end)

    compiled = train_on(frames, device, "on", checkpoints=Watched(None, 1e9))
    # The losses, not the weights: Adam's first steps move a weight by the sign of its gradient, and
    # some gradients are as small as rounding.
    assert_like(compiled, eager, 2e-4, start="loss/")
    assert graphs[0] > 0
    # Validation makes a graph of its own after the last step; no step makes another. `due` is asked
    # after each step and each epoch.
    assert len(graphs) == SCHEDULE.epochs * (len(frames.names) // SCHEDULE.batch + 1)
    assert set(graphs[:-1]) == {graphs[0]}


@pytest.mark.gpu
def test_a_bad_step_is_named_and_the_training_goes_on_there(frames: Frames, tmp_path: Path) -> None:
    def planted(features: Tensor) -> Tensor:
        return features * (float("nan") if next(steps) == 3 else 1.0)

    steps, path = iter(range(100)), tmp_path / "state.pt"
    with pytest.raises(NotFiniteError, match="epoch 1, step 1 of it"):
        train_on(frames, "cuda", surrogate=planted, path=path, minutes=0)
    resumed, whole = train_on(frames, "cuda", path=path), train_on(frames, "cuda")
    # On a GPU some sums are made in another order each time.
    assert_same_state(resumed.net, whole.net, rtol=1e-3, atol=1e-3)


@pytest.fixture
def cuda() -> Iterator[Runtime]:
    with open_runtime("cuda", "float32", "off") as runtime:
        yield runtime
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.parametrize("balance", BALANCES)
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("percent", [100.0, 99.0])
@pytest.mark.parametrize("noise", ["half-step", "fixed", "none"])
def test_no_step_waits_for_the_gpu(
    frames: Frames, cuda: Runtime, balance: str, unit: str, percent: float, noise: str
) -> None:
    surrogate = partial(add_noise, noise=noise, bits=8, amplitude=0.002, range_percent=percent)
    rate = RateTerm(unit, 1.0 if balance == "closed-form" else None, range_percent=percent)
    objective = Objective(TASKS, rate, balance=balance, learning_rate=0.05, initial_weight=1.0)
    run = start(tiny_net(), objective, SCHEDULE, cuda, 0)
    order = [torch.arange(4, device="cuda") + i for i in range(4)]
    for number, batch in enumerate(Batches(frames, device="cuda").over(order)):
        if number == 1:  # the first step builds what the others use
            torch.cuda.set_sync_debug_mode("error")
        run.set_learning_rate(1e-3)
        train_step(run, batch, surrogate, cuda)
    torch.cuda.set_sync_debug_mode("default")
    run.guard.check(0, 3)
