"""Time of work on the processor."""

import time
from collections.abc import Callable
from typing import NamedTuple


class Timing(NamedTuple):
    """One timed call, in seconds."""

    wall: float
    cpu: float
    """Processor time over all threads of this process; other people's load hardly moves it."""


def timed(work: Callable[[], object]) -> Timing:
    """Time one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Timing(time.perf_counter() - wall, time.process_time() - cpu)
