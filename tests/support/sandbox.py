"""A command with no network, no home, a user id without a name, and few folders to write to.

This file is also the script that closes the file system, inside namespaces that `unshare` made.
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

SYSCALL_MOUNT_SETATTR = 442  # Linux 5.12; the same number on every architecture
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = -100, 0x8000, 1
ID = "54321"
"""A user and a group that /etc/passwd and /etc/group do not know."""


def sandboxed(*words: str, folders: list[Path], **variables: str) -> subprocess.CompletedProcess:
    """Run a command that can write to `folders` alone: the first is its own, the last for scratch.

    The environment has PATH, TMPDIR and `variables`, nothing else: so no HOME and no USER.
    """
    return subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "--mount", "--net"),
            *(sys.executable, str(Path(__file__).resolve()), *map(str, folders), "--"),
            *("unshare", "--user", f"--map-user={ID}", f"--map-group={ID}", *words),
        ],
        cwd=folders[0],
        env={
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "TMPDIR": str(folders[-1]),
            "OMP_NUM_THREADS": "1",
            **variables,
        },
        capture_output=True,
        text=True,
    )


def why_none(folder: Path) -> str:
    """Return why this machine can make no sandbox, in the words of the tool, or nothing."""
    try:
        done = sandboxed("true", folders=[folder])
    except FileNotFoundError:
        return "no unshare of util-linux here"
    return "" if done.returncode == 0 else f"no sandbox here: {done.stderr.strip()[-200:]}"


def close(folders: list[str]) -> None:
    """Make every file system read-only for this process, except below `folders`."""
    for folder in folders:
        subprocess.run(["mount", "--bind", folder, folder], check=True)
    _set_attributes("/", AT_RECURSIVE, on=MOUNT_ATTR_RDONLY)
    for folder in [*folders, "/proc"]:  # the second unshare writes its ids into /proc
        _set_attributes(folder, 0, off=MOUNT_ATTR_RDONLY)


def _set_attributes(path: str, flags: int, *, on: int = 0, off: int = 0) -> None:
    attributes = (ctypes.c_uint64 * 4)(on, off, 0, 0)  # struct mount_attr
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.syscall(
        SYSCALL_MOUNT_SETATTR,
        AT_FDCWD,
        os.fsencode(path),
        flags,
        attributes,
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)


if __name__ == "__main__":
    given, command = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    close(given)
    os.chdir(given[0])  # into the mount that can be written to
    os.execvp(command[0], command)
