"""What all measurements share: the load of other people, and the dated line in RESULTS.md."""

import datetime
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"
CORES = len(os.sched_getaffinity(0))
_TICKS = os.sysconf("SC_CLK_TCK")
_VERSIONED = ("torch", "numpy", "PIL")


class Load:
    """How much of the machine other people used meanwhile."""

    cores = float("nan")
    """Mean number of cores busy with other work than this process and its children."""


@contextmanager
def load() -> Iterator[Load]:
    """Measure others' load over a block; the figure is there once the block has ended."""
    result = Load()
    busy, own, start = _busy_ticks(), _own_ticks(), time.monotonic()
    yield result
    seconds = time.monotonic() - start
    others = (_busy_ticks() - busy) - (_own_ticks() - own)
    result.cores = max(0.0, others / _TICKS / seconds)


def record(section: str, figures: str, load: Load) -> None:
    """Add a dated line with machine, versions and command to the end of a section of RESULTS.md.

    A section that is not there is begun at the end of the file.
    """
    line = (
        f"- {datetime.date.today()}: {figures} ({machine()}, others used {load.cores:.1f} cores;"
        f" {versions()}; `{command()}`)"
    )
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    RESULTS.write_text(with_line(text, section, line), encoding="utf-8")


def with_line(text: str, section: str, line: str) -> str:
    """`text` with `line` as the last one under the heading `## section`."""
    before, heading, after = text.partition(f"## {section}\n")
    if not heading:
        return f"{text.rstrip()}\n\n## {section}\n\n{line}\n".lstrip()
    body, further, rest = after.partition("\n## ")
    last = body.strip().rpartition("\n\n")[2]
    gap = "\n" if last.startswith("- ") or not last else "\n\n"
    return f"{before}{heading}{body.rstrip()}{gap}{line}\n{further}{rest}"


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
