"""Two processes train what one does, with gloo on the CPU; this file is also what they run."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.training.checkpoint import Stopped
from pipeline.training.loop import Schedule
from pipeline.training.runtime import Runtime, open_runtime
from tests.support.tiny_training import CPU, Frames, Result, train

FRAMES, BATCH = 10, 4
STEPS = FRAMES // BATCH


def run(runtime: Runtime, path: Path | None = None, stop_at: int | None = None) -> Result:
    """Two epochs without batch norm and noise, which each process has of its own on a CPU.

    Both get the signal to stop, as from torchrun; the first one has the checkpoint.
    """

    def stopping(features_BChw: torch.Tensor) -> torch.Tensor:
        nonlocal steps
        if steps == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        steps += 1
        return features_BChw

    steps = 0
    return train(
        Frames(FRAMES),
        val=Frames(1, seed=9),  # so the second process has nothing to validate
        encoder="plain",
        schedule=Schedule(2, BATCH, 1e-3, 0.9, 1),
        surrogate=stopping,
        runtime=runtime,
        path=path if runtime.rank == 0 else None,
    )


def main(folder: Path) -> None:
    with open_runtime("cpu", "float32", "off") as runtime:
        whole = run(runtime)
        try:
            run(runtime, folder / "state.pt", stop_at=STEPS + 1)
        except Stopped:
            resumed = run(runtime, folder / "state.pt")
        for name, result in (("whole", whole), ("resumed", resumed)):
            content = {"net": result.net.state_dict(), "history": result.history}
            torch.save(content | {"asked": result.asked}, folder / f"{name}-{runtime.rank}.pt")


def test_two_processes_train_and_resume_what_one_does(tmp_path: Path, repository: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    variables = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-m", "tests.training.test_parallel", str(tmp_path)]
    processes = [
        subprocess.Popen(command, cwd=repository, env={**os.environ, **variables, "RANK": rank})
        for rank in "01"
    ]
    alone = run(CPU)
    try:
        assert [process.wait(timeout=100) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()

    def found(name: str) -> dict:
        return torch.load(tmp_path / f"{name}.pt", weights_only=True)

    for name in ("whole-0", "whole-1", "resumed-0", "resumed-1"):
        for key, value in alone.net.state_dict().items():
            torch.testing.assert_close(found(name)["net"][key], value, rtol=2e-3, atol=1e-5)
        for row, expected in zip(found(name)["history"], alone.history, strict=True):
            assert row == pytest.approx(expected, rel=2e-3, abs=1e-6)
    halves = [found(f"whole-{rank}")["asked"] for rank in (0, 1)]
    assert [a + b for a, b in zip(*halves, strict=True)] == alone.asked
    assert len(found("resumed-0")["asked"]) == 2 * STEPS - (STEPS + 2)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
