"""A small bundle of an untrained net, and a cloud that serves it."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from pipeline.artifacts import ModelName
from pipeline.coding.fit import fit_points
from pipeline.coding.points import read_point
from pipeline.inference.bundle import Bundle, write_bundle
from pipeline.nets.split import SplitNet
from tests.support.mlflow_server import free_port

SIZE = (32, 64)
TASKS = ("segmentation", "disparity", "reconstruction")


def pictures(count: int, seed: int = 0) -> np.ndarray:
    """Return smooth pictures N x H x W x 3, uint8, each another."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 8, 3))
    return coarse.repeat(8, 1).repeat(8, 2).astype(np.uint8)


def tiny_split() -> SplitNet:
    """Return an untrained net whose encoder does not put out zeros."""
    torch.manual_seed(1)
    return SplitNet("encoder2", TASKS).eval()


def tiny_bundle(folder: Path, point: str = "table/1") -> Bundle:
    """Write a bundle at a point whose tables are fitted on the net's own features."""
    net = tiny_split()
    image_N3HW = torch.from_numpy(pictures(8)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        features_NChw = net.front(image_N3HW).numpy()
    fitted = fit_points([features_NChw], {point: read_point(point, 8)}).get(point)
    return write_bundle(
        folder,
        net,
        name=ModelName("encoder2", "benchmark", 0),
        point=point,
        bits=8,
        range_percent=100.0,
        fitted=fitted,
        size=SIZE,
        weights="0" * 32,
    )


@contextmanager
def served(
    bundle: Bundle, *options: str, port: int | None = None
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run commands.serve as a process; yield its address and the process."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    root = Path(__file__).parents[2]
    words = ["-m", "commands.serve", "--bundle", str(bundle.folder), "--port", str(port), *options]
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=root,
        text=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    try:
        for _ in range(600):
            assert process.poll() is None, "the server ended"
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).read()
                break
            except OSError:
                time.sleep(0.1)
        yield url, process
    finally:
        process.terminate()
        process.wait()
