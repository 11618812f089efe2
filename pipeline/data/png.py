"""Decode PNG files with checks: a damaged file, or one of another kind, is an error."""

import io
import struct
import zlib
from typing import NamedTuple

from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey and alpha", 6: "RGB and alpha"}


class PngError(ValueError):
    """The bytes are not a whole PNG file of the expected kind; the message says what is wrong."""


class Header(NamedTuple):
    """What a PNG file says about itself."""

    width: int
    """In pixels."""
    height: int
    kind: str
    """Bits per sample and the colour type, such as "8-bit RGB" or "16-bit grey"."""


def check(data: bytes) -> Header:
    """Return the header of a PNG file whose chunks are all there and have their checksums.

    Pillow alone accepts some damaged files. Raises PngError.
    """
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
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    return Header(width, height, f"{bits}-bit {_COLOURS.get(colour, f'colour type {colour}')}")


def decode(data: bytes, *, kind: str, size: tuple[int, int] | None) -> Image.Image:
    """Decode a PNG file that must be of one kind (see `Header`).

    `size` is the (width, height) it must have, in pixels, None for any. Raises PngError.
    """
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
    # The warning comes at half as many pixels; it is an exception where warnings are errors.
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PngError(
            f"{header.width}x{header.height} pixels, more than Pillow decodes ({error})"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow has no common type for what broken files make it raise
        raise PngError(f"corrupt PNG file, {error}") from error
    return image
