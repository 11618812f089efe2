"""The cloud as a web service, over real connections."""

import base64
import io
import json
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.coding.bitstream import BitstreamError, decode_features, encode_features
from pipeline.inference.bundle import Bundle
from pipeline.inference.edge import BATCH
from pipeline.inference.onnx import Edge
from pipeline.inference.server import split_streams
from pipeline.labels import PALETTE, TRAIN_ID_OF_ID
from tests.support.browser import PATIENCE_MS, chromium_or_skip
from tests.support.tiny_bundle import SIZE, TASKS, pictures, served, tiny_bundle, tiny_split

TIMEOUT = 1.5
WAITING = 4
COUNT = 6


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "it")


@pytest.fixture(scope="module")
def url(bundle: Bundle) -> Iterator[str]:
    with served(bundle, "--timeout", str(TIMEOUT), "--waiting", str(WAITING)) as (url, _):
        yield url


@pytest.fixture(scope="module")
def streams(bundle: Bundle) -> list[bytes]:
    return [Edge(bundle).encode(x) for x in pictures(COUNT, seed=5)]


@pytest.fixture(scope="module")
def expected(bundle: Bundle, streams: list[bytes]) -> dict[str, np.ndarray]:
    """What the whole net makes of the bitstreams, without any server."""
    features_NChw = np.stack([decode_features(x, bundle.fitted) for x in streams])
    with torch.no_grad():
        found = tiny_split().back(torch.from_numpy(features_NChw))
    return {
        "labels": found["segmentation"].argmax(1).numpy(),
        "disparity": found["disparity"][:, 0].numpy(),
        "picture": found["reconstruction"].movedim(1, -1).numpy(),
    }


def post(
    url: str,
    body: bytes,
    accept: str = "application/x-npz",
    kind: str = "application/octet-stream",
    weights: str | None = None,
) -> bytes:
    headers = {"Content-Type": kind, "Accept": accept}
    if weights is not None:
        headers["X-Weights"] = weights
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
        return answer.read()


def refusal(url: str, body: bytes, **options: str) -> tuple[int, str, dict[str, str]]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(url, body, **options)
    error = caught.value
    return error.code, json.loads(error.read())["detail"], dict(error.headers)


def arrays(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content)) as file:
        return {key: file[key] for key in file.files}


def assert_frame(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], i: int) -> None:
    assert found.keys() == expected.keys()
    np.testing.assert_array_equal(found["labels"][0], expected["labels"][i])
    for key in ("disparity", "picture"):
        np.testing.assert_allclose(found[key][0], expected[key][i], rtol=1e-5, atol=1e-5)


def test_one_bitstream_gives_the_predictions_of_the_net(
    url: str, streams: list[bytes], expected: dict[str, np.ndarray]
) -> None:
    assert_frame(arrays(post(f"{url}/predict", streams[2])), expected, 2)


def test_several_bitstreams_in_one_body(
    url: str, streams: list[bytes], expected: dict[str, np.ndarray]
) -> None:
    body = b"".join(struct.pack("<I", len(x)) + x for x in streams)
    found = arrays(post(f"{url}/predict", body, kind="application/x-bitstreams"))
    np.testing.assert_array_equal(found["labels"], expected["labels"])
    np.testing.assert_allclose(found["disparity"], expected["disparity"], rtol=1e-5, atol=1e-5)


def test_the_zip_file_holds_the_official_forms(
    url: str, streams: list[bytes], expected: dict[str, np.ndarray]
) -> None:
    content = post(f"{url}/predict", streams[0], accept="*/*")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        images = {name: Image.open(io.BytesIO(archive.read(name))) for name in archive.namelist()}
    labels = images["0/labels.png"]
    np.testing.assert_array_equal(TRAIN_ID_OF_ID[np.asarray(labels)], expected["labels"][0])
    colours_HW3 = np.asarray(labels.convert("RGB"))
    np.testing.assert_array_equal(colours_HW3, PALETTE[expected["labels"][0]])
    encoded_HW = np.asarray(images["0/disparity.png"]).astype(np.float64)
    assert encoded_HW.min() >= 1
    disparity_HW = expected["disparity"][0].clip(0)
    np.testing.assert_allclose((encoded_HW - 1) / 256, disparity_HW, atol=0.5 / 256 + 1e-4)
    picture_HW3 = np.asarray(images["0/picture.png"]) / 255
    np.testing.assert_allclose(picture_HW3, expected["picture"][0].clip(0, 1), atol=0.51 / 255)


def test_the_page_gets_pictures_to_look_at(url: str, streams: list[bytes]) -> None:
    (frame,) = json.loads(post(f"{url}/predict", streams[0], accept="application/json"))["frames"]
    assert list(frame) == ["segmentation", "disparity", "reconstruction"]
    assert all(x.startswith("data:image/png;base64,") for x in frame.values())


DROP = """([text, name]) => {
  const bytes = Uint8Array.from(atob(text), x => x.charCodeAt(0)), drop = new DataTransfer();
  drop.items.add(new File([bytes], name));
  return drop;
}"""


def test_the_page_shows_what_is_dropped_on_it(url: str, streams: list[bytes]) -> None:
    """In a browser: a picture, a bitstream, a broken one; it asks nobody but the cloud."""
    buffer, asked, wrong = io.BytesIO(), set(), []
    Image.fromarray(pictures(1)[0]).save(buffer, "PNG")
    with chromium_or_skip() as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda x: asked.add(urlsplit(x.url)[:2]))
        page.on("pageerror", lambda x: wrong.append(str(x)))
        page.goto(url)
        for content, name, titles in (
            (
                buffer.getvalue(),
                "a.png",
                ["picture", "segmentation", "disparity", "reconstruction"],
            ),
            (streams[0], "a.cfs", [*TASKS]),
        ):
            drop = page.evaluate_handle(DROP, [base64.b64encode(content).decode(), name])
            page.dispatch_event("#drop", "drop", {"dataTransfer": drop})
            loaded = "x => x.length && [...x].every(x => x.complete && x.naturalWidth)"
            page.wait_for_function(
                f"(({loaded})(document.images)) && document.images.length == {len(titles)}"
            )
            shown = page.locator("figcaption").all_inner_texts()
            assert [x.split(",")[0] for x in shown] == titles
            assert "the predictions came after" in page.inner_text("#said")
        broken = base64.b64encode(streams[0][:-1]).decode()
        drop = page.evaluate_handle(DROP, [broken, "b.cfs"])
        page.dispatch_event("#drop", "drop", {"dataTransfer": drop})
        page.wait_for_selector("#said.wrong")
        assert "400: a damaged bitstream" in page.inner_text("#said")
    assert asked <= {("http", urlsplit(url).netloc), ("data", ""), ("blob", "")}
    assert wrong == []


def test_many_clients_get_each_their_own_answer(
    url: str, streams: list[bytes], expected: dict[str, np.ndarray]
) -> None:
    def ask(i: int) -> None:
        while True:
            try:
                answer = post(f"{url}/predict", streams[i % COUNT])
                break
            except urllib.error.HTTPError as error:  # more than WAITING at once
                if (error.code, error.headers["Retry-After"]) != (503, "1"):
                    raise
                time.sleep(0.02)
        assert_frame(arrays(answer), expected, i % COUNT)

    with ThreadPoolExecutor(2 * WAITING) as threads:
        list(threads.map(ask, range(60)))
    metrics = urllib.request.urlopen(f"{url}/metrics").read().decode()
    batches = float(metrics.split("batch_frames_count ")[1].split()[0])
    frames = float(metrics.split("batch_frames_sum ")[1].split()[0])
    assert frames > batches, "no two requests ever shared a batch"
    assert f'batch_frames_bucket{{le="{BATCH:.1f}"}} {batches}' in metrics


def test_a_picture_becomes_the_edge_s_bitstream(url: str, bundle: Bundle) -> None:
    (image_HW3,) = pictures(1)
    buffer = io.BytesIO()
    Image.fromarray(image_HW3).save(buffer, "PNG")
    assert post(f"{url}/encode", buffer.getvalue()) == Edge(bundle).encode(image_HW3)
    code, detail, _ = refusal(f"{url}/encode", b"no picture")
    assert code == 400
    assert "no whole picture" in detail


def test_what_is_wrong_is_said(url: str, streams: list[bytes], tmp_path: Path) -> None:
    other = tiny_bundle(tmp_path / "other", "table/2")
    foreign = Edge(other).encode(pictures(1)[0])
    (stream, *_) = streams
    predict = f"{url}/predict"
    for body, code, words in (
        (b"", 400, "cut short"),
        (b"GET / HTTP", 400, "not a bitstream"),
        (stream[:-3], 400, "damaged bitstream"),
        (stream[:20] + bytes([stream[20] ^ 1]) + stream[21:], 400, "damaged bitstream"),
        (foreign, 409, "tables"),
    ):
        found, detail, _ = refusal(predict, body)
        assert (found, words in detail) == (code, True), detail
    assert refusal(predict, stream, accept="text/html")[0] == 406
    assert refusal(predict, stream, kind="text/plain")[0] == 415
    assert refusal(predict, stream + b"x", kind="application/x-bitstreams")[0] == 400
    assert refusal(predict, bytes(2**24 + 1))[0] == 413


@pytest.mark.parametrize("head", ["whole", "part", "none"])
def test_a_slow_client_is_cut_off_and_others_are_served(
    url: str, streams: list[bytes], head: str
) -> None:
    address = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
    words = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nCFS"
    sent = {"whole": words, "part": words[:30], "none": b""}[head]
    with socket.create_connection(address) as slow:
        slow.sendall(sent)
        assert post(f"{url}/predict", streams[0])
        slow.settimeout(4 * TIMEOUT)
        started = time.monotonic()
        answer = slow.recv(1000)
    assert time.monotonic() - started > 0.3 * TIMEOUT
    assert answer.startswith(b"HTTP/1.1 408") == (head == "whole")


def test_a_client_that_leaves_takes_no_place(url: str, streams: list[bytes]) -> None:
    address = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
    for _ in range(2 * WAITING):
        with socket.create_connection(address) as leaving:
            leaving.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nCFS")
    time.sleep(0.3)
    assert post(f"{url}/predict", streams[0])


def test_another_model_of_the_same_form_is_noticed_and_so_are_features_out_of_range(
    tmp_path: Path,
) -> None:
    """Without tables a bitstream does not say what model it is of."""
    bundle = tiny_bundle(tmp_path / "it", "png@4")
    signs_Chw = np.random.default_rng(0).choice([-1, 1], bundle.about.shape)
    features_Chw = (3e38 * signs_Chw).astype(np.float32)
    with served(bundle) as (url, _):
        stream = Edge(bundle).encode(pictures(1)[0])
        post(f"{url}/predict", stream, weights=bundle.about.weights)
        code, detail, _ = refusal(f"{url}/predict", stream, weights="f" * 32)
        assert (code, f"of the weights {'f' * 32}" in detail) == (409, True)
        code, detail, _ = refusal(f"{url}/predict", encode_features(features_Chw, 4, "png"))
        assert (code, detail) == (400, "the features lead to no finite prediction")


def test_too_many_requests_are_asked_to_come_again(url: str, streams: list[bytes]) -> None:
    address = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
    slow = [socket.create_connection(address) for _ in range(WAITING)]
    for connection in slow:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nC")
    time.sleep(0.3)
    code, _, headers = refusal(f"{url}/predict", streams[0])
    assert (code, headers["retry-after"]) == (503, "1")
    assert json.loads(urllib.request.urlopen(f"{url}/health").read())["status"] == "ok"
    for connection in slow:
        connection.close()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no bitstream"),
        (b"\x01\x00", "middle of a length"),
        (struct.pack("<I", 5) + b"abcd", "has 5 bytes by its length, 4 follow"),
        (struct.pack("<I", 0) * 65, "more than 64"),
    ],
)
def test_bodies_of_several_bitstreams_are_checked(body: bytes, words: str) -> None:
    with pytest.raises(BitstreamError, match=words):
        split_streams(body)


def test_it_says_where_it_listens_and_that_it_has_no_login(bundle: Bundle) -> None:
    with served(bundle) as (url, process):
        assert process.stdout is not None
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout))
        reader.start()
        process.terminate()
        reader.join(20)
    assert url in "".join(lines)
    assert "no login" in "".join(lines)
    assert (bundle.about.height, bundle.about.width) == SIZE
