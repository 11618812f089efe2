"""Files and folders that appear under their final name whole or not at all."""

import csv
import errno
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # stages that write no table must not wait for pandas
    import pandas as pd

ADVICE = {
    errno.ENOSPC: "the disk is full; make room there",
    errno.EDQUOT: "your quota of the disk is used up; make room there",
    errno.EFBIG: "the system allows no file of this size; see `ulimit -f`",
    errno.EROFS: "the file system is read-only; mount it for writing, or work in another folder",
    errno.EACCES: "you have no right to write there; change the rights of the folder",
    errno.EPERM: "you have no right to write there; change the rights of the folder",
    errno.EIO: "the disk does not answer; check it",
}
"""What a system's refusal of a write is in words, and what to do."""
PROBE_BYTES = 2**20
FOREIGN_HOURS = 24
"""Age from which a temporary file of another machine is taken for left over."""

# SQLite keeps a journal beside a file that it writes.
_TEMPORARY = re.compile(r"\..+\.(?P<host>[^.]*)\.(?P<pid>\d+)\.part(-journal)?")
_ERRNO = re.compile(r"os error (\d+)")


class UnwritableError(OSError):
    """A file that the system does not let us write; the message says what to do."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its name once the block has ended well.

    First removes what killed processes have left there. Raises `UnwritableError` if the disk is
    full or the folder read-only, whatever the block made of that.
    """
    part = temporary(path)
    try:
        with said_plainly(path, part):
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path.parent)
            yield part
            part.replace(path)
    finally:
        with suppress(OSError):  # a second error would hide the first
            part.unlink(missing_ok=True)


def temporary(path: Path) -> Path:
    """Return the temporary name of a file or folder: it says which process writes it."""
    return path.with_name(f".{path.name}.{_host()}.{os.getpid()}.part")


def sweep(folder: Path) -> None:
    """Remove the temporary files and folders in `folder` that no living process writes."""
    for path in folder.glob(".*.part*"):
        named = _TEMPORARY.fullmatch(path.name)
        if named is None or not _left_over(path, named["host"], int(named["pid"])):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


@contextmanager
def said_plainly(path: Path, part: Path) -> Iterator[None]:
    """Raise `UnwritableError`, which names `path`, if the system refuses to write `part`."""
    try:
        yield
    except UnwritableError as error:  # of a file within this one, by its final name
        raise UnwritableError(str(error).replace(str(part), str(path))) from error
    except Exception as error:
        advice = ADVICE.get(_refusal(error, path, part) or 0)
        if advice is None:
            raise
        raise UnwritableError(
            f"{path} cannot be written: {advice}, then run the same command again"
        ) from error


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `path` that takes its name once the block has ended well.

    A folder that is at `path` stays until then, and is replaced. What killed processes have left
    there is removed first. Raises `UnwritableError` as `whole_file` does.
    """
    part, old = temporary(path), temporary(path.with_name(f"{path.name}.old"))
    try:
        with said_plainly(path, part):
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path.parent)
            part.mkdir()
            yield part
            if path.exists():  # no folder can be renamed onto one that is not empty
                path.replace(old)
            part.replace(path)
    finally:
        for folder in (part, old):
            shutil.rmtree(folder, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with line feeds on every system."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON; raise ValueError for NaN and infinity, which JSON does not have."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table without its index; a missing value is an empty cell."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_rows(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write rows as CSV, with a column for each name; a value that a row lacks is an empty cell."""
    columns = dict.fromkeys(key for row in rows for key in row)
    with whole_file(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _refusal(error: Exception, path: Path, part: Path) -> int | None:
    """Return the number of the system's error behind an error, if the system refused to write."""
    if isinstance(error, OSError) and error.errno is not None:
        name = error.filename
        about_it = (
            name is None or str(name).startswith(str(part)) or str(path).startswith(str(name))
        )
        return error.errno if about_it else None
    if told := _ERRNO.search(str(error)):  # by safetensors
        return int(told[1])
    # torch says only that its file has another length than it thought: so write some more.
    try:
        with part.open("ab") as file:
            file.write(bytes(PROBE_BYTES))
    except OSError as refused:
        return refused.errno
    return None


def _left_over(path: Path, host: str, pid: int) -> bool:
    if host == _host():
        return not _alive(pid)
    with suppress(OSError):
        return time.time() - path.stat().st_mtime > FOREIGN_HOURS * 3600
    return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


def _host() -> str:
    return socket.gethostname().replace(".", "-")
