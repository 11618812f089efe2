"""Where and how training runs: device, precision, compilation, processes, seeds."""

import contextlib
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from pipeline.device import DeviceError, open_device


@dataclass(frozen=True)
class Runtime:
    """One process of a training job."""

    device: torch.device
    dtype: torch.dtype
    """float32, or bfloat16 for everything autocast may run in it."""
    compiled: bool
    rank: int = 0
    world: int = 1
    host_group: Any = None
    """The process group in which processes talk on the CPU; None if there is only one."""

    def described(self) -> dict[str, str | int | bool]:
        """Return what two trainings must share if their results are to be compared.

        device: cpu or cuda; processor: the GPU's name, or the CPU's instruction set; precision;
        compiled; processes; torch: its version.
        """
        cuda = self.device.type == "cuda"
        processor = (
            torch.cuda.get_device_name() if cuda else torch.backends.cpu.get_cpu_capability()
        )
        return {
            "device": self.device.type,
            "processor": processor,
            "precision": str(self.dtype).removeprefix("torch."),
            "compiled": self.compiled,
            "processes": self.world,
            "torch": torch.__version__,
        }

    def autocast(self) -> torch.autocast:
        """Return the context of a forward pass."""
        reduced = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype, enabled=reduced)


@contextlib.contextmanager
def open_runtime(device: str, precision: str, compile: str) -> Iterator[Runtime]:
    """Yield the runtime of this process, and end its process group, if any, afterwards.

    device: auto | cpu | cuda; precision: auto | float32 | bfloat16; compile: auto | on | off.
    auto takes a GPU if there is one, bfloat16 where the hardware multiplies it, and compiles on a
    GPU only: on a CPU compiling costs more than a short run gains.
    """
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    where = open_device(device, int(os.environ.get("LOCAL_RANK", 0)))
    cuda = where.type == "cuda"
    host_group = None
    if world > 1:
        dist.init_process_group("nccl" if cuda else "gloo")
        host_group = dist.new_group(backend="gloo")
    fast = (
        torch.cuda.is_bf16_supported(including_emulation=False)
        if cuda
        else _cpu_multiplies_bfloat16()
    )
    half = precision == "bfloat16" or (precision == "auto" and fast)
    try:
        yield Runtime(
            device=where,
            dtype=torch.bfloat16 if half else torch.float32,
            compiled=_compiles(compile, cuda),
            rank=rank,
            world=world,
            host_group=host_group,
        )
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def precision_of(precision: str, noise: str) -> str:
    """Return the precision to train in; noise of a fixed size needs float32.

    In bfloat16 more than half of the features that are not 0 would not change by +-0.002. Raises
    DeviceError if bfloat16 was asked for.
    """
    if noise != "fixed" or precision == "float32":
        return precision
    if precision == "bfloat16":
        raise DeviceError(
            "train.noise is fixed and train.precision is bfloat16, which rounds most of that noise "
            "away; use float32 or auto, or half-step noise"
        )
    return "float32"


def seed_all(*numbers: int) -> None:
    """Seed every generator in use from a few whole numbers, well mixed."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
    random.seed(seed)
    torch.manual_seed(seed)


def _compiles(compile: str, cuda: bool) -> bool:
    if compile == "off" or (compile == "auto" and not cuda):
        return False
    compilers = (os.environ.get("CC"), "cc", "gcc", "clang")
    if any(name and shutil.which(name) for name in compilers):
        return True
    print("machine.compile: there is no C compiler here, which torch.compile needs; runs eagerly")
    return False


def _cpu_multiplies_bfloat16() -> bool:
    # Without the instructions oneDNN falls back to a reference path many times slower than float32.
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123  a stream, of which the first flags do
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
