"""The work of one job: the stages of one model, in a copy of the repository."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from submitit.helpers import DelayedSubmission

from pipeline.fleet.clone import copy, environment

MARK = "FLEET_JOB"
"""Variable of every process of a job; MLflow runs have it as a tag."""
GRACE_SECONDS = 60
"""So long a training may take to write its checkpoint."""


def frozen(folder: Path) -> Path:
    """Return where in the fleet's folder the repository lies that jobs copy."""
    return folder / "frozen"


def log_file(folder: Path, model: str) -> Path:
    """Return where a model's job writes what its stages say."""
    return folder / "logs" / f"{model}.log"


def lock_file(folder: Path, model: str) -> Path:
    """Return where a job that has done its work leaves its dvc.lock."""
    return folder / "locks" / f"{model}.lock"


@dataclass(frozen=True)
class Work:
    """Runs the stages of one model; submitit calls it in a process of its own."""

    model: str
    stages: tuple[str, ...]
    """As DVC names them, in their order."""
    folder: Path
    """The fleet's, under which the copy is made."""
    mark: str
    variables: Mapping[str, str]
    """For its processes, such as the GPU that they may use."""

    def __call__(self) -> int:
        """Return the exit code of DVC: 0 once everything the model needs is in the cache."""
        clone = self.folder / self.model
        copy(frozen(self.folder), clone)
        with log_file(self.folder, self.model).open("a") as log:
            for words in (["checkout", "prepare"], ["repro", "--single-item", *self.stages]):
                done = subprocess.run(
                    [sys.executable, "-m", "dvc", *words],
                    cwd=clone,
                    env=environment({**self.variables, MARK: self.mark}),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # Slurm sends SIGUSR2 to all processes of a job. Only this one understands it.
                    preexec_fn=lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN),
                    start_new_session=True,
                )
                if done.returncode:
                    return done.returncode
        shutil.copy(clone / "dvc.lock", lock_file(self.folder, self.model))
        shutil.rmtree(clone, ignore_errors=True)
        return 0

    def checkpoint(self) -> DelayedSubmission:
        """Stop before Slurm does, and return what to submit again: the same.

        submitit calls it when the job's time is nearly up or the job is preempted.
        """
        end_marked(self.mark)
        return DelayedSubmission(self)


def end_marked(mark: str) -> None:
    """End all processes on this machine whose mark begins so; trainings write a checkpoint first.

    The processes of a job outlive it when it is killed: they would write the same files as those of
    the next attempt.
    """
    found = [
        process
        for process in psutil.process_iter(["environ"])
        if (process.info["environ"] or {}).get(MARK, "").startswith(mark)
        and process.pid != os.getpid()
    ]
    for process in found:
        _send(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(found, timeout=GRACE_SECONDS)
    for process in alive:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=GRACE_SECONDS)


def _send(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
