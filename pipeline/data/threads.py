"""Work through the frames of a split on all cores, and show how far it is."""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from pipeline.progress import tqdm
from pipeline.shards import shards, unfinished


def over_frames(
    work: Callable[[int], None],
    count: int,
    *,
    title: str,
    workers: int | None,
    done: Path | None = None,
) -> None:
    """Call `work` on 0 to count - 1, a shard after the other; show a bar, or a line at the end.

    The order within a shard is any. `workers` is the number of threads, one per core if None;
    Pillow decodes outside Python's lock. `done` is a folder in which finished shards are noted
    (see `pipeline.shards`). Those that are noted there already are left out.
    """
    started = time.perf_counter()
    left = (
        [(shard, None) for shard in shards(count)] if done is None else [*unfinished(done, count)]
    )
    worked = sum(len(shard) for shard, _ in left)
    with (
        ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool,
        tqdm(total=count, initial=count - worked, desc=title, unit="frame", disable=None) as bar,
    ):
        try:
            for shard, note in left:
                for future in as_completed([pool.submit(work, index) for index in shard]):
                    future.result()
                    bar.update()
                if note is not None:
                    note.parent.mkdir(exist_ok=True)
                    note.touch()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if bar.disable:
        seconds = time.perf_counter() - started
        rate = f"{worked / seconds:.1f} frames/s"
        print(f"{title}: {worked} frames in {seconds:.1f} s ({rate})", file=sys.stderr)
