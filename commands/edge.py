"""The edge device as a program: pictures -> bitstreams, kept in a folder, sent to a cloud, or both.

    python -m commands.edge --bundle bundle picture.png ... --to http://cloud:8080 --out answers

It needs no torch: `uv sync --only-group edge`. Each picture gives `<name>.cfs`, and each answer
`<name>.zip`, in the folder of `--out`. A bitstream whose answer lies there is not sent again, so
the same command goes on after it was stopped.
"""

import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Annotated

import typer

from pipeline.files import whole_file
from pipeline.inference.bundle import WEIGHTS, read_bundle
from pipeline.inference.onnx import Edge, PictureError
from stages.command_line import run

ZIP = "application/zip"
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".avif"}
"""Of the pictures that are taken from a folder."""
TRY_AGAIN = {408, 429, *range(500, 600)}
"""Answers after which the same bitstream may be sent once more."""
AUTHORIZATION = "EDGE_AUTHORIZATION"
"""Variable of the environment: the header Authorization for a proxy before the cloud."""
LONGEST_WAIT = 30.0
"""Seconds between two tries, at most."""
SENDING = 60.0
"""Seconds that the cloud may be silent."""


class EdgeError(ValueError):
    """Pictures that cannot be told apart, a cloud that does not answer, or work left undone."""


class Unmoved(urllib.request.HTTPRedirectHandler):
    """Takes a redirect as an answer: urllib would ask the other address without the bitstream."""

    def redirect_request(self, *args: object) -> None:
        """Return no new request."""


class RefusedError(EdgeError):
    """The cloud does not take a bitstream, however often it is sent."""


def main(
    pictures: Annotated[
        list[Path], typer.Argument(help="files, folders of pictures, or - for standard input")
    ],
    bundle: Annotated[Path, typer.Option(help="folder that commands.bundle wrote")],
    to: Annotated[str, typer.Option(help="send to this cloud: http://host:port")] = "",
    out: Annotated[Path | None, typer.Option(help="keep bitstreams and answers here")] = None,
    tries: Annotated[int, typer.Option(min=1, help="of sending one bitstream")] = 5,
) -> None:
    """Code pictures by a bundle's edge half; keep the bitstreams or send them."""
    if not to and out is None:
        raise EdgeError("nothing would become of the bitstreams; give --to, --out or both")
    if to and not re.fullmatch(r"https?://[^/\s@]+(/\S*)?", to):
        raise EdgeError(f"--to is {to!r}; it must be such as http://host:8080")
    named = dict(sources(pictures))
    edge = Edge(read_bundle(bundle))
    done = 0
    for name, path in named.items():
        started = time.perf_counter()
        try:
            image_HW3 = edge.read(path or sys.stdin.buffer.read())
        except PictureError as error:
            typer.secho(f"{name}: {error}", fg="red", err=True)
            continue
        stream = edge.encode(image_HW3)
        coded = time.perf_counter()
        if out:
            answer, kept = out / f"{name}.zip", out / f"{name}.cfs"
            if not (kept.exists() and kept.read_bytes() == stream):
                answer.unlink(missing_ok=True)  # it is of another picture
                keep(kept, stream)
            elif to and answer.exists():
                print(f"{name}: answered before")
                done += 1
                continue
        line = f"{name}: {len(stream):,} bytes, coded in {1000 * (coded - started):.0f} ms"
        if to:
            try:
                received = send(to, stream, tries, edge.bundle.about.weights)
            except RefusedError as error:
                typer.secho(f"{name}: {error}", fg="red", err=True)
                continue
            if out:
                keep(answer, received)
            line += f", answered after {1000 * (time.perf_counter() - coded):.0f} ms"
        print(line)
        done += 1
    if done < len(named):
        raise EdgeError(
            f"{len(named) - done} of {len(named)} pictures are not done; remove the cause and run "
            "the same command again: what was answered into --out is not sent again"
        )


def sources(pictures: list[Path]) -> Iterator[tuple[str, Path | None]]:
    """Yield name and path of each picture; `stdin` and None for standard input.

    Raises EdgeError if a file is missing, or if two have one name.
    """
    seen: dict[str, Path] = {}
    for given in pictures:
        if given.is_dir():
            paths = sorted(x for x in given.iterdir() if x.suffix.lower() in SUFFIXES)
            if not paths:
                raise EdgeError(
                    f"{given} holds no picture; known are {', '.join(sorted(SUFFIXES))}"
                )
        else:
            paths = [given]
        for path in paths:
            name = "stdin" if str(path) == "-" else path.stem
            if name in seen:
                raise EdgeError(f"{seen[name]} and {path} would both be {name}; rename one of them")
            if str(path) != "-" and not path.exists():
                raise EdgeError(f"there is no picture {path}")
            seen[name] = path
            yield name, None if str(path) == "-" else path


def send(url: str, stream: bytes, tries: int, weights: str) -> bytes:
    """Return the cloud's answer to a bitstream, a zip file.

    weights: digest of the model's weights, of which the cloud must have the other half. It waits
    between tries, twice as long each time or as long as the cloud asks for. Raises RefusedError for
    an answer that another try would not change, EdgeError after the last try.
    """
    headers = {"Content-Type": "application/octet-stream", "Accept": ZIP, WEIGHTS: weights}
    if AUTHORIZATION in os.environ:
        headers["Authorization"] = os.environ[AUTHORIZATION]
    request = urllib.request.Request(f"{url.rstrip('/')}/predict", stream, headers)
    for tried in range(1, tries + 1):
        wait = 2.0 ** (tried - 1) / 2
        try:
            with urllib.request.build_opener(Unmoved).open(request, timeout=SENDING) as response:
                if response.headers.get_content_type() != ZIP:
                    raise RefusedError(f"{url} answers something else than a zip file")
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            reason = f"{error.code}: {error.read(500).decode(errors='replace')}"
            if error.code not in TRY_AGAIN:
                raise RefusedError(f"{url} does not take it, {reason}") from error
            asked = error.headers.get("Retry-After", "")
            wait = max(wait, float(asked)) if asked.isdecimal() else wait
        except (OSError, HTTPException) as error:  # no connection, or one that broke
            reason = str(error) or type(error).__name__
        if tried < tries:
            wait = min(wait, LONGEST_WAIT)
            print(f"try {tried} of {tries}: {reason}; again in {wait:.1f} s", file=sys.stderr)
            time.sleep(wait)
    raise EdgeError(
        f"{url} did not answer in {tries} tries; the last: {reason}. Run the same command again: "
        "what was answered into --out is not sent again"
    )


def keep(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with whole_file(path) as part:
        part.write_bytes(content)


if __name__ == "__main__":
    run(main)
