"""The edge device as a program: what it keeps, what it sends, and what it does without a cloud."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zlib import crc32

import pytest
from PIL import Image

from pipeline.inference.bundle import Bundle
from pipeline.inference.onnx import Edge
from tests.support.mlflow_server import free_port
from tests.support.tiny_bundle import pictures, served, tiny_bundle

COUNT = 5


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "it")


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shots")
    for index, image_HW3 in enumerate(pictures(COUNT, seed=7)):
        Image.fromarray(image_HW3).save(folder / f"{index}.png")
    return folder


def edge(bundle: Bundle, *words: object, **options: object) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "commands.edge", "--bundle", bundle.folder, *words]
    return subprocess.run(
        [str(x) for x in command], cwd=root, capture_output=True, text=True, check=False, **options
    )


@contextmanager
def cloud(
    answers: list[int], kind: str = "application/zip", told: list[tuple[str, str]] | None = None
) -> Iterator[tuple[str, Counter[int]]]:
    """Serve one status after the other, 200 in the end; yield the address and what came.

    told: is given what the requests say of weights and authorization.
    """
    told = [] if told is None else told
    came: Counter[int] = Counter()
    statuses = iter(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            stream = self.rfile.read(int(self.headers["Content-Length"]))
            came[crc32(stream)] += 1
            status = next(statuses, 200)
            if status == 0:  # the connection breaks
                self.connection.close()
                return
            self.send_response(status)
            told.append((self.headers["X-Weights"], self.headers["Authorization"]))
            self.send_header("Location", "/login")
            self.send_header("Content-Type", kind)
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(b"answer to %d" % crc32(stream))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_bitstreams_are_kept(bundle: Bundle, shots: Path, tmp_path: Path) -> None:
    done = edge(bundle, shots, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    expected = [Edge(bundle).encode(x) for x in pictures(COUNT, seed=7)]
    assert [(tmp_path / f"{i}.cfs").read_bytes() for i in range(COUNT)] == expected


def test_a_picture_from_standard_input(bundle: Bundle, shots: Path, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    with (shots / "0.png").open("rb") as picture:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "commands.edge",
                "--bundle",
                bundle.folder,
                "-",
                "--out",
                tmp_path,
            ],
            cwd=root,
            stdin=picture,
            check=True,
        )
    assert (tmp_path / "stdin.cfs").read_bytes() == Edge(bundle).encode(pictures(1, seed=7)[0])


def test_it_tries_again_and_sends_nothing_twice_that_was_answered(
    bundle: Bundle, shots: Path, tmp_path: Path
) -> None:
    with cloud([503, 0, 200]) as (url, came):
        done = edge(bundle, shots, "--out", tmp_path, "--to", url)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("again in") == 2
        assert sorted(came.values()) == [1, 1, 1, 1, 3]
        again = edge(bundle, shots, "--out", tmp_path, "--to", url)
        assert again.stdout.count("answered before") == COUNT
        assert came.total() == COUNT + 2
    for index in range(COUNT):
        stream = (tmp_path / f"{index}.cfs").read_bytes()
        answer = (tmp_path / f"{index}.zip").read_bytes()
        assert answer == b"answer to %d" % crc32(stream)


def test_a_refused_bitstream_does_not_stop_the_others(
    bundle: Bundle, shots: Path, tmp_path: Path
) -> None:
    with cloud([200, 409]) as (url, came):
        done = edge(bundle, shots, "--out", tmp_path, "--to", url)
    assert done.returncode == 1
    assert "1: " in done.stderr
    assert "409" in done.stderr
    assert "1 of 5 pictures" in done.stderr
    assert came.total() == COUNT
    assert len(list(tmp_path.glob("*.zip"))) == COUNT - 1


def test_a_picture_that_changed_is_sent_again(bundle: Bundle, tmp_path: Path) -> None:
    out, shot = tmp_path / "out", tmp_path / "shot.png"
    with cloud([]) as (url, came):
        for image_HW3 in pictures(2):
            Image.fromarray(image_HW3).save(shot)
            done = edge(bundle, shot, "--out", out, "--to", url)
            assert "answered before" not in done.stdout
            stream = Edge(bundle).encode(image_HW3)
            assert (out / "shot.zip").read_bytes() == b"answer to %d" % crc32(stream)
        Image.fromarray(image_HW3).save(shot)
        assert edge(bundle, shot, "--out", out).returncode == 0
        assert "answered before" in edge(bundle, shot, "--out", out, "--to", url).stdout
        Image.fromarray(pictures(1)[0]).save(shot)
        done = edge(
            bundle, shot, "--out", out, "--to", f"http://127.0.0.1:{free_port()}", "--tries", 1
        )
        assert done.returncode == 1
        assert not (out / "shot.zip").exists(), "the answer of another picture stayed"
    assert came.total() == 2


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [(200, "text/html", "answers something else than a zip file"), (302, "application/zip", "302")],
)
def test_what_a_login_page_says_is_no_answer(
    bundle: Bundle, shots: Path, tmp_path: Path, status: int, kind: str, words: str
) -> None:
    with cloud([status] * 9, kind) as (url, came):
        done = edge(bundle, shots / "0.png", "--out", tmp_path, "--to", url)
    assert done.returncode == 1
    assert words in done.stderr
    assert came.total() == 1
    assert [x.name for x in tmp_path.iterdir()] == ["0.cfs"]


def test_the_cloud_is_told_of_the_weights_and_a_proxy_who_asks(bundle: Bundle, shots: Path) -> None:
    told: list[tuple[str, str]] = []
    with cloud([], told=told) as (url, _):
        edge(bundle, shots / "0.png", "--to", url)
        variables = {**os.environ, "EDGE_AUTHORIZATION": "Bearer me"}
        edge(bundle, shots / "0.png", "--to", url, env=variables)
    assert told == [(bundle.about.weights, None), (bundle.about.weights, "Bearer me")]


def test_without_a_cloud_it_ends_after_its_tries(
    bundle: Bundle, shots: Path, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = edge(bundle, shots, "--out", tmp_path, "--to", url, "--tries", "2")
    assert done.returncode == 1
    assert "did not answer in 2 tries" in done.stderr
    assert "Traceback" not in done.stderr
    assert [x.name for x in tmp_path.iterdir()] == ["0.cfs"]


def test_a_cloud_that_is_killed_and_started_again_answers_all(
    bundle: Bundle, shots: Path, tmp_path: Path
) -> None:
    port, done = free_port(), []
    with served(bundle, port=port) as (url, process):
        words = (shots, "--out", tmp_path, "--to", url, "--tries", "8")
        thread = threading.Thread(target=lambda: done.append(edge(bundle, *words)))
        thread.start()
        while not list(tmp_path.glob("*.zip")):
            time.sleep(0.01)
        process.kill()
        process.wait()
    with served(bundle, port=port):
        thread.join(120)
    assert done[0].returncode == 0, done[0].stderr
    assert len(list(tmp_path.glob("*.zip"))) == COUNT


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["SHOTS"], "nothing would become of the bitstreams"),
        (["SHOTS", "--to", "http://me:secret@cloud"], "must be such as http://host:8080"),
        (["SHOTS", "--to", "cloud:8080"], "must be such as http://host:8080"),
        (["nowhere.png", "--out", "OUT"], "there is no picture nowhere.png"),
        (["SHOTS", "SHOTS/0.png", "--out", "OUT"], "would both be 0"),
        (["OUT", "--out", "OUT"], "holds no picture"),
    ],
)
def test_bad_input(
    bundle: Bundle, shots: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    named = [x.replace("SHOTS", str(shots)).replace("OUT", str(tmp_path)) for x in words]
    done = edge(bundle, *named)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert message in " ".join(done.stderr.split())
