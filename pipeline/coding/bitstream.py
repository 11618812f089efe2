"""What would travel from edge to cloud: a header that says all, then the codec's payload.

The header, little endian; 28 bytes and the codec's name (31 for png, 35 for jpeg-90):

| offset | bytes | type    | what                                            |
|--------|-------|---------|-------------------------------------------------|
| 0      | 3     | bytes   | magic, `CFS`                                    |
| 3      | 1     | uint8   | version of this layout, 2                       |
| 4      | 6     | uint16  | C, h, w of the features, 1 to 65535 each        |
| 10     | 1     | uint8   | bits of the quantiser, 1 to 16                  |
| 11     | 8     | float32 | low and high, the range of the quantiser        |
| 19     | 1     | uint8   | n, the length of the codec's name               |
| 20     | 4     | uint32  | length of the payload in bytes                  |
| 24     | 4     | uint32  | CRC-32 of all other bytes, header and payload   |
| 28     | n     | ASCII   | the codec's name in CODECS                      |
| 28 + n |       |         | payload: the tile as the codec wrote it         |

C x h x w is at most 2^26 (67 million). A payload is decoded only if its image has the size that the
header names, and if it has as many bytes as the codec needs at least for such an image: a byte for
1032 (PNG) or 256 (JPEG). So a small hostile bitstream cannot ask for much memory: one of 100 bytes
is refused unless it names 103,200 elements or fewer.

Lossy codecs count in steps of an 8-bit pixel, so for them levels of fewer bits are stretched over
0..255 before coding and brought back to the nearest level after. For the lossless codec they stay.
"""

import math
import struct
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.coding.codecs import Codec, CodecError, find_codec
from pipeline.coding.quantizer import Levels, dequantize, level_dtype, quantize
from pipeline.coding.tiling import tile, tile_size, untile

MAGIC = b"CFS"
VERSION = 2
MAX_ELEMENTS = 2**26
"""Of one tensor of features; Pillow takes a larger tile for an attack."""

_FIXED = struct.Struct("<3sB3HBffB")
_GUARD = struct.Struct("<II")
_MAX_SIDE = 65535


class BitstreamError(ValueError):
    """Bytes that are no whole bitstream of this format, or features too large for one."""


class Header(NamedTuple):
    """What a bitstream says of itself."""

    codec: str
    shape: tuple[int, int, int]
    bits: int
    low: float
    high: float
    size: int
    """Bytes of the header itself; the rest is payload."""
    checksum: int
    """CRC-32 of all bytes but its own four."""


def encode_levels(levels: Levels, codec: str) -> bytes:
    """Return the bitstream of one image's levels, tiled and coded by CODECS[codec].

    Raises CodecError when there is no such codec or it cannot hold so many bits or pixels,
    BitstreamError when a side is above 65535 or there are more than `MAX_ELEMENTS`.
    """
    coder = find_codec(codec)
    if levels.bits > coder.max_bits:
        raise CodecError(
            f"{codec} codes at most {coder.max_bits} bits a level, these have {levels.bits}; "
            "use png or a quantiser of fewer bits"
        )
    shape = levels.levels_Chw.shape
    if max(shape) > _MAX_SIDE or math.prod(shape) > MAX_ELEMENTS:
        raise BitstreamError(
            f"features of shape {shape}: a bitstream allows {_MAX_SIDE} a side and {MAX_ELEMENTS} "
            "elements"
        )
    tile_HW = tile(levels.levels_Chw)
    if _stretches(coder, levels.bits):
        top = 2**levels.bits - 1
        tile_HW = np.rint(np.arange(top + 1) * (255 / top)).astype(np.uint8)[tile_HW]
    payload = coder.encode(tile_HW)
    name = codec.encode("ascii")
    fixed = _FIXED.pack(MAGIC, VERSION, *shape, levels.bits, levels.low, levels.high, len(name))
    before = fixed + len(payload).to_bytes(4, "little")
    return before + _checksum(before, name, payload).to_bytes(4, "little") + name + payload


def decode_levels(stream: bytes) -> Levels:
    """Return the levels in a bitstream: those encoded if its codec is lossless, else near them.

    Raises BitstreamError, saying what is wrong, on anything that is not one whole bitstream.
    """
    stream = bytes(stream)
    header = read_header(stream)
    at = _FIXED.size
    found = _checksum(stream[: at + 4], stream[at + _GUARD.size :])
    if found != header.checksum:
        raise BitstreamError(
            f"a damaged bitstream: its checksum is {header.checksum:08x}, its bytes have "
            f"{found:08x}; send or encode it again"
        )
    try:
        coder = find_codec(header.codec)
        dtype = level_dtype(header.bits)
        tile_HW = coder.decode(stream[header.size :], tile_size(header.shape), dtype)
        levels_Chw = untile(tile_HW, header.shape)
        if _stretches(coder, header.bits):
            top = 2**header.bits - 1
            levels_Chw = np.rint(np.arange(256) * (top / 255)).astype(np.uint8)[levels_Chw]
        return Levels(levels_Chw, header.low, header.high, header.bits)
    except ValueError as error:
        C, h, w = header.shape
        raise BitstreamError(
            f"a bitstream of {C} x {h} x {w} features, {header.bits} bits, {header.codec}, "
            f"cannot be decoded: {error}"
        ) from error


def encode_features(
    features_Chw: ArrayLike, bits: int, codec: str, range_percent: float = 100.0
) -> bytes:
    """Quantise finite features C x h x w (see `quantize`) and return their bitstream."""
    return encode_levels(quantize(features_Chw, bits, range_percent), codec)


def decode_features(stream: bytes) -> NDArray[np.float32]:
    """Return the features C x h x w, float32, that a bitstream stands for."""
    return dequantize(decode_levels(stream))


def read_header(stream: bytes) -> Header:
    """Return the header of a bitstream; raise BitstreamError if there is none, or no payload."""
    magic = bytes(stream[: len(MAGIC)])
    if not MAGIC.startswith(magic):
        raise BitstreamError(f"not a bitstream: it starts with {magic!r}, not {MAGIC!r}")
    if len(stream) > len(MAGIC) and stream[len(MAGIC)] != VERSION:
        raise BitstreamError(
            f"a bitstream of version {stream[len(MAGIC)]}; this reads version {VERSION}"
        )
    least = _FIXED.size + _GUARD.size
    if len(stream) < least:
        raise BitstreamError(
            f"a bitstream cut short: {len(stream)} bytes, the header alone has {least}"
        )
    _, _, channels, h, w, bits, low, high, length = _FIXED.unpack_from(stream)
    payload, checksum = _GUARD.unpack_from(stream, _FIXED.size)
    size = least + length
    if len(stream) < size + max(payload, 1):
        raise BitstreamError(
            f"a bitstream cut short: {len(stream)} bytes, of {size + max(payload, 1)} or more"
        )
    if excess := len(stream) - size - payload:
        raise BitstreamError(f"{excess} bytes follow the end of the bitstream")
    shape = channels, h, w
    if not 0 < math.prod(shape) <= MAX_ELEMENTS:
        raise BitstreamError(
            f"a bitstream of {channels} x {h} x {w} features; allowed: 1 to {MAX_ELEMENTS} elements"
        )
    name = bytes(stream[least:size]).decode("ascii", errors="backslashreplace")
    return Header(name, shape, bits, low, high, size, checksum)


def _checksum(*parts: bytes) -> int:
    value = 0
    for part in parts:
        value = crc32(part, value)
    return value


def _stretches(coder: Codec, bits: int) -> bool:
    return not coder.lossless and bits < 8
