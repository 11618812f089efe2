"""What all measurements share: the load of other people, and the record of a run.

A run is a line of runs.jsonl. The tables of LOG.md are made from that file:

    python -m benchmarks.record
"""

import datetime
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

RUNS = Path(__file__).with_name("runs.jsonl")
LOG = Path(__file__).with_name("LOG.md")
END = "<!-- end of runs -->"
Run = dict[str, Any]
"""One line of runs.jsonl."""
CORES = len(os.sched_getaffinity(0))
_TICKS = os.sysconf("SC_CLK_TCK")
_VERSIONED = ("torch", "numpy", "PIL")


class Load:
    """How much of the machine other people used meanwhile."""

    cores = float("nan")
    """Mean number of cores busy with other work than this process and its children."""


@contextmanager
def load() -> Iterator[Load]:
    """Measure others' load over a block; the number is there once the block has ended."""
    result = Load()
    busy, own, start = _busy_ticks(), _own_ticks(), time.monotonic()
    yield result
    seconds = time.monotonic() - start
    others = (_busy_ticks() - busy) - (_own_ticks() - own)
    result.cores = max(0.0, others / _TICKS / seconds)


def record(
    section: str, setting: str, rows: Sequence[Mapping[str, str | float]], load: Load
) -> None:
    """Add a run to runs.jsonl and make the tables of LOG.md anew.

    section: the heading whose tables show it. setting: what was measured, in words. rows: column ->
    value; each column names its unit.
    """
    run = {
        "date": datetime.date.today().isoformat(),
        "section": section,
        "setting": setting,
        "rows": [dict(row) for row in rows],
        "machine": machine(),
        "others_cores": round(load.cores, 1),
        "versions": versions(),
        "command": command(),
    }
    with RUNS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run, ensure_ascii=False) + "\n")
    write_tables()


def write_tables() -> None:
    """Put the tables of all runs between the marks of LOG.md."""
    text = LOG.read_text(encoding="utf-8")
    LOG.write_text(with_tables(text, read_runs()), encoding="utf-8")


def read_runs() -> list[Run]:
    """Return every run there is, oldest first."""
    return [json.loads(line) for line in RUNS.read_text(encoding="utf-8").splitlines()]


def with_tables(text: str, runs: Sequence[Run]) -> str:
    """Return `text` with the runs of each section between its marks.

    Raises ValueError for a section without marks: its runs would be shown nowhere.
    """
    numbered = list(enumerate(runs, start=1))
    for section in dict.fromkeys(run["section"] for run in runs):
        begin = f"<!-- runs: {section} -->"
        before, found, after = text.partition(begin)
        if not found or END not in after:
            raise ValueError(f"{LOG.name} has no {begin} with a following {END}")
        of_section = [(number, run) for number, run in numbered if run["section"] == section]
        shown = "\n\n".join([*_tables(of_section), _list(of_section)])
        text = f"{before}{begin}\n\n{shown}\n\n{END}{after.partition(END)[2]}"
    return text


def _tables(runs: Sequence[tuple[int, Run]]) -> list[str]:
    """Return a table for each set of columns."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for number, run in runs:
        for row in run["rows"]:
            cells = [f"{x:.4g}" if isinstance(x, float) else str(x) for x in row.values()]
            rows.setdefault(tuple(row), []).append(f"| {number} | {' | '.join(cells)} |")
    return [
        "\n".join([f"| run | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|", *lines])
        for heads, lines in rows.items()
    ]


def _list(runs: Sequence[tuple[int, Run]]) -> str:
    return "\n".join(
        f"- Run {number}, {run['date']}: {run['setting']}. {run['machine']}; others used "
        f"{run['others_cores']} cores. {run['versions']}. `{run['command']}`"
        for number, run in runs
    )


def machine() -> str:
    """`AMD EPYC, 2 cores`, and the GPU if torch is loaded and sees one."""
    names = []
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")]
    parts = [names[0] if names else platform.machine(), f"{CORES} cores"]
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return ", ".join(parts)


def versions() -> str:
    """Python's version and those of the measured libraries that are loaded."""
    loaded = [(x, sys.modules[x].__version__) for x in _VERSIONED if x in sys.modules]
    loaded.insert(0, ("Python", platform.python_version()))
    return ", ".join(f"{name} {version}" for name, version in loaded)


def command() -> str:
    """What was typed, but for --record; with the number of threads if the environment sets it."""
    threads = os.environ.get("OMP_NUM_THREADS")
    spec = sys.modules["__main__"].__spec__
    words = ["python", "-m", spec.name if spec else Path(sys.argv[0]).stem]
    words += [x for x in sys.argv[1:] if x != "--record"]
    return " ".join([f"OMP_NUM_THREADS={threads}", *words] if threads else words)


def _busy_ticks() -> int:
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields)
    return user + nice + system + irq + softirq + steal


def _own_ticks() -> int:
    # Children count from the start, not only once they are waited for; those that have been are
    # in their parent's figures.
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[2]) == os.getpgrp():
            total += sum(map(int, fields[11:15]))
    return total


if __name__ == "__main__":
    write_tables()
