"""The cloud as a web service: bitstreams of one bundle in, predictions of all tasks out.

| request         | body                                                    | answer            |
|-----------------|---------------------------------------------------------|-------------------|
| `POST /predict` | a bitstream, `application/octet-stream`                  | by `Accept`       |
| `POST /predict` | several, `application/x-bitstreams`: see `split_streams` | by `Accept`       |
| `POST /encode`  | a picture; needs the edge half, for trying it out       | its bitstream     |
| `GET /`         |                                                         | a page to try it  |
| `GET /health`   |                                                         | JSON: which model |
| `GET /metrics`  |                                                         | Prometheus text   |

Accept: `application/zip` (default), `application/x-npz` or `application/json`; see
`pipeline.inference.answers`. Errors are JSON with a `detail`: 400 a broken or foreign bitstream or
picture, 408 a body that comes too slowly, 409 a bitstream of other tables, 413 a body that is too
large, 406 and 415 media types, 503 with Retry-After when too many requests wait.
"""

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.requests import ClientDisconnect

from pipeline.coding.bitstream import BitstreamError, TablesError
from pipeline.inference.answers import ANSWERS, Prediction
from pipeline.inference.bundle import WEIGHTS, Bundle
from pipeline.inference.edge import BATCH
from pipeline.inference.onnx import Edge, PictureError

MOST_BYTES = 16 * 2**20
"""Of one body: a picture, or bitstreams."""
MOST_STREAMS = 64
"""In one body."""
LINGER = 0.002
"""Seconds that a request waits for others to share its batch."""
MANY = "application/x-bitstreams"

Predict = Callable[[Sequence[np.ndarray]], Sequence[Prediction]]


def split_streams(body: bytes) -> list[bytes]:
    """Return the bitstreams of a body, each behind its length in bytes, uint32, little endian.

    Raises BitstreamError if the lengths do not add up, or for none or too many bitstreams.
    """
    streams: list[bytes] = []
    at = 0
    while at < len(body):
        if at + 4 > len(body):
            raise BitstreamError("the body ends in the middle of a length")
        (size,) = struct.unpack_from("<I", body, at)
        at += 4
        if size > len(body) - at:
            raise BitstreamError(
                f"bitstream {len(streams)} has {size} bytes by its length, {len(body) - at} follow"
            )
        streams.append(body[at : at + size])
        at += size
        if len(streams) > MOST_STREAMS:
            raise BitstreamError(f"more than {MOST_STREAMS} bitstreams in one body")
    if not streams:
        raise BitstreamError("the body holds no bitstream")
    return streams


class Batcher:
    """Runs the cloud half on features that wait, up to `BATCH` of them at a time, in order."""

    def __init__(self, predict: Predict, sizes: Histogram) -> None:
        self._predict, self._sizes = predict, sizes
        self._waiting: asyncio.Queue[tuple[np.ndarray, asyncio.Future[Prediction]]]
        self._waiting = asyncio.Queue()

    async def predictions(self, features_NChw: Sequence[np.ndarray]) -> list[Prediction]:
        """Return the predictions of some frames, once their turn has come."""
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in features_NChw]
        for pair in zip(features_NChw, futures, strict=True):
            self._waiting.put_nowait(pair)
        return await asyncio.gather(*futures)

    async def run(self) -> None:
        """Serve for ever; to be cancelled."""
        while True:
            batch = [await self._waiting.get()]
            if self._waiting.qsize() < BATCH - 1:
                await asyncio.sleep(LINGER)
            while len(batch) < BATCH and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            # Nobody waits any more for what was cancelled.
            batch = [pair for pair in batch if not pair[1].done()]
            if not batch:
                continue
            self._sizes.observe(len(batch))
            try:
                found = await asyncio.to_thread(self._predict, [features for features, _ in batch])
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), prediction in zip(batch, found, strict=True):
                if not future.done():
                    future.set_result(prediction)


class Metrics:
    """What Prometheus is told."""

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        self.requests = Counter(
            "requests", "Requests by path and status.", ["path", "status"], registry=own
        )
        self.seconds = Histogram("request_seconds", "From head to answer of a POST.", registry=own)
        self.frames = Counter("frames", "Frames predicted.", registry=own)
        sizes = [*range(1, BATCH + 1)]
        self.batches = Histogram("batch_frames", "Frames of a batch.", buckets=sizes, registry=own)
        self.waiting = Gauge("waiting_requests", "Requests being worked on.", registry=own)


def application(
    bundle: Bundle,
    decode: Callable[[bytes], np.ndarray],
    predict: Predict,
    edge: Edge | None,
    *,
    most_waiting: int,
    timeout: float,
) -> FastAPI:
    """Return the web service of a bundle.

    decode: bitstream to features C x h x w; raises BitstreamError. predict: features of at most
    `BATCH` frames to their predictions. edge: the edge half, for `POST /encode` and the page.
    most_waiting: requests that are worked on at once. timeout: seconds in which a body must come.
    """
    metrics = Metrics()
    batcher = Batcher(predict, metrics.batches)
    working = 0
    one_picture = asyncio.Lock()
    about = bundle.about

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(batcher.run())
        yield
        task.cancel()

    app = FastAPI(title="Cloud half", lifespan=lifespan, docs_url=None, redoc_url=None)

    @app.middleware("http")
    async def limit(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Refuse what is too much, and count what came of each request."""
        nonlocal working
        path = request.url.path
        heavy = request.method == "POST"
        if heavy and working >= most_waiting:
            response = error(503, "too many requests wait; try again", {"Retry-After": "1"})
        else:
            working += heavy
            metrics.waiting.set(working)
            started = time.perf_counter()
            try:
                response = await call_next(request)
            except ClientDisconnect:  # nobody is there to be told
                response = error(499, "the client closed the connection", {})
            finally:
                working -= heavy
                metrics.waiting.set(working)
            if heavy:
                metrics.seconds.observe(time.perf_counter() - started)
        known = path if path in ("/", "/predict", "/encode", "/health", "/metrics") else "other"
        metrics.requests.labels(known, response.status_code).inc()
        return response

    async def body_of(request: Request) -> bytes:
        """Read a body within its limits."""
        parts, size = [], 0
        try:
            async with asyncio.timeout(timeout):
                async for part in request.stream():
                    size += len(part)
                    if size > MOST_BYTES:
                        raise HTTPException(413, f"a body has at most {MOST_BYTES:,} bytes")
                    parts.append(part)
        except TimeoutError:
            raise HTTPException(
                408, f"the body did not come within {timeout:g} s", {"Connection": "close"}
            ) from None
        return b"".join(parts)

    @app.post("/predict")
    async def predictions(request: Request) -> Response:
        media_type = _accepted(request.headers.get("accept", "*/*"))
        kind = request.headers.get("content-type", "application/octet-stream")
        kind = kind.split(";")[0].strip().lower()
        if kind not in ("application/octet-stream", MANY):
            raise HTTPException(
                415, f"bitstreams come as application/octet-stream or {MANY}, not as {kind}"
            )
        body = await body_of(request)

        if (weights := request.headers.get(WEIGHTS, about.weights)) != about.weights:
            raise HTTPException(409, f"bitstreams of the weights {weights}, not {about.weights}")

        def decoded() -> list[np.ndarray]:
            return [decode(x) for x in (split_streams(body) if kind == MANY else [body])]

        try:
            features_NChw = await asyncio.to_thread(decoded)
        except TablesError as wrong:
            raise HTTPException(409, str(wrong)) from wrong
        except BitstreamError as wrong:
            raise HTTPException(400, str(wrong)) from wrong
        found = await batcher.predictions(features_NChw)
        if not all(np.isfinite(x).all() for frame in found for x in frame if x is not None):
            raise HTTPException(400, "the features lead to no finite prediction")
        metrics.frames.inc(len(found))
        content = await asyncio.to_thread(ANSWERS[media_type], found)
        return Response(content, media_type=media_type)

    @app.post("/encode")
    async def encode(request: Request) -> Response:
        if edge is None:
            raise HTTPException(404, "this cloud has no edge half; send bitstreams to /predict")
        body = await body_of(request)
        try:
            async with one_picture:  # a few bytes can stand for many pixels
                stream = await asyncio.to_thread(lambda: edge.encode(edge.read(body)))
        except PictureError as wrong:
            raise HTTPException(400, str(wrong)) from wrong
        return Response(stream, media_type="application/octet-stream")

    @app.api_route("/health", methods=["GET", "HEAD"])
    async def health() -> Mapping[str, object]:
        return {
            "status": "ok",
            "model": about.model,
            "point": about.point,
            "weights": about.weights,
        }

    @app.get("/metrics")
    async def measured() -> Response:
        return Response(generate_latest(metrics.registry), media_type="text/plain; version=0.0.4")

    page = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    page = page.replace("{{model}}", about.model).replace("{{point}}", about.point)

    @app.api_route("/", methods=["GET", "HEAD"], response_class=HTMLResponse)
    async def home() -> str:
        return page

    return app


def error(status: int, detail: str, headers: dict[str, str]) -> Response:
    """Return an error in the form of all others."""
    return JSONResponse({"detail": detail}, status, headers)


def _accepted(accept: str) -> str:
    """Return the first media type of an Accept header that there is an answer of; it knows no q."""
    for entry in accept.lower().split(","):
        wanted = entry.split(";")[0].strip()
        if wanted in ("*/*", "application/*"):
            return next(iter(ANSWERS))
        if wanted in ANSWERS:
            return wanted
    raise HTTPException(406, f"answers are {', '.join(ANSWERS)}; Accept names none of them")
