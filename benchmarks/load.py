"""The cloud under load and under attack, over real connections on this machine.

    python -m benchmarks.load encoder2-entropy-0 [--seconds 60] [--clients 50] [--mutated 20000]

Needs `dvc repro` before it. It starts the cloud itself, and again after it has killed it. Every
answer is compared with the prediction made here, alone, from the same bitstream. Clients run on the
same cores as the cloud, so that its own rate is higher.
"""

import argparse
import io
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from PIL import Image

from commands.bundle import make
from commands.serve import decode
from pipeline.artifacts import prepared_folder
from pipeline.data.frames import open_frames
from pipeline.inference.answers import Prediction, predict
from pipeline.inference.bundle import Bundle, load_cloud
from pipeline.inference.onnx import Edge

PATIENCE = 5
"""Seconds that the cloud gives a client here."""


class Cloud:
    """The service as a process."""

    def __init__(self, bundle: Bundle, port: int) -> None:
        words = ["-m", "commands.serve", "--bundle", str(bundle.folder), "--port", str(port)]
        self.process = subprocess.Popen(
            [sys.executable, *words, "--timeout", str(PATIENCE)], stdout=subprocess.DEVNULL
        )
        self.address, self.url = ("127.0.0.1", port), f"http://127.0.0.1:{port}"
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=5).read()
                break
            except OSError:
                time.sleep(0.1)

    def mebibytes(self) -> float:
        """Return the memory that the process has now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024

    def connections(self) -> int:
        """Return how many sockets are open, its listening one among them."""
        folder = Path(f"/proc/{self.process.pid}/fd")
        return sum(str(x.readlink()).startswith("socket") for x in folder.iterdir())

    def post(self, stream: bytes) -> bytes:
        """Return the answer as arrays."""
        headers = {"Content-Type": "application/octet-stream", "Accept": "application/x-npz"}
        request = urllib.request.Request(f"{self.url}/predict", stream, headers)
        with urllib.request.urlopen(request, timeout=120) as response:
            return bytes(response.read())

    def answered(self) -> int:
        """Return how many requests to /predict this process has answered with 200."""
        metrics = urllib.request.urlopen(f"{self.url}/metrics").read().decode()
        found = re.findall(r'requests_total\{path="/predict",status="200"\} (\d+)', metrics)
        return int(found[0]) if found else 0


def main() -> None:
    """Run all parts, one after the other, and print what was counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="encoder2-entropy-0")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--mutated", type=int, default=20_000)
    parser.add_argument("--rude", type=int, default=50, help="clients of each bad kind")
    given = parser.parse_args()
    image_NHW3 = np.array(open_frames(prepared_folder("val")).image_NHW3)
    with tempfile.TemporaryDirectory() as folder:
        _, bundle = make(given.model, None, Path(folder) / "bundle")
        edge, net = Edge(bundle), load_cloud(bundle)
        streams = [edge.encode(image_HW3) for image_HW3 in image_NHW3]
        alone = [predict(net, torch.device("cpu"), [decode(bundle, x)])[0] for x in streams]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        cloud = Cloud(bundle, port)
        try:
            under_load(cloud, streams, alone, given.clients, given.seconds)
            under_attack(cloud, streams, alone, given.mutated)
            rude_clients(cloud, streams, alone, given.rude)
            killed(cloud, bundle, image_NHW3, Path(folder))
        finally:
            os.kill(cloud.process.pid, signal.SIGKILL)
            cloud.process.wait()


def same(answer: bytes, expected: Prediction) -> bool:
    """Return whether an answer is the prediction of its own frame, up to rounding."""
    with np.load(io.BytesIO(answer)) as file:
        found = [file[name][0] for name in ("labels", "disparity", "picture") if name in file]
    wanted = [x for x in expected if x is not None]
    close = [
        np.isclose(a, b, atol=1e-3, rtol=1e-3).mean() for a, b in zip(found, wanted, strict=True)
    ]
    return min(close) > 0.999  # labels of equal logits may swap


def under_load(
    cloud: Cloud,
    streams: Sequence[bytes],
    alone: Sequence[Prediction],
    clients: int,
    seconds: float,
) -> None:
    """Let many clients ask at once, each for another frame each time."""
    cloud.post(streams[0])
    before, end = cloud.mebibytes(), time.monotonic() + seconds
    taken: list[float] = []
    wrong = Counter[str]()

    def ask(client: int) -> None:
        turn = client
        while time.monotonic() < end:
            start = time.perf_counter()
            try:
                answer = cloud.post(streams[turn % len(streams)])
            except OSError as error:
                wrong[str(error)] += 1
            else:
                taken.append(1000 * (time.perf_counter() - start))
                wrong["of another frame"] += not same(answer, alone[turn % len(streams)])
            turn += clients + 1

    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(ask, range(clients)))
    taken.sort()
    print(
        f"load: {clients} clients, {seconds:g} s: {len(taken) / seconds:.0f} requests/s, p50 "
        f"{taken[len(taken) // 2]:.0f} ms, p99 {taken[int(0.99 * len(taken))]:.0f} ms; "
        f"{len(taken)} answered, {wrong['of another frame']} of another frame, "
        f"{wrong.total() - wrong['of another frame']} lost; memory {before:.0f} MiB, then "
        f"{cloud.mebibytes():.0f} MiB",
        flush=True,
    )


def mutants(streams: Sequence[bytes], count: int) -> Iterator[tuple[bytes, bool]]:
    """Yield damaged bitstreams; of every fourth the checksum is right again."""
    generator = np.random.default_rng(0)
    made = 0
    while made < count:
        stream = bytearray(streams[generator.integers(len(streams))])
        kind = generator.integers(4)
        at = int(generator.integers(len(stream)))
        if kind == 0:
            stream[at] ^= int(generator.integers(1, 256))
        elif kind == 1:
            del stream[at:]
        elif kind == 2:
            stream[at:at] = generator.integers(
                0, 256, generator.integers(1, 5000), np.uint8
            ).tobytes()
        else:
            stream[at : at + 8] = generator.integers(0, 256, 8, np.uint8).tobytes()
        whole = made % 4 == 0 and len(stream) > 12
        if whole:
            stream[4:8] = crc32(stream[8:], crc32(stream[:4])).to_bytes(4, "little")
        if bytes(stream) not in streams:
            made += 1
            yield bytes(stream), whole


def under_attack(
    cloud: Cloud, streams: Sequence[bytes], alone: Sequence[Prediction], count: int
) -> None:
    """Send damaged bitstreams, then a good one."""
    before = most = cloud.mebibytes()
    ends: dict[bool, Counter[int]] = {False: Counter(), True: Counter()}

    def ask(pair: tuple[bytes, bool]) -> None:
        nonlocal most
        stream, whole = pair
        try:
            cloud.post(stream)
            ends[whole][200] += 1
        except urllib.error.HTTPError as error:
            ends[whole][error.code] += 1
            error.read()
        most = max(most, cloud.mebibytes())

    start = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, mutants(streams, count)))
    good = same(cloud.post(streams[1]), alone[1])
    print(
        f"attack: {count} damaged bitstreams in {time.monotonic() - start:.0f} s: "
        f"{dict(sorted(ends[False].items()))}; with a right checksum "
        f"{dict(sorted(ends[True].items()))}; memory {before:.0f} MiB, at most {most:.0f} MiB; "
        f"the next good one is answered: {good}",
        flush=True,
    )


def rude_clients(
    cloud: Cloud, streams: Sequence[bytes], alone: Sequence[Prediction], count: int
) -> None:
    """Let clients stop in the middle, send slowly, and never read; ask as a good one meanwhile."""
    head = "POST /predict HTTP/1.1\r\nHost: it\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n"
    one = head.format("application/octet-stream", len(streams[0])).encode()
    many = b"".join(len(x).to_bytes(4, "little") + x for x in list(streams[:60]))
    large = head.format("application/x-bitstreams", len(many)).encode() + many
    ending = threading.Event()

    def slowly(connection: socket.socket) -> None:
        for byte in one + streams[0]:
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                return
            if ending.wait(0.5):
                return

    with opened(cloud, 3 * count) as connections:
        threads = []
        for i, connection in enumerate(connections):
            if i % 3 == 0:
                connection.sendall(one + streams[0][:100])
            elif i % 3 == 1:
                threads.append(threading.Thread(target=slowly, args=(connection,)))
                threads[-1].start()
            else:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.sendall(large)
        start, tried, good, waits = time.monotonic(), 0, 0, []
        while time.monotonic() < start + 3 * PATIENCE:
            tried += 1
            began = time.monotonic()
            try:
                good += same(cloud.post(streams[2]), alone[2])
                waits.append(time.monotonic() - began)
            except urllib.error.HTTPError as error:
                error.read()
                time.sleep(1)
        after = cloud.connections()
        ending.set()
        for thread in threads:
            thread.join()
    print(
        f"rude clients: {count} that stop in the middle, {count} that send 2 bytes a second, "
        f"{count} that do not read: a good client was answered rightly {good} times of {tried} "
        f"(else 503), after {1000 * max(waits, default=np.nan):.0f} ms at most; {after} sockets "
        f"open after {3 * PATIENCE} s; memory {cloud.mebibytes():.0f} MiB",
        flush=True,
    )


@contextmanager
def opened(cloud: Cloud, count: int) -> Iterator[list[socket.socket]]:
    """Open connections, and close them at the end."""
    connections = [socket.create_connection(cloud.address, timeout=60) for _ in range(count)]
    yield connections
    for connection in connections:
        connection.close()


def killed(cloud: Cloud, bundle: Bundle, image_NHW3: np.ndarray, folder: Path) -> None:
    """Kill the cloud while the edge sends, start it again, and run the edge's command once more."""
    shots, out = folder / "shots", folder / "out"
    shots.mkdir()
    for i, image_HW3 in enumerate(image_NHW3):
        Image.fromarray(image_HW3).save(shots / f"{i:03}.png")
    words = ["--bundle", bundle.folder, shots, "--to", cloud.url, "--out", out, "--tries", 8]
    command = [sys.executable, "-m", "commands.edge", *map(str, words)]
    edge = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while len(list(out.glob("*.zip"))) < 10:
        time.sleep(0.01)
    os.kill(cloud.process.pid, signal.SIGKILL)
    cloud.process.wait()
    kept = len(list(out.glob("*.zip")))
    time.sleep(2)
    again = Cloud(bundle, cloud.address[1])
    cloud.process = again.process
    _, said = edge.communicate()
    answers = sorted(x.stem for x in out.glob("*.zip"))
    sent = again.answered()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    print(
        f"killed after {kept} answers, started again: the edge's status {edge.returncode}, "
        f"{len(answers)} of {len(image_NHW3)} answers kept, {sent} answered by the new process, "
        f"{said.count('try ')} new tries told; the same command once more sent "
        f"{again.answered() - sent}",
        flush=True,
    )


if __name__ == "__main__":
    main()
