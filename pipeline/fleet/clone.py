"""Copies of the repository, in which models are trained side by side.

DVC runs one command at a time in a repository. So each model has a copy of its own, and all copies
share the cache of the repository they were made of: there it finds what they have made.
"""

import filecmp
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from pipeline.fleet.alone import FleetError

LINKS = "reflink,hardlink,symlink,copy"
"""A copy's files are links into the cache where that can be: nobody edits them."""

UNTRACKED = ("dvc.lock", ".dvc/config.local")
"""Files that a copy needs although git may not know of them."""


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for a process, in which `python` is the one that runs here."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, **variables}


def dvc(*words: str, cwd: Path, output: int | IO[str] | None = None) -> str:
    """Run DVC in a repository and return its output if `output` is subprocess.PIPE.

    Raises FleetError if it fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *words],
        cwd=cwd,
        env=environment({}),
        stdout=output,
        text=True,
    )
    if done.returncode:
        raise FleetError(f"`dvc {' '.join(words)}` failed in {cwd}; what it says stands above")
    return done.stdout or ""


def tracked(repository: Path) -> set[str]:
    """Return the paths of all files that git knows of; new ones once they are added."""
    words = ["git", "ls-files", "-z"]
    done = subprocess.run(words, cwd=repository, stdout=subprocess.PIPE, text=True, check=True)
    names = set(done.stdout.split("\0")) - {""}
    return {name for name in names if (repository / name).is_file()}


def freeze(head: Path, folder: Path) -> None:
    """Make `folder` a repository with the files of `head` as they are now, committed or not.

    It holds what git knows of, and shares the cache.
    """
    shutil.rmtree(folder, ignore_errors=True)
    clone = ["git", "clone", "--quiet", "--shared", "--no-checkout", str(head), str(folder)]
    subprocess.run(clone, check=True)
    subprocess.run(["git", "reset", "--quiet"], cwd=folder, check=True)
    untracked = {name for name in UNTRACKED if (head / name).is_file()}
    for name in tracked(head) | untracked:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(head / name, folder / name, follow_symlinks=False)
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    cache = head / dvc("cache", "dir", cwd=head, output=subprocess.PIPE).strip()
    dvc("config", "--local", "cache.dir", str(cache), cwd=folder)
    dvc("config", "--local", "cache.type", LINKS, cwd=folder)


def copy(frozen: Path, folder: Path) -> None:
    """Make `folder` a copy of a frozen repository; what was there before is deleted."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(frozen, folder, symlinks=True)


def changed(head: Path, frozen: Path) -> list[str]:
    """Return the files of `head` that are not as they were when it was frozen."""
    names = tracked(head) | {x for x in tracked(frozen) if not (head / x).is_file()}
    return sorted(
        name
        for name in names
        if not (head / name).is_file()
        or not (frozen / name).is_file()
        or not filecmp.cmp(head / name, frozen / name, shallow=False)
    )
