"""Kill the tiny experiment at random moments in every stage, and start it again each time.

    python -m tests.chaos.kill_anything --rounds 50 --seed 0

A round is a kill by SIGKILL: of the stage's processes, of dvc alone, or of both. After each the
files under final names must open. When every stage has been killed the experiment runs to its end:
its files and dvc.lock must be those of an undisturbed run, apart from the ids of MLflow runs. No
MLflow run may be RUNNING, and no process may be left. Prints a line per round, and in the end the
counts by stage.
"""

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.chaos.whole_files import contents, half_written, lock, mended_by_hand, remnants
from tests.support.tiny_experiment import command, start, tiny_repository

KINDS = ("stage", "stage", "both", "dvc")
STAGES = (
    "check",
    "streets",
    "link",
    "prepare",
    "train_benchmark@encoder2-0",
    "train_proposed@encoder2-0",
    *(
        f"{stage}@encoder2-{arm}-0"
        for stage in ("export", "encode", "evaluate")
        for arm in ("benchmark", "proposed")
    ),
    "report",
)
KILLS_IN_A_STAGE = 2
"""Before the experiment is let run to its end."""
COMMIT_SECONDS = 0.7
"""How long DVC takes about to put an output into its cache: kills fall there too."""


@dataclass
class Found:
    """What the rounds have shown."""

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By stage and kind."""
    faults: list[str] = field(default_factory=list)
    passes: int = 0
    """Experiments that ran to their end after kills."""
    mended: int = 0
    """Files of dvc's own that a kill of dvc had cut; README says what to do then."""

    def fault(self, text: str) -> None:
        print(f"FAULT {text}", flush=True)
        self.faults.append(text)

    def mend(self, folder: Path, said: str) -> bool:
        """Return whether dvc had cut a file of its own, which is mended then."""
        done = mended_by_hand(folder, said)
        self.mended += done
        return done


@contextlib.contextmanager
def repro(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start `dvc repro` as a session of its own; yield it and the file of what it says."""
    # A file of its own, which a stage that outlives its dvc cannot write over.
    said = Path(tempfile.mkstemp(prefix="said-", suffix=".txt", dir=folder.parent)[1])
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "DVC", "PYTEST"))}
    with said.open("a") as out:
        process = subprocess.Popen(
            ["dvc", "repro"],
            cwd=folder,
            env={**keep, "PATH": path, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        yield process, said


def running(said: Path) -> str | None:
    """Return the stage that dvc has begun last."""
    found = re.findall("Running stage '(.*)'", said.read_text())
    return found[-1] if found else None


def reaches(process: subprocess.Popen[str], said: Path, stage: str) -> bool:
    """Wait until dvc runs a stage, or a later one if it is done; False if dvc ended before."""
    wanted = STAGES[STAGES.index(stage) :]
    while running(said) not in wanted:
        if process.poll() is not None:
            return running(said) in wanted
        time.sleep(0.02)
    return True


def kill(process: subprocess.Popen[str], kind: str) -> bool:
    """Kill by SIGKILL what `kind` says; return whether that hit anything.

    Between two stages there is nothing but dvc: then it waits for the next stage.
    """
    victims: list[psutil.Process] = []
    while not victims:
        if process.poll() is not None:
            return False
        try:
            dvc = psutil.Process(process.pid)
            # Both at once, as a power cut: first they stop.
            victims = [] if kind == "dvc" else dvc.children(recursive=True)
        except psutil.NoSuchProcess:
            return False
        if kind != "stage":
            victims = [*victims, dvc]
        if not victims:
            time.sleep(0.01)
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.send_signal(number)
    # A stage may just have ended by itself.
    return process.wait() != 0


def one_round(folder: Path, stage: str, kind: str, seconds: float, found: Found) -> None:
    """Run until `stage`, kill after `seconds` of it, and look at the files."""
    with repro(folder) as (process, said):
        if reaches(process, said, stage):
            time.sleep(seconds)
            if kill(process, kind):
                stage = running(said) or stage
                found.kills[stage, kind] += 1
                print(f"killed {kind} in {stage}, {seconds:.2f} s", flush=True)
        elif process.wait() != 0 and not found.mend(folder, said.read_text()):
            found.fault(f"dvc repro needs a hand: {said.read_text()[-2000:]}")
        for text in half_written(folder):
            found.fault(f"after a kill of {kind} in {stage}: half-written {text}")


def duration(folder: Path) -> dict[str, float]:
    """Run undisturbed, and return how long each stage took, in seconds."""
    began: dict[str, float] = {}
    with repro(folder) as (process, said):
        for stage in STAGES:
            assert reaches(process, said, stage), said.read_text()
            began[stage] = time.monotonic()
        assert process.wait() == 0, said.read_text()
    times = [*began.values(), time.monotonic()]
    return {s: max(b - a, 1.0) for s, a, b in zip(STAGES, times[:-1], times[1:], strict=True)}


def afresh(folder: Path) -> None:
    """Forget all that was ever run."""
    command(folder, "git", "checkout", "-q", ".")
    command(folder, "git", "clean", "-qxffd", "-e", "/.dvc/config")


def at_the_end(folder: Path, files: dict[str, str], locked: object, found: Found) -> None:
    """Let the experiment end, and compare it with an undisturbed one."""
    done = start(folder, "dvc", "repro")
    if done.returncode != 0 and found.mend(folder, done.stdout + done.stderr):
        done = start(folder, "dvc", "repro")
    if done.returncode != 0:
        found.fault(f"dvc repro needs a hand: {(done.stdout + done.stderr)[-2000:]}")
        return
    found.passes += 1
    now = contents(folder)
    for path in sorted(files.keys() | now.keys()):
        if files.get(path) != now.get(path):
            found.fault(f"{path} differs from that of an undisturbed run")
            kept = folder.parent / f"{found.passes}-{Path(path).name}"
            shutil.copyfile(folder / path, kept)
    if lock(folder) != locked:
        found.fault("dvc.lock differs from that of an undisturbed run")
    for text in remnants(folder):
        found.fault(text)


def chaos(folder: Path, rounds: int, seed: int, stages: tuple[str, ...] = STAGES) -> Found:
    """Kill `rounds` times in a tiny experiment in `folder`."""
    tiny_repository(folder)
    seconds = duration(folder)
    print({stage: round(x, 1) for stage, x in seconds.items()}, flush=True)
    return kills(folder, rounds, random.Random(seed), stages, seconds)


def kills(
    folder: Path,
    rounds: int,
    chance: random.Random,
    stages: tuple[str, ...],
    seconds: dict[str, float],
) -> Found:
    """Kill `rounds` times in the experiment that has run undisturbed in `folder`."""
    found = Found()
    files, locked = contents(folder), lock(folder)
    # To compare by hand, if there is a fault.
    shutil.copytree(folder / "reports", folder.parent / "undisturbed-reports")
    each = [stage for stage in stages for _ in range(KILLS_IN_A_STAGE)]
    done = 0
    while done < rounds:
        afresh(folder)
        for stage in each[: rounds - done]:
            moment = chance.uniform(0, seconds[stage] + COMMIT_SECONDS)
            one_round(folder, stage, chance.choice(KINDS), moment, found)
            done += 1
        at_the_end(folder, files, locked, found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="chaos-"))
    found = chaos(place / "experiment", asked.rounds, asked.seed)
    for (stage, kind), number in sorted(found.kills.items()):
        print(f"{stage:32} {kind:6} {number}")
    print(
        f"{found.kills.total()} kills, {found.passes} ends, {found.mended} files of dvc's own "
        f"mended by hand, {len(found.faults)} faults"
    )
    if found.faults:
        sys.exit(f"the experiment is kept in {place}")
    shutil.rmtree(place)


if __name__ == "__main__":
    main()
