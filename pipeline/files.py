"""Files and folders that appear under their final name whole or not at all."""

import csv
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # stages that write no table must not wait for pandas
    import pandas as pd

PROBE_BYTES = 2**20


class UnwritableError(OSError):
    """A file that the system does not let us write; the message says what to do."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its name once the block has ended well.

    First removes what killed processes have left there. Raises `UnwritableError` if the system
    refuses to write, as on a full disk, whatever the block made of that.
    """
    part = temporary(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    try:
        yield part
        part.replace(path)
    except Exception as error:
        if refusal := _refusal(part):
            raise UnwritableError(
                f"{path} cannot be written: {refusal}. Remove the cause, for example make room on "
                "the disk, then run the same command again"
            ) from error
        raise
    finally:
        with suppress(OSError):  # a second error would hide the first
            part.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `path` that takes its name once the block has ended well.

    A folder that is at `path` stays until then, and is replaced. What killed processes have left
    there is removed first.
    """
    part, old = temporary(path), temporary(path.with_name(f"{path.name}.old"))
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    try:
        part.mkdir()
        yield part
        if path.exists():  # no folder can be renamed onto one that is not empty
            path.replace(old)
        part.replace(path)
    finally:
        for folder in (part, old):
            shutil.rmtree(folder, ignore_errors=True)


def temporary(path: Path) -> Path:
    """Return the temporary name of a file or folder: it says which process writes it."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.part")


def sweep(folder: Path) -> None:
    """Remove what processes of this machine that live no more were writing in `folder`."""
    for path in folder.glob(f".*.{socket.gethostname()}.*.part*"):  # SQLite adds -journal
        pid = path.name.rpartition(".part")[0].rpartition(".")[2]
        if _alive(int(pid)):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


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


def _refusal(part: Path) -> str:
    """Return why the system lets nothing more be written; empty if it does.

    The error of a library does not say: torch tells only that its file has another length than it
    thought. So write some more.
    """
    try:
        with part.open("ab") as file:
            file.write(bytes(PROBE_BYTES))
    except OSError as refused:
        return refused.strerror or type(refused).__name__
    return ""
