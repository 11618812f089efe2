"""Work through the frames of a split on all cores, and show how far it is."""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed

from pipeline.bar import tqdm


def over_frames(
    work: Callable[[int], None], count: int, *, title: str, workers: int | None
) -> None:
    """Call `work` on 0 to count - 1, in any order; show a bar, or a line at the end.

    `workers` is the number of threads, one per core if None; Pillow decodes outside Python's lock.
    """
    started = time.perf_counter()
    with (
        ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool,
        tqdm(total=count, desc=title, unit="frame", disable=None) as bar,
    ):
        try:
            for future in as_completed([pool.submit(work, index) for index in range(count)]):
                future.result()
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if bar.disable:
        seconds = time.perf_counter() - started
        rate = f"{count / seconds:.1f} frames/s"
        print(f"{title}: {count} frames in {seconds:.1f} s ({rate})", file=sys.stderr)
