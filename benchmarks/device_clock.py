"""Time on a device: of work that must be waited for, and the share in which a GPU is busy."""

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile


def now(device: torch.device) -> float:
    """The time in seconds once the device has done all it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def seconds_of(
    work: Callable[[], object], device: torch.device, *, times: int = 10, rounds: int = 7
) -> float:
    """Median time of one call, over rounds of so many calls in a row after one to warm up."""
    seconds = []
    for _ in range(1 + rounds):
        start = now(device)
        for _ in range(times):
            work()
        seconds.append((now(device) - start) / times)
    return statistics.median(seconds[1:])


class GpuWatch:
    """Looks at what a GPU does between `start` and `stop`."""

    def __init__(self) -> None:
        self.profiler: Any = profile(activities=[ProfilerActivity.CUDA])

    def start(self) -> None:
        self.profiler.start()

    def stop(self) -> float:
        """Seconds in which a kernel or a copy ran."""
        self.profiler.stop()
        return union_seconds(
            (event.time_range.start, event.time_range.end)
            for event in self.profiler.events()
            if event.device_type == DeviceType.CUDA and not event.is_user_annotation
        )


def union_seconds(intervals: Iterable[tuple[float, float]]) -> float:
    """How long at least one of the intervals, in microseconds, lasts."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total / 1e6
