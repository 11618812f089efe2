"""What would travel from edge to cloud: a header that says all, then the codec's payload.

The header, little endian; 20 bytes and the codec's name (23 for png, 27 for jpeg-90):

| offset | bytes | type    | what                                            |
|--------|-------|---------|-------------------------------------------------|
| 0      | 3     | bytes   | magic, `CFS`                                    |
| 3      | 1     | uint8   | version of this layout, 1                       |
| 4      | 6     | uint16  | C, h, w of the features, 1 to 65535 each        |
| 10     | 1     | uint8   | bits of the quantiser, 1 to 16                  |
| 11     | 8     | float32 | low and high, the range of the quantiser        |
| 19     | 1     | uint8   | n, the length of the codec's name               |
| 20     | n     | ASCII   | the codec's name in CODECS                      |
| 20 + n |       |         | payload: the tile as the codec wrote it         |

Lossy codecs count in steps of an 8-bit pixel, so for them levels of fewer bits are stretched over
0..255 before coding and brought back to the nearest level after. For the lossless codec they stay.
"""

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.coding.codecs import Codec, CodecError, find_codec
from pipeline.coding.quantizer import Levels, dequantize, level_dtype, quantize
from pipeline.coding.tiling import tile, untile

MAGIC = b"CFS"
VERSION = 1

_FIXED = struct.Struct("<3sB3HBffB")
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


def encode_levels(levels: Levels, codec: str) -> bytes:
    """The bitstream of one image's levels, tiled and coded by CODECS[codec].

    Raises CodecError when there is no such codec or it cannot hold so many bits or pixels,
    BitstreamError when a side is above 65535.
    """
    coder = find_codec(codec)
    if levels.bits > coder.max_bits:
        raise CodecError(
            f"{codec} codes at most {coder.max_bits} bits a level, these have {levels.bits}; "
            "use png or a quantiser of fewer bits"
        )
    if max(levels.levels_Chw.shape) > _MAX_SIDE:
        raise BitstreamError(
            f"features of shape {levels.levels_Chw.shape}: the header allows {_MAX_SIDE} a side"
        )
    tile_HW = tile(levels.levels_Chw)
    if _stretches(coder, levels.bits):
        top = 2**levels.bits - 1
        tile_HW = np.rint(np.arange(top + 1) * (255 / top)).astype(np.uint8)[tile_HW]
    name = codec.encode("ascii")
    header = _FIXED.pack(
        MAGIC,
        VERSION,
        *levels.levels_Chw.shape,
        levels.bits,
        levels.low,
        levels.high,
        len(name),
    )
    return header + name + coder.encode(tile_HW)


def decode_levels(stream: bytes) -> Levels:
    """The levels in a bitstream: those encoded if its codec is lossless, else close to them.

    Raises BitstreamError, saying what is wrong, on anything that is not one whole bitstream.
    """
    header = read_header(stream)
    try:
        coder = find_codec(header.codec)
        tile_HW = coder.decode(bytes(stream[header.size :]))
        if tile_HW.dtype != level_dtype(header.bits):
            raise ValueError(f"its pixels are {tile_HW.dtype}")
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


def encode_features(features_Chw: ArrayLike, bits: int, codec: str) -> bytes:
    """`quantize`, then `encode_levels`; features C x h x w, finite."""
    return encode_levels(quantize(features_Chw, bits), codec)


def decode_features(stream: bytes) -> NDArray[np.float32]:
    """`decode_levels`, then `dequantize`: features C x h x w, float32."""
    return dequantize(decode_levels(stream))


def read_header(stream: bytes) -> Header:
    """The header of a bitstream; raises BitstreamError where there is none, or no payload."""
    magic = bytes(stream[: len(MAGIC)])
    if not MAGIC.startswith(magic):
        raise BitstreamError(f"not a bitstream: it starts with {magic!r}, not {MAGIC!r}")
    if len(stream) > len(MAGIC) and stream[len(MAGIC)] != VERSION:
        raise BitstreamError(
            f"a bitstream of version {stream[len(MAGIC)]}; this reads version {VERSION}"
        )
    if len(stream) < _FIXED.size:
        raise BitstreamError(
            f"a bitstream cut short: {len(stream)} bytes, the header alone has {_FIXED.size}"
        )
    _, _, channels, h, w, bits, low, high, length = _FIXED.unpack_from(stream)
    size = _FIXED.size + length
    if len(stream) <= size:
        raise BitstreamError(
            f"a bitstream cut short: {len(stream)} bytes, no payload after a header of {size}"
        )
    name = bytes(stream[_FIXED.size : size]).decode("ascii", errors="backslashreplace")
    return Header(name, (channels, h, w), bits, low, high, size)


def _stretches(coder: Codec, bits: int) -> bool:
    return not coder.lossless and bits < 8
