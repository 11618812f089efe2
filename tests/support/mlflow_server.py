"""`mlflow server` for tests, and for the screenshots of the documentation."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`mlflow server` on a port of its own, that can be stopped and started again.

    `store` is the database, `files` the folder of artifacts; by default both lie in `folder`.
    """

    def __init__(self, folder: Path, store: str = "", files: Path | None = None) -> None:
        self.folder, self.port = folder, free_port()
        self.store = store or f"sqlite:///{folder}/server.db"
        self.files = files or folder / "files"
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        words = ["server", "--port", str(self.port), "--workers", "1"]
        words += ["--backend-store-uri", self.store]
        words += ["--artifacts-destination", str(self.files)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words],
            cwd=self.folder,
            # Nothing here needs MLflow's queues of jobs, eight more processes.
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            while not self._answers():
                assert self.process.poll() is None, f"the server at {self.uri} has ended"
                time.sleep(0.5)
        except BaseException:  # also the timeout of a test
            self.stop()
            raise

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.uri}/health")
        except OSError:
            return False
        return True

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
