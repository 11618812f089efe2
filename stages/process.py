"""One process of a stage at a time, which ends when the `dvc` that started it does.

A killed `dvc` would leave its stage running, and the next one would start the stage again: two
processes would write the same files, one of them after DVC has noted what they hold.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LOCKS = Path(".dvc/tmp/stages")
_PR_SET_PDEATHSIG = 1


def end_with_dvc() -> None:
    """Let the system send SIGTERM to this process when the `dvc` that started it ends.

    Exits with 1 if that `dvc` has ended already. Then its next run may have begun.
    """
    if "DVC_STAGE" not in os.environ or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # A process of a launcher has a session of its own.
    if "RANK" not in os.environ and _adopted(os.getppid()):
        sys.exit("the dvc that started this stage has ended, so the stage ends too")


def _adopted(parent: int) -> bool:
    """Return whether this process's own parent has ended and `parent` got it.

    That is process 1, or one like it of another session. In a container process 1 may be of the
    same session, or the dvc itself. A shell there that was begun with the word dvc is not told
    from that.
    """
    if parent == 1 and b"dvc" not in Path("/proc/1/cmdline").read_bytes():
        return True
    try:
        return os.getsid(parent) != os.getsid(0)
    except ProcessLookupError:
        return True


@contextmanager
def alone(words: list[str]) -> Iterator[None]:
    """Wait until no other process runs the stage's command `words` here, and keep others out.

    A command that no `dvc` started has no output that DVC looks after. Of the processes of a
    launcher the first alone waits. The system releases the lock of a process that is killed.
    """
    if "DVC_STAGE" not in os.environ or os.environ.get("RANK", "0") != "0":
        yield
        return
    LOCKS.mkdir(parents=True, exist_ok=True)
    lock = FileLock(LOCKS / f"{'_'.join([Path(words[0]).stem, *words[1:]])}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print("waiting for an earlier process of this stage to end", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
