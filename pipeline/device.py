"""Which device the nets run on, and with how many threads."""

import os
from pathlib import Path

import torch

DEVICES = ("auto", "cpu", "cuda")
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""In a container: microseconds of processor time, in so many microseconds; or `max`."""


class DeviceError(ValueError):
    """A device or precision that this machine cannot offer."""


def open_device(device: str, index: int = 0) -> torch.device:
    """Return the device to run on, set up for it.

    device: one of `DEVICES`; auto is a GPU if there is one. index: of the GPU. Raises DeviceError
    if there is no such device.
    """
    if device not in DEVICES:
        raise DeviceError(f"there is no device {device!r}; allowed: {', '.join(DEVICES)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("machine.device is cuda, but torch sees no GPU; use auto or cpu")
    if device == "cpu" or not torch.cuda.is_available():
        _heed_quota()
        return torch.device("cpu")
    where = torch.device("cuda", index)
    torch.cuda.set_device(where)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    return where


def _heed_quota() -> None:
    """Use no more threads than the quota of a container has cores; torch sees those of the machine.

    Threads that are put to sleep by the quota keep the others waiting at each operation.
    """
    try:
        quota, period = CPU_QUOTA.read_text().split()
        cores = max(1, int(quota) // int(period))
    except (OSError, ValueError):  # no container, or no quota
        return
    if "OMP_NUM_THREADS" not in os.environ and cores < torch.get_num_threads():
        torch.set_num_threads(cores)
