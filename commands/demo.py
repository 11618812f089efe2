"""Edge and cloud together on one machine: send the validation frames and score the answers.

    python -m commands.demo encoder2-entropy-0 --point table/1 --mbit 1

It starts the cloud (commands.serve) on a free port, sends each frame at a stated rate, and compares
the scores with those of `dvc repro` at this point. The link is simulated: its time is worked out
from the bytes, and waited for. With --network torch, 8 frames go together.
"""

import io
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer
from torch import Tensor

from commands.bundle import make
from commands.edge import EdgeError
from pipeline.artifacts import ModelName, model_folder, prepared_folder, read_evaluation
from pipeline.data.batches import Batches
from pipeline.data.frames import open_frames
from pipeline.inference import edge
from pipeline.inference.bundle import Bundle
from pipeline.inference.onnx import Edge
from pipeline.inference.server import MANY
from pipeline.labels import CLASSES
from pipeline.nets.stored import load_model
from pipeline.scoring.metrics import SCORES
from pipeline.scoring.sums import collect, sums_of
from pipeline.source import in_order
from stages.settings import run

STARTING = 120.0
"""Seconds that the cloud may take to start."""


class Sent(NamedTuple):
    """What became of one frame."""

    answer: dict[str, np.ndarray]
    size: int
    """Bytes of its bitstream."""
    edge_ms: float
    link_ms: float
    cloud_ms: float


def main(
    model: Annotated[str, typer.Argument(help="a model of params.yaml: encoder2-entropy-0")],
    point: Annotated[str | None, typer.Option(help="of its curve; the first if not given")] = None,
    rate: Annotated[float, typer.Option(min=0, help="frames a second; 0: no limit")] = 0.0,
    mbit: Annotated[float, typer.Option(min=0, help="of the link, in Mbit/s; 0: no limit")] = 0.0,
    network: Annotated[str, typer.Option(help="of the edge: onnx | torch")] = "onnx",
) -> None:
    """Send the validation frames from an edge to a cloud, and score what comes back."""
    if network not in ("onnx", "torch"):
        raise EdgeError(f"--network is {network!r}; allowed: onnx, torch")
    batches = Batches(
        open_frames(prepared_folder("val")), device=torch.device("cpu"), resident=False
    )
    with tempfile.TemporaryDirectory() as folder:
        name, bundle = make(model, point, Path(folder) / model)
        coded = encoded(network, name, bundle, batches)
        with cloud(bundle) as url:
            sent = [*over_link(url, coded, rate, mbit)]
    scores = scored(bundle.about.tasks, sent, batches)
    expected = read_evaluation(name).points[bundle.about.point]
    print(f"{name} at {bundle.about.point}, edge by {network}: {len(sent)} frames")
    for task, value in scores.items():
        of_pipeline = SCORES[task].compute(expected.sums[task])
        differs = "equal" if value == of_pipeline else f"differs by {value - of_pipeline:+.2g}"
        print(f"  {task}: {value:.6f}; dvc repro: {of_pipeline:.6f}, {differs}")
    size = np.array([x.size for x in sent])
    same = np.count_nonzero(size == expected.bytes_N)
    print(f"  bytes a frame: {size.mean():.1f}; as many as in dvc repro: {same} of {len(sent)}")
    for part in ("edge_ms", "link_ms", "cloud_ms"):
        values = sorted(getattr(x, part) for x in sent)
        print(
            f"  {part.removesuffix('_ms')}: median {statistics.median(values):.1f} ms, "
            f"99 % within {values[int(0.99 * (len(values) - 1))]:.1f} ms"
        )


def encoded(
    network: str, name: ModelName, bundle: Bundle, batches: Batches
) -> Iterator[tuple[list[bytes], float]]:
    """Yield the bitstreams of the frames that go together, and the edge's milliseconds a frame.

    A frame goes alone with ONNX Runtime. With torch both halves see the pipeline's batches, so that
    they round as it does: a sum may depend on how many frames there are.
    """
    _, about, point, fitted = bundle
    if network == "onnx":
        device = Edge(bundle)
        for image_HW3 in batches.frames.image_NHW3:
            start = time.perf_counter()
            yield [device.encode(np.asarray(image_HW3))], 1000 * (time.perf_counter() - start)
        return
    net, _ = load_model(model_folder(name))
    start = time.perf_counter()
    for features_BChw in edge.features(net, batches):
        streams = [
            edge.encode_one(x, point, fitted, about.range_percent) for x in features_BChw.numpy()
        ]
        yield streams, 1000 * (time.perf_counter() - start) / len(streams)
        start = time.perf_counter()


@contextmanager
def cloud(bundle: Bundle) -> Iterator[str]:
    """Run the cloud as a process of its own; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "commands.serve", "--bundle", str(bundle.folder)]
    process = subprocess.Popen([*command, "--port", port], stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + STARTING
        while process.poll() is None and time.monotonic() < end:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).read()
                break
            except OSError:
                time.sleep(0.2)
        else:
            raise EdgeError("the cloud did not start; its own words stand above")
        yield url
    finally:
        process.terminate()
        process.wait()


def over_link(
    url: str, coded: Iterator[tuple[list[bytes], float]], rate: float, mbit: float
) -> Iterator[Sent]:
    """Send the bitstreams that go together in one request; yield what became of each."""
    begun, done = time.perf_counter(), 0
    for streams, edge_ms in coded:
        if rate:
            time.sleep(max(0.0, begun + done / rate - time.perf_counter()))
        link_ms = [len(x) * 8 / (1000 * mbit) if mbit else 0.0 for x in streams]
        time.sleep(sum(link_ms) / 1000)
        start = time.perf_counter()
        body = b"".join(struct.pack("<I", len(x)) + x for x in streams)
        headers = {"Content-Type": MANY, "Accept": "application/x-npz"}
        request = urllib.request.Request(f"{url}/predict", body, headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            received = response.read()
        with np.load(io.BytesIO(received)) as file:
            answers = {key: file[key] for key in file.files}
        cloud_ms = 1000 * (time.perf_counter() - start) / len(streams)
        for i, stream in enumerate(streams):
            answer = {key: value[i] for key, value in answers.items()}
            yield Sent(answer, len(stream), edge_ms, link_ms[i], cloud_ms)
        done += len(streams)


def scored(tasks: Sequence[str], sent: Sequence[Sent], batches: Batches) -> dict[str, float]:
    """Return task -> score of the answers."""
    predictions_of = {
        # The scores take logits: a one at the answer's class.
        "segmentation": lambda x: torch.nn.functional.one_hot(
            torch.from_numpy(_column(x, "labels")).long(), len(CLASSES)
        ).movedim(-1, 1),
        "disparity": lambda x: torch.from_numpy(_column(x, "disparity"))[:, None],
        "reconstruction": lambda x: torch.from_numpy(_column(x, "picture")).movedim(-1, 1),
    }
    order = in_order(len(sent), edge.BATCH)

    def sums() -> Iterator[dict[str, dict[str, Tensor]]]:
        for indices, truth in zip(order, batches.over(order), strict=True):
            some = [sent[i] for i in indices]
            yield sums_of({task: predictions_of[task](some) for task in tasks}, truth)

    return {task: SCORES[task].compute(x) for task, x in collect(sums(), len(sent)).items()}


def _column(sent: Sequence[Sent], key: str) -> np.ndarray:
    return np.stack([x.answer[key] for x in sent])


if __name__ == "__main__":
    run(main)
