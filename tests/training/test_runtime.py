"""Device, precision and seeds of a training, on a machine without a GPU."""

import random
from pathlib import Path

import pytest
import torch

from pipeline.device import DeviceError
from pipeline.training.runtime import open_runtime, precision_of, seed_all


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU and without torchrun, wherever the tests run."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("device", ["auto", "cpu"])
@pytest.mark.parametrize("compile", ["auto", "on", "off"])
def test_without_a_gpu_it_is_the_cpu(device: str, compile: str) -> None:
    with open_runtime(device, "float32", compile) as runtime:
        assert runtime.described() == {
            "device": "cpu",
            "processor": torch.backends.cpu.get_cpu_capability(),
            "precision": "float32",
            "compiled": compile == "on",
            "processes": 1,
            "torch": torch.__version__,
        }


def test_what_this_machine_cannot_offer_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = r"machine\.device is cuda.*auto or cpu"
    with pytest.raises(DeviceError, match=words), open_runtime("cuda", "auto", "auto"):
        pass
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with open_runtime("cpu", "float32", "on") as runtime:
        assert not runtime.compiled
    assert "no C compiler" in capsys.readouterr().out


def test_bfloat16_autocasts_on_request_and_where_the_processor_has_it() -> None:
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    fast = torch.bfloat16 if {"avx512_bf16", "amx_bf16"} & set(flags) else torch.float32
    for asked, expected in (
        ("bfloat16", torch.bfloat16),
        ("float32", torch.float32),
        ("auto", fast),
    ):
        with open_runtime("cpu", asked, "off") as runtime, runtime.autocast():
            assert runtime.dtype == expected
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


def test_seeds() -> None:
    streams = []
    for numbers in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (2**40, 7, 0)):
        drawn = []
        for _ in range(2):
            seed_all(*numbers)
            drawn.append((random.random(), float(torch.rand(()))))
        assert drawn[0] == drawn[1]
        streams.append(drawn[0])
    assert all(len(set(column)) == len(streams) for column in zip(*streams, strict=True))


def test_noise_of_a_fixed_size_is_trained_in_float32() -> None:
    assert precision_of("auto", "fixed") == precision_of("float32", "fixed") == "float32"
    assert precision_of("auto", "half-step") == "auto"
    assert precision_of("bfloat16", "none") == "bfloat16"
    with pytest.raises(DeviceError, match="rounds most of that noise away"):
        precision_of("bfloat16", "fixed")
