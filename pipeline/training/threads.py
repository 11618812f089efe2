"""How many threads torch computes with on a CPU: as many as there are cores left by other programs.

Torch's threads wait for each other in a loop that uses the processor. If another program holds one
of two cores, each step waits for the thread that was put aside, and takes many times as long. With
one thread it takes twice as long. So a thread is given up for each core that others use.
"""

import math
import os
import time
from pathlib import Path

import torch

STAT = Path("/proc/stat")
FIRST_SECONDS = 0.2
"""How long the others are watched before the first number is chosen."""
SECONDS = 5.0
"""From one choice to the next."""
TOLERATED = 0.25
"""Cores that others may use without a thread being given up."""
COUNTED = (0, 1, 2, 5, 6)
"""Columns of a core in /proc/stat: user, nice, system and interrupts. Programs with a nice value
count too: Linux groups programs by session, and a nice value counts within its session alone."""


class AllThreads:
    """Torch's own choice: for GPUs, for several processes, and where OMP_NUM_THREADS is set."""

    def adjust(self) -> None:
        """Change nothing."""


class SpareThreads:
    """A number of threads that follows the load of other programs.

    cores: numbers of the cores that this process may use.
    """

    def __init__(self, cores: frozenset[int]) -> None:
        self.cores = cores
        self._look()
        time.sleep(FIRST_SECONDS)
        self._choose()

    def adjust(self) -> None:
        """Choose the number of threads again if it is time to."""
        if time.monotonic() - self.since >= SECONDS:
            self._choose()

    def _look(self) -> None:
        self.since = time.monotonic()
        self.busy = busy_seconds(self.cores, STAT.read_text())
        self.own = time.process_time()

    def _choose(self) -> None:
        since, busy, own = self.since, self.busy, self.own
        self._look()
        others = ((self.busy - busy) - (self.own - own)) / (self.since - since)
        torch.set_num_threads(spare(len(self.cores), others))


def spare(cores: int, others: float) -> int:
    """Return how many threads to use, at least 1, if others keep so many of the cores busy."""
    return max(1, cores - math.ceil(others - TOLERATED)) if others > TOLERATED else cores


def busy_seconds(cores: frozenset[int], stat: str) -> float:
    """Return how long these cores have been busy, in seconds since the machine started.

    stat: the text of /proc/stat.
    """
    ticks = 0
    for line in stat.splitlines():
        name, *values = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cores:
            ticks += sum(int(values[i]) for i in COUNTED)
    return ticks / os.sysconf("SC_CLK_TCK")


def cpu_threads() -> "AllThreads | SpareThreads":
    """Return how many threads to use on a CPU; OMP_NUM_THREADS or one core leave no choice."""
    cores = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
    fixed = "OMP_NUM_THREADS" in os.environ or len(cores) < 2 or not STAT.is_file()
    return AllThreads() if fixed else SpareThreads(cores)
