"""Device, precision and processes of a training, on a machine without a GPU."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from stages.recipe import precision

from pipeline.params import parse
from pipeline.training.runtime import DeviceError, open_runtime, seed_all


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU and without torchrun, wherever the tests run."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_without_a_gpu_it_is_the_cpu(device: str) -> None:
    with open_runtime(device, "float32", "auto") as runtime:
        assert runtime.device == torch.device("cpu")
        assert runtime.dtype == torch.float32
        assert not runtime.compiled
        assert (runtime.rank, runtime.world) == (0, 1)


def test_cuda_without_a_gpu_is_an_error() -> None:
    with (
        pytest.raises(DeviceError, match=r"train\.device is cuda.*auto or cpu"),
        open_runtime("cuda", "auto", "auto"),
    ):
        pass


def test_compile() -> None:
    for compile, expected in (("on", True), ("off", False), ("auto", False)):
        with open_runtime("cpu", "float32", compile) as runtime:
            assert runtime.compiled is expected


def test_bfloat16_is_taken_on_request_and_autocasts() -> None:
    with open_runtime("cpu", "bfloat16", "off") as runtime:
        assert runtime.dtype == torch.bfloat16
        with runtime.autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with open_runtime("cpu", "float32", "off") as runtime, runtime.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_auto_precision_goes_by_the_processors_flags() -> None:
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    fast = bool({"avx512_bf16", "amx_bf16"} & set(flags))
    with open_runtime("auto", "auto", "off") as runtime:
        assert runtime.dtype == (torch.bfloat16 if fast else torch.float32)


def drawn() -> tuple[float, float]:
    return random.random(), float(torch.rand(()))


def test_seeds() -> None:
    streams = []
    for numbers in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (2**40, 7, 0)):
        seed_all(*numbers)
        first = drawn()
        seed_all(*numbers)
        assert drawn() == first
        streams.append(first)
    assert len(set(streams)) == len(streams)
    assert np.ptp([x for _, x in streams]) > 0.1


@pytest.mark.parametrize(
    ("noise", "asked", "expected"),
    [
        ("fixed", "auto", "float32"),
        ("fixed", "float32", "float32"),
        ("half-step", "auto", "auto"),
        ("none", "bfloat16", "bfloat16"),
    ],
)
def test_noise_of_a_fixed_size_is_trained_in_float32(
    values: dict, noise: str, asked: str, expected: str
) -> None:
    values["train"] |= {"noise": noise, "precision": asked}
    assert precision(parse(values)) == expected


def test_noise_that_bfloat16_would_round_away_is_refused(values: dict) -> None:
    values["train"] |= {"noise": "fixed", "precision": "bfloat16"}
    with pytest.raises(DeviceError, match="rounds most of that noise away"):
        precision(parse(values))
