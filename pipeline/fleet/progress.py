"""How far a fleet is: a bar on a terminal, lines in a log."""

import re
import time
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from tqdm import tqdm

from pipeline.fleet.work import log_file

SHARES = {"train": 0.0, "export": 0.9, "encode": 0.94, "evaluate": 0.96}
"""How much of a model's work is behind it when a stage begins: nearly all of it is training."""
STAGE = re.compile(r"^(?:Running stage|Stage) '([a-z]+)", re.M)
EPOCH = re.compile(r"^epoch (\d+)/(\d+):", re.M)
TAIL_BYTES = 1 << 16


def position(log: str) -> tuple[str, float]:
    """Return where a job is by its log: in words, and as a share of its work from 0 to 1."""
    stages = list(STAGE.finditer(log))
    stage = stages[-1][1] if stages else ""
    if stage != "train":
        return stage or "begins", SHARES.get(stage, 0.0)
    epochs = EPOCH.findall(log[stages[-1].end() :])
    done, total = map(int, epochs[-1]) if epochs else (0, 1)
    return f"train {done}/{total}" if epochs else "train", SHARES["export"] * done / total


class Progress:
    """Shows which models are done, where the others are, and how long they will take."""

    def __init__(self, total: int, folder: Path) -> None:
        self.total, self.folder = total, folder
        self.since = time.monotonic()
        self.done = 0
        self.stages: dict[str, str] = {}
        self.bar = tqdm(
            total=total,
            disable=None,  # where there is no terminal
            bar_format="{percentage:3.0f}% |{bar:20}| {elapsed}<{remaining} {postfix}",
            smoothing=0,
        )

    def say(self, text: str) -> None:
        """Write a line with the time of day."""
        tqdm.write(f"{datetime.now():%H:%M:%S} {text}")

    def ended(self, model: str) -> None:
        """Count a model that is done."""
        self.done += 1
        self.say(f"{model}: done, {self.done} of {self.total} models")

    def look(self, running: Collection[str]) -> None:
        """Show where the models that are running are."""
        found = {model: position(_tail(log_file(self.folder, model))) for model in running}
        whole = self.done + sum(share for _, share in found.values())
        for model, (where, _) in found.items():
            stage = where.split()[0]
            if self.stages.get(model, "begins") != stage:
                self.say(f"{model}: {stage}{self._to_go(whole)}")
            self.stages[model] = stage
        words = [f"{model} {where}" for model, (where, _) in found.items()]
        self.bar.set_postfix_str(f"{self.done}/{self.total} models; {', '.join(words)}", False)
        self.bar.n = whole
        self.bar.refresh()

    def close(self) -> None:
        """Leave the terminal as it is."""
        self.bar.close()

    def _to_go(self, whole: float) -> str:
        """Return it in words, supposing that the rest goes as fast as what is done."""
        if whole < 0.5:
            return ""
        seconds = (time.monotonic() - self.since) * (self.total - whole) / whole
        return f", about {tqdm.format_interval(seconds)} to go for all"


def _tail(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return file.read().decode(errors="replace")
