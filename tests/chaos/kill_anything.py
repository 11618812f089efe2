"""Kill the tiny experiment at random moments, start it again, and compare the outputs.

    python -m tests.chaos.kill_anything [--rounds 5] [--kills 4] [--seed 0]

A round begins with an empty workspace. `dvc repro` is started and killed by SIGKILL so many times:
the stage, dvc alone, or both. Then it runs to its end. Its outputs, dvc.lock and the files of the
report that git keeps must have the bytes of the undisturbed run. No temporary file and no process
may be left, and no MLflow run may be RUNNING.
"""

import argparse
import contextlib
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from tests.support.tiny_experiment import command, environment, runs, start, tiny_experiment

KINDS = ("stage", "both", "dvc")


def repro(folder: Path, said: Path) -> subprocess.Popen[bytes]:
    """Start `dvc repro`, which writes what it says into the file `said`."""
    env = {**environment(), "PYTHONUNBUFFERED": "1"}
    with said.open("w") as out:
        return subprocess.Popen(
            ["dvc", "repro"], cwd=folder, env=env, stdout=out, stderr=subprocess.STDOUT
        )


def kill(process: subprocess.Popen[bytes], kind: str) -> bool:
    """Kill what `kind` names. Return False if it had ended before."""
    victims: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        dvc = psutil.Process(process.pid)
        victims = dvc.children(recursive=True) if kind != "dvc" else []
        # Between two stages there is nothing but dvc.
        if kind != "stage" or not victims:
            victims.append(dvc)
    # All at once, as a power cut: first they stop.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.send_signal(number)
    return process.wait() != 0


def mended(folder: Path, said: str) -> bool:
    """Do what docs/troubleshooting.md says if dvc has cut a file that it writes in place."""
    if not re.search(r"dvc\.lock' validation failed|dvc\.lock.*corrupted|RWLock", said):
        return False
    command(folder, "git", "checkout", "dvc.lock")
    (folder / ".dvc/tmp/rwlock").unlink(missing_ok=True)
    return True


def faults(folder: Path) -> list[str]:
    """Return what tells a finished experiment from the undisturbed one, which is committed."""
    changed = command(folder, "git", "status", "--porcelain").stdout.splitlines()
    found = [f"differs from the undisturbed run: {line}" for line in changed]
    if stale := json.loads(command(folder, "dvc", "status", "--json").stdout):
        found.append(f"outputs are not those of dvc.lock: {stale}")
    parts = (path for path in folder.rglob(".*.part") if ".dvc" not in path.parts)
    found += [f"left under a temporary name: {path.relative_to(folder)}" for path in parts]
    found += [f"left: {path}" for path in (folder / ".checkpoints").glob("*.pt")]
    of_store = runs(folder)
    running = of_store[of_store["status"] == "RUNNING"]
    found += [f"the MLflow run {name} is RUNNING" for name in running["name"]]
    for process in psutil.process_iter(["cwd", "cmdline", "status"]):
        ended = process.info["status"] == psutil.STATUS_ZOMBIE
        if process.info["cwd"] == str(folder) and not ended:
            found.append(f"still running: {' '.join(process.info['cmdline'])}")
    return found


def one_round(folder: Path, kills: int, seconds: float, chance: random.Random) -> Counter[str]:
    """Kill so often within `seconds` of each start, run to the end; return what happened."""
    happened: Counter[str] = Counter()
    said = folder.parent / "said.txt"
    # What is committed stays; the cache, the store and all outputs go.
    command(folder, "git", "clean", "-qxffd")
    for _ in range(kills):
        process, kind = repro(folder, said), chance.choice(KINDS)
        time.sleep(chance.uniform(0, seconds))
        hit = kill(process, kind)
        stage = (re.findall("Running stage '(.*)'", said.read_text()) or ["no stage yet"])[-1]
        happened[f"killed {kind}"] += hit
        happened["dvc's own file mended"] += mended(folder, said.read_text())
        print(f"killed {kind} in {stage}" if hit else "had ended", flush=True)
    done = start(folder, "dvc", "repro")
    if done.returncode and mended(folder, done.stdout + done.stderr):
        happened["dvc's own file mended"] += 1
        done = start(folder, "dvc", "repro")
    ended = f"dvc repro ended with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}"
    wrong = [ended] if done.returncode else faults(folder)
    for text in wrong:
        print(f"FAULT {text}", flush=True)
    happened["faults"] += len(wrong)
    return happened


def chaos(folder: Path, rounds: int, kills: int, seed: int) -> Counter[str]:
    """Kill in a tiny experiment that is made in `folder`; return what happened, counted."""
    tiny_experiment(folder)
    began, chance = time.monotonic(), random.Random(seed)
    happened = one_round(folder, 0, 0.0, chance)
    seconds = time.monotonic() - began
    print(f"undisturbed: {seconds:.0f} s", flush=True)
    for _ in range(rounds):
        # Each start does a part of the work: so the kills fall in all of it.
        happened += one_round(folder, kills, 2 * seconds / kills, chance)
    return happened


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="chaos-"))
    total = chaos(place / "experiment", asked.rounds, asked.kills, asked.seed)
    print(f"{asked.rounds} rounds:", ", ".join(f"{count} {what}" for what, count in total.items()))
    if total["faults"]:
        sys.exit(f"the experiment is kept in {place}")
    shutil.rmtree(place)
