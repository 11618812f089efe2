"""Training on a GPU; what a CPU can show of it runs there too.

With a GPU: `uv run pytest -m gpu`.
"""

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
from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet
from pipeline.training.checkpoint import Checkpoints
from pipeline.training.guard import NotFiniteError
from pipeline.training.loop import Schedule, Surrogate, fit, start, train_step
from pipeline.training.losses import Objective, RateTerm
from pipeline.training.runtime import Runtime, open_runtime, seed_all
from pipeline.training.state import Row
from tests.support.tiny_net import TINY

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
TASKS = ("segmentation", "disparity", "reconstruction")
BALANCES = ("closed-form", "adam-step", "adam-epoch", "fixed")
HALF_STEP = partial(add_noise, noise="half-step", bits=8)
SCHEDULE = Schedule(3, 4, 1e-3, 0.9, validate_every=3)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    return noise_frames(tmp_path_factory.mktemp("gpu") / "noise", 10, width=64, height=32)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "tiny", TINY)


def objective_of(balance: str = "closed-form", of: str = "deviation") -> Objective:
    rate = RateTerm(of, 1.0 if balance == "closed-form" else None)
    return Objective(TASKS, rate, balance=balance, learning_rate=0.05, initial_weight=1.0)


def train(
    frames: Frames,
    device: str,
    *,
    compile: str = "off",
    surrogate: Surrogate = HALF_STEP,
    checkpoints: Checkpoints | None = None,
    encoder: str = "tiny",
) -> tuple[SplitNet, list[Row]]:
    with open_runtime(device, "float32", compile) as runtime:
        seed_all(0)
        net = SplitNet(encoder, TASKS)
        batches = Batches(frames, device=runtime.device)
        history = fit(
            net,
            objective_of(),
            batches,
            batches,
            schedule=SCHEDULE,
            surrogate=surrogate,
            runtime=runtime,
            seed=0,
            checkpoints=checkpoints or Checkpoints(None, 1e9),
            on_epoch=lambda row: None,
        )
    return net, history


def assert_close(a: SplitNet, b: SplitNet, tolerance: float) -> None:
    for key, value in a.state_dict().items():
        other = b.state_dict()[key].to(value.device)
        torch.testing.assert_close(
            value, other, rtol=tolerance, atol=tolerance, msg=lambda text, key=key: f"{key}: {text}"
        )


@pytest.mark.parametrize("device", DEVICES)
def test_a_training_runs_where_it_is_told(frames: Frames, device: str) -> None:
    net, history = train(frames, device)
    assert {x.device.type for x in net.state_dict().values()} == {device}
    assert history[-1]["loss/total"] < history[0]["loss/total"]
    assert {"val/miou", "val/irmse", "val/psnr"} <= history[-1].keys()


@pytest.mark.gpu
def test_a_gpu_trains_what_a_cpu_trains(frames: Frames) -> None:
    # Without noise, which each device draws in its own way.
    plain = [train(frames, device, surrogate=lambda x: x)[1] for device in ("cpu", "cuda")]
    for on_cpu, on_gpu in zip(*plain, strict=True):
        for name, value in on_cpu.items():
            assert on_gpu[name] == pytest.approx(value, rel=0.02, abs=1e-3), name


@pytest.mark.parametrize(
    "device",
    [
        pytest.param("cpu", marks=pytest.mark.slow),
        pytest.param("cuda", marks=pytest.mark.gpu),
    ],
)
@pytest.mark.parametrize("encoder", ["tiny", "encoder2"])
def test_compiled_and_eager_train_the_same_and_nothing_is_compiled_twice(
    frames: Frames,
    device: str,
    encoder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from torch._dynamo.utils import counters

    # Torch takes code for AVX-512 from its cache although ATEN_CPU_CAPABILITY forbids that now, and
    # dies of it.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    graphs: list[int] = []

    # Noise is drawn in another order by compiled code.
    _, eager = train(frames, device, surrogate=torch.nn.Identity(), encoder=encoder)
    counters.clear()

    class Watched(Checkpoints):
        def due(self, *, at_the_end: bool = False) -> bool:
            graphs.append(counters["stats"]["unique_graphs"])
            return super().due(at_the_end=at_the_end)

    _, compiled = train(
        frames,
        device,
        compile="on",
        surrogate=torch.nn.Identity(),
        checkpoints=Watched(None, 1e9),
        encoder=encoder,
    )
    # The losses, not the weights: Adam's first steps move a weight by the sign of its gradient, and
    # some gradients of a deep net are as small as rounding.
    for ours, expected in zip(compiled, eager, strict=True):
        for name, value in expected.items():
            if name.startswith("loss/"):
                assert ours[name] == pytest.approx(value, rel=2e-4), name
    assert graphs[0] > 0
    # Validation makes a graph of its own after the last step; no step makes another. `due` is asked
    # after each step and each epoch.
    asked = SCHEDULE.epochs * (len(frames.names) // SCHEDULE.batch + 1)
    assert len(graphs) == asked
    assert set(graphs[:-1]) == {graphs[0]}


@pytest.mark.parametrize("device", DEVICES)
def test_a_bad_step_is_named_and_leaves_the_weights(frames: Frames, device: str) -> None:
    steps = iter(range(100))

    def planted(features: Tensor) -> Tensor:
        return features * (float("nan") if next(steps) == 3 else 1.0)

    with pytest.raises(NotFiniteError, match="epoch 1, step 1 of it"):
        train(frames, device, surrogate=planted)


@pytest.mark.parametrize("device", DEVICES)
def test_a_training_that_was_stopped_goes_on_as_if_it_had_not(
    frames: Frames, device: str, tmp_path: Path
) -> None:
    class Stop(Exception):
        pass

    steps = iter(range(100))

    def stopping(features: Tensor) -> Tensor:
        if next(steps) == 3:
            raise Stop
        return HALF_STEP(features)

    whole, expected = train(frames, device)
    path = tmp_path / "state.pt"
    with pytest.raises(Stop):
        train(frames, device, surrogate=stopping, checkpoints=Checkpoints(path, 0.0))
    assert path.is_file()
    resumed, history = train(frames, device, checkpoints=Checkpoints(path, 1e9))
    # On a GPU some sums are made in another order each time.
    assert_close(whole, resumed, 0.0 if device == "cpu" else 1e-3)
    assert [row["epoch"] for row in history] == [row["epoch"] for row in expected]


@pytest.fixture
def cuda() -> Iterator[Runtime]:
    with open_runtime("cuda", "float32", "off") as runtime:
        yield runtime
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.parametrize("balance", BALANCES)
@pytest.mark.parametrize("of", UNITS)
@pytest.mark.parametrize("keep", [100.0, 99.0])
@pytest.mark.parametrize("noise", ["half-step", "fixed", "none"])
def test_no_step_waits_for_the_gpu(
    frames: Frames, cuda: Runtime, balance: str, of: str, range_percent: float, noise: str
) -> None:
    surrogate = partial(add_noise, noise=noise, bits=8, amplitude=0.002, range_percent=keep)
    run = start(SplitNet("tiny", TASKS), objective_of(balance, of), SCHEDULE, cuda, 0)
    batches = Batches(frames, device="cuda")
    order = [torch.arange(4, device="cuda") + i for i in range(4)]
    for number, batch in enumerate(batches.over(order)):
        if number == 1:  # the first step builds what the others use
            torch.cuda.set_sync_debug_mode("error")
        run.set_learning_rate(1e-3)
        train_step(run, batch, surrogate, cuda)
    torch.cuda.set_sync_debug_mode("default")
    run.guard.check(0, 3)


@pytest.mark.gpu
def test_frames_on_the_gpu_take_their_own_size(frames: Frames) -> None:
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    batches = Batches(frames, device="cuda")
    assert batches.resident
    assert frames.disparity_NHW is not None
    arrays = (frames.image_NHW3, frames.label_NHW, frames.disparity_NHW)
    wanted = sum(x.nbytes for x in arrays)
    # CUDA hands out memory in blocks of 512 bytes.
    assert wanted <= torch.cuda.memory_allocated() - before <= wanted + 512 * len(arrays)
