"""Work through the frames of a split on all cores, and show how far it is."""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")

AHEAD = 8
"""Frames for each thread that may wait to be taken, so that memory stays constant."""


def over_frames(
    work: Callable[[int], T], count: int, *, title: str, workers: int | None = None
) -> Iterator[T]:
    """Yield `work` of 0 to count - 1, in order; show a bar, or a line at the end.

    The next results are worked out while one is used. `workers` is the number of threads, one per
    core if None; Pillow decodes outside Python's lock.
    """
    started = time.perf_counter()
    workers = workers or len(os.sched_getaffinity(0))
    todo = iter(range(count))
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=count, desc=title, unit="frame", disable=None) as bar,
    ):

        def submit(some: int) -> Iterator[Future[T]]:
            return (pool.submit(work, index) for index in islice(todo, some))

        waiting = deque(submit(AHEAD * workers))
        while waiting:
            yield waiting.popleft().result()
            bar.update()
            waiting.extend(submit(1))
    if bar.disable:
        seconds = time.perf_counter() - started
        rate = f"{count / seconds:.1f} frames/s"
        print(f"{title}: {count} frames in {seconds:.1f} s ({rate})", file=sys.stderr)
