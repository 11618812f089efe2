"""What the copies have noted in their dvc.lock, taken over into the one of the head at once.

`dvc repro` would find the same in its cache, stage by stage. But it writes the whole file after
each stage, so its time grows with the square of their number.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from pipeline.files import write_text

STAGE = re.compile(r"^(?=  [^\s#])", re.M)
"""Where a stage begins: DVC indents their names by two spaces, and what is in them by more."""


def entries(text: str) -> dict[str, str]:
    """Return the lines of each stage of a dvc.lock."""
    parts = STAGE.split(text)[1:]
    return {part.partition(":\n")[0].strip(" '\""): part for part in parts}


def take_over(lock: Path, notes: Iterable[tuple[Path, Iterable[str]]]) -> None:
    """Write what copies have noted of stages into `lock`, in place of what it has of them.

    notes: the lock of each copy, with the names of its stages.
    """
    text = lock.read_text()
    known = entries(text)
    for path, stages in notes:
        noted = entries(path.read_text())
        known |= {stage: noted[stage] for stage in stages}
    write_text(lock, STAGE.split(text)[0] + "".join(known.values()))
