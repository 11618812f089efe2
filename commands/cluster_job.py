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
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from filelock import FileLock
from submitit.helpers import DelayedSubmission

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
    variables: dict[str, str] = field(default_factory=dict)
    """Environment variables of the stages, such as the GPU that they may use."""

    def __call__(self) -> None:
        """Run the stages of the model that are out of date. Raises ClusterError if one fails."""
        copy = self.head / FOLDER / self.model
        # A job that a killed command left behind may still run. Then this one finds its results.
        with FileLock(copy.with_name(f"{self.model}.lock")):
            self._make(copy)
            self._dvc("repro", f"evaluate@{self.model}", cwd=copy)
            shutil.rmtree(copy)

    def checkpoint(self) -> DelayedSubmission:
        """Stop before Slurm does, and return what to submit again: the same.

        submitit calls it when the job's time is nearly up, or when the job is preempted.
        """
        end_children()
        return DelayedSubmission(self)

    def _make(self, copy: Path) -> None:
        shutil.rmtree(copy, ignore_errors=True)
        git("clone", "--quiet", "--shared", "--no-checkout", str(self.head), str(copy), cwd=None)
        git("checkout", "--quiet", "--detach", self.commit, cwd=copy)
        for name in UNTRACKED:
            if (self.head / name).is_file():
                shutil.copy(self.head / name, copy / name)
        self._dvc("config", "--local", "cache.dir", str(self.cache), cwd=copy)
        self._dvc("config", "--local", "cache.type", LINKS, cwd=copy)
        # The data is ready in the cache. The release, which can be large or outside git, is not
        # looked at again.
        self._dvc("freeze", "prepare", cwd=copy)
        self._dvc("checkout", "prepare", cwd=copy)

    def _dvc(self, *words: str, cwd: Path) -> None:
        dvc(*words, cwd=cwd, variables=self.variables)


def dvc(
    *words: str, cwd: Path, variables: dict[str, str] | None = None, stdout: int | None = None
) -> str:
    """Run DVC in a repository and return its output if `stdout` is subprocess.PIPE.

    In its stages `python` is the one that runs here. Raises ClusterError if it fails.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *words],
        cwd=cwd,
        env={**os.environ, "PATH": path, **(variables or {})},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        text=True,
        # Slurm sends SIGUSR2 to all processes of a job. Only submitit understands it.
        preexec_fn=lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN),
    )
    if done.returncode:
        raise ClusterError(f"`dvc {' '.join(words)}` failed in {cwd}; what it says stands above")
    return done.stdout or ""


def git(*words: str, cwd: Path | None) -> str:
    """Run git and return its output. Raises ClusterError if it fails."""
    done = subprocess.run(["git", *words], cwd=cwd, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise ClusterError(f"`git {' '.join(words)}` failed; what it says stands above")
    return done.stdout.strip()


def snapshot(head: Path) -> str:
    """Return a commit of the files that git knows of, as they are now, committed or not.

    The commit is on no branch. The working tree and the index stay as they are.
    """
    return git("stash", "create", cwd=head) or git("rev-parse", "HEAD", cwd=head)


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
