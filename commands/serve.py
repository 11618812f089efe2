"""The cloud as a program: serve the predictions of a bundle over HTTP.

    python -m commands.serve --bundle bundles/encoder2-entropy-0 --port 8080

Then http://127.0.0.1:8080 is a page to try it, and commands.edge sends to it. It has no login and
no encryption of its own: put a proxy before it that has both, before others can reach it.
"""

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline.coding.bitstream import BitstreamError, decode_features, read_header
from pipeline.device import open_device
from pipeline.inference.answers import predict
from pipeline.inference.bundle import EDGE, Bundle, load_cloud, read_bundle
from pipeline.inference.onnx import Edge
from pipeline.inference.server import application
from stages.command_line import run

CONNECTIONS = 512
"""Open at once; most systems allow a process 1,024 files."""


def main(
    bundle: Annotated[Path, typer.Option(help="folder that commands.bundle wrote")],
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0: all")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8080,
    device: Annotated[str, typer.Option(help="auto | cpu | cuda")] = "auto",
    waiting: Annotated[int, typer.Option(min=1, help="requests worked on at once")] = 64,
    timeout: Annotated[float, typer.Option(min=0.1, help="seconds a client may take")] = 30.0,
) -> None:
    """Serve a bundle's cloud half."""
    opened = read_bundle(bundle)
    where = open_device(device)
    net = load_cloud(opened).to(where)
    predicted = partial(predict, net, where)
    predicted([np.zeros(opened.about.shape, np.float32)])  # the first call is slow
    app = application(
        opened,
        partial(decode, opened),
        predicted,
        Edge(opened) if (bundle / EDGE).exists() else None,
        most_waiting=waiting,
        timeout=timeout,
    )
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        http=type("Protocol", (PatientProtocol,), {"patience": timeout}),
        limit_concurrency=CONNECTIONS,
    )
    listening = config.bind_socket()
    name, number, *_ = listening.getsockname()
    address = f"[{name}]:{number}" if ":" in name else f"{name}:{number}"
    print(
        f"serving {opened.about.model} at {opened.about.point} on {where}: http://{address}\n"
        "It has no login of its own: whoever reaches this address may use it.",
        flush=True,
    )
    uvicorn.Server(config).run(sockets=[listening])


def decode(bundle: Bundle, stream: bytes) -> np.ndarray:
    """Return the features of a bitstream. Raises BitstreamError unless it is of the bundle."""
    header = read_header(stream, bundle.fitted)
    expected = (bundle.point.codec, bundle.point.bits, bundle.about.shape)
    if bundle.fitted is None and (header.codec, header.bits, header.shape) != expected:
        raise BitstreamError(
            f"a bitstream of {header.shape} features by {header.codec} at {header.bits} bits; this "
            f"model's are {bundle.about.shape} by {bundle.point.codec} at {bundle.point.bits} bits"
        )
    return decode_features(stream, bundle.fitted)


class PatientProtocol(H11Protocol):
    """uvicorn's protocol, with an end to two things that it lets last for ever.

    A client that sends no whole head of a request, or that does not read its answer, is cut off
    after `patience` seconds.
    """

    patience = 30.0
    _head: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for the first head."""
        super().connection_made(transport)
        self._head = self.loop.call_later(self.patience, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Wait for a head that has begun, unless it is whole now."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._end("_head")
        elif self._head is None and not self.transport.is_closing():
            self._head = self.loop.call_later(self.patience, self.transport.abort)

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._reading = self.loop.call_later(self.patience, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        self._end("_reading")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._end("_head")
        self._end("_reading")

    def _end(self, name: str) -> None:
        timer = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)


if __name__ == "__main__":
    run(main)
