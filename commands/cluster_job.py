"""The job of one model: a copy of the repository, in which DVC brings the model up to date.

DVC runs one command at a time in a repository. So each model has a copy of its own. All copies
share the cache of the repository they were made of, and with it DVC's run cache: there the next
`dvc repro` finds what a copy has made.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock
from submitit.helpers import DelayedSubmission

from pipeline.artifacts import PICTURE_ARM

FOLDER = Path(".dvc/tmp/cluster")
"""Where in the repository the copies and the logs lie."""
LINKS = "reflink,hardlink,symlink,copy"
"""A copy's files are links into the cache where that can be: nobody edits them."""
UNTRACKED = ("dvc.lock", ".dvc/config.local")
"""Files that a copy needs although git may not know of them."""
GRACE_SECONDS = 60
"""So long a training may take to write its checkpoint."""


class ClusterError(RuntimeError):
    """Jobs that cannot be started, or models that have failed; the message says what to do."""


def last_stage(model: str) -> str:
    """Return the stage that ends the work on a model, such as `evaluate@encoder2-proposed-0`."""
    encoder, arm, seed = model.split("-")
    if arm == PICTURE_ARM:
        return f"evaluate_picture@{encoder}-{seed}"
    return f"evaluate@{model}"


@dataclass(frozen=True)
class Job:
    """Brings one model up to date; submitit calls it in a process of its own."""

    model: str
    """`<encoder>-<arm>-<seed>`."""
    head: Path
    """The repository, by its absolute path."""
    commit: str
    """What of it is copied, as `snapshot` returned it."""
    cache: Path
    """Its DVC cache."""
    variables: dict[str, str]
    """Environment variables of the stages, such as the GPU that they may use."""

    def __call__(self) -> None:
        """Run the stages of the model that are out of date. Raises ClusterError if one fails."""
        copy = self.head / FOLDER / self.model
        # A job that a killed command left behind may still run. Then this one finds its results.
        with FileLock(copy.with_name(f"{self.model}.lock")):
            self._make(copy)
            call("dvc", "repro", last_stage(self.model), cwd=copy, variables=self.variables)
            shutil.rmtree(copy)

    def checkpoint(self) -> DelayedSubmission:
        """Stop before Slurm does, and return what to submit again: the same.

        submitit calls it when the job's time is nearly up, or when the job is preempted.
        """
        end_children()
        return DelayedSubmission(self)

    def _make(self, copy: Path) -> None:
        shutil.rmtree(copy, ignore_errors=True)
        clone = ["git", "clone", "--quiet", "--shared", "--no-checkout"]
        call(*clone, str(self.head), str(copy), cwd=self.head)
        call("git", "checkout", "--quiet", "--detach", self.commit, cwd=copy)
        for name in UNTRACKED:
            if (self.head / name).is_file():
                shutil.copy(self.head / name, copy / name)
        call("dvc", "config", "--local", "cache.dir", str(self.cache), cwd=copy)
        call("dvc", "config", "--local", "cache.type", LINKS, cwd=copy)
        # The prepared data is in the cache. The release, which can be large and outside of git, is
        # not looked at again.
        call("dvc", "freeze", "prepare", cwd=copy)
        call("dvc", "checkout", "prepare", cwd=copy)


def call(*words: str, cwd: Path, variables: Mapping[str, str] | None = None) -> None:
    """Run git or DVC, which print as they go. Raises ClusterError if it fails."""
    _run(words, cwd, variables or {}, stdout=None)


def output(*words: str, cwd: Path) -> str:
    """Run git or DVC and return what it prints. Raises ClusterError if it fails."""
    return _run(words, cwd, {}, stdout=subprocess.PIPE).strip()


def _run(words: Sequence[str], cwd: Path, variables: Mapping[str, str], stdout: int | None) -> str:
    # So `dvc`, and `python` in its stages, are those of the environment that runs here.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, "PATH": path, **variables},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        text=True,
        # Slurm sends SIGUSR2 to all processes of a job. Only submitit understands it.
        preexec_fn=lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN),
    )
    if done.returncode:
        raise ClusterError(f"`{' '.join(words)}` failed in {cwd}; what it says stands above")
    return done.stdout or ""


def snapshot(head: Path) -> str:
    """Return a commit of the files that git knows of, as they are now, committed or not.

    The commit is on no branch. The working tree and the index stay as they are.
    """
    changed = output("git", "stash", "create", cwd=head)
    return changed or output("git", "rev-parse", "HEAD", cwd=head)


def end_children() -> None:
    """End all processes that this one has started, and theirs.

    Each has 60 seconds after SIGTERM, in which a training writes its checkpoint.
    """
    found = psutil.Process().children(recursive=True)
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(found, timeout=GRACE_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=GRACE_SECONDS)
