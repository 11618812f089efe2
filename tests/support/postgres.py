"""A PostgreSQL cluster of its own, in a temporary folder, for tests of the store."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.mlflow_server import free_port

OWNER = "postgres"


class NoPostgres(Exception):
    """PostgreSQL cannot be run on this machine."""


class Cluster:
    """A running cluster: `command` runs one of its tools, `database` makes an empty database."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries, self.folder, self.port = binaries, folder, free_port()

    def command(self, name: str, *words: object) -> None:
        # The server refuses to be run by root.
        who = ["runuser", "-u", OWNER, "--"] if os.getuid() == 0 else []
        line = [*who, str(self.binaries / name), *map(str, words)]
        # Not through a pipe, which the server would hold open.
        with (self.folder / "log").open("a") as log:
            subprocess.run(line, cwd=self.folder, check=True, stdout=log, stderr=log)

    def database(self, name: str) -> str:
        self.command("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "mlflow", name)
        return f"postgresql://mlflow@127.0.0.1:{self.port}/{name}"


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Raises NoPostgres where it is not installed, or where root finds nobody to run it."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=str)
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if initdb is None:
        raise NoPostgres("there is no initdb (Debian: the package postgresql)")
    # Not in pytest's folder, which nobody else may enter.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        if os.getuid() == 0:
            try:
                owner = pwd.getpwnam(OWNER)
            except KeyError:
                raise NoPostgres(f"root may not run it, and there is no user {OWNER}") from None
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        made = Cluster(Path(initdb).parent, folder)
        data = folder / "data"
        made.command("initdb", "-D", data, "-A", "trust", "-U", "mlflow", "--no-sync")
        options = f"-p {made.port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        made.command("pg_ctl", "-D", data, "-w", "-o", options, "start")
        try:
            yield made
        finally:
            made.command("pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
