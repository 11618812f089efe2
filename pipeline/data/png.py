"""Checked decoding of PNG files: all of it or an error, and of the kind that is expected."""

import io
import struct
import zlib
from typing import NamedTuple

from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLORS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey and alpha", 6: "RGB and alpha"}


class PngError(ValueError):
    """The bytes are no whole PNG file, or one of another kind than expected."""


class Header(NamedTuple):
    """What a PNG file says of itself."""

    width: int
    height: int
    kind: str
    """Bits per sample and color, such as "8-bit RGB" or "16-bit grey"."""


def check(data: bytes) -> Header:
    """Check that every chunk is there and has its checksum: Pillow alone accepts some damage."""
    if not data.startswith(SIGNATURE) or data[12:16] != b"IHDR":
        raise PngError("not a PNG file")
    view, at, tag = memoryview(data), len(SIGNATURE), b""
    while tag != b"IEND":
        if at + 12 > len(data):
            raise PngError(f"truncated PNG file, {len(data)} bytes")
        length, tag = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            raise PngError(f"truncated PNG file, {len(data)} bytes")
        if zlib.crc32(view[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise PngError(f"corrupt PNG file, wrong checksum of the chunk at byte {at}")
        at = end + 4
    width, height, bits, color = struct.unpack_from(">IIBB", data, 16)
    return Header(width, height, f"{bits}-bit {COLORS.get(color, f'color type {color}')}")


def decode(data: bytes, *, kind: str, size: tuple[int, int] | None) -> Image.Image:
    """Decode a PNG file of one kind (see `Header`) and (width, height); None for any size."""
    header = check(data)
    if header.kind != kind:
        raise PngError(f"this is a PNG of {header.kind}, expected one of {kind}")
    if size is not None and size != header[:2]:
        raise PngError(
            f"{header.width}x{header.height} pixels, expected {size[0]}x{size[1]} as in the first"
            " image of the split"
        )
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG",))
        image.load()
    except (OSError, SyntaxError, ValueError, zlib.error) as error:
        raise PngError(f"corrupt PNG file, {error}") from error
    return image
