"""What would travel from edge to cloud: a header, then the payload of the point's coder.

The header, little endian. Its first 12 bytes are the same for all:

| offset | bytes | type    | what                                                              |
|--------|-------|---------|-------------------------------------------------------------------|
| 0      | 3     | bytes   | magic, `CFS`                                                      |
| 3      | 1     | uint8   | version of this layout, 3                                         |
| 4      | 4     | uint32  | CRC-32 of all other bytes, header and payload                     |
| 8      | 4     | uint32  | fingerprint of the `Fitted` that edge and cloud share; 0: none     |

Without a `Fitted` the stream says all itself; 28 bytes and the codec's name:

| 12     | 6     | uint16  | C, h, w of the features, 1 to 65535 each                          |
| 18     | 1     | uint8   | bits of the quantiser, 1 to 16                                    |
| 19     | 8     | float32 | low and high, the range of the quantiser                          |
| 27     | 1     | uint8   | n, the length of the codec's name                                 |
| 28     | n     | ASCII   | the codec's name in CODECS                                        |
| 28 + n |       |         | payload: the tile as the codec wrote it                           |

With a `Fitted` of a min-max quantiser, 20 bytes:

| 12     | 8     | float32 | low and high, the range of the quantiser                          |
| 20     |       |         | payload: the levels as the range coder wrote them                 |

With a `Fitted` of a fixed step, 12 bytes:

| 12     |       |         | payload: the symbols as the range coder wrote them                |

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
from pipeline.coding.fitted import Fitted
from pipeline.coding.points import TABLE
from pipeline.coding.quantizer import Levels, check_features, dequantize, level_dtype, quantize
from pipeline.coding.tiling import tile, tile_size, untile

MAGIC = b"CFS"
VERSION = 3
MAX_ELEMENTS = 2**26
"""Of one tensor of features; Pillow takes a larger tile for an attack."""

_START = struct.Struct("<3sBII")
_RANGE = struct.Struct("<ff")
_IMAGE = struct.Struct("<3HBffB")
_FINGERPRINT = 8
"""Offset from which the checksum covers all bytes; before it, the first four."""
_MAX_SIDE = 65535


class BitstreamError(ValueError):
    """Bytes that are no whole bitstream of this format, or features too large for one."""


class TablesError(BitstreamError):
    """A bitstream of other tables than those that the decoder has."""


class Header(NamedTuple):
    """What a bitstream says of itself, or its `Fitted` of it."""

    codec: str
    """Name in CODECS, or `table`."""
    shape: tuple[int, int, int]
    """C, h, w of the features; K, h, w of the symbols with a `Fitted`."""
    bits: int | None
    """None with a fixed step."""
    low: float
    """Of the quantiser's range; 0 with a fixed step."""
    high: float
    size: int
    """Bytes of the header itself; the rest is payload."""


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
    name = codec.encode("ascii")
    head = _IMAGE.pack(*shape, levels.bits, levels.low, levels.high, len(name)) + name
    return _guarded(0, head + coder.encode(tile_HW))


def decode_levels(stream: bytes) -> Levels:
    """Return the levels in a bitstream: those encoded if its codec is lossless, else near them.

    Raises BitstreamError, saying what is wrong, on anything that is not one whole bitstream.
    """
    header = _checked(stream, None)
    assert header.bits is not None
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


def encode_fitted(features_Chw: ArrayLike, fitted: Fitted, range_percent: float = 100.0) -> bytes:
    """Return the bitstream of finite features C x h x w with tables that the cloud knows too.

    range_percent: see `quantize`; not used with a fixed step. Raises BitstreamError for features of
    another shape than the tables were fitted to.
    """
    values = np.asarray(features_Chw)
    if values.shape != fitted.features_shape:
        raise BitstreamError(
            f"features of shape {values.shape}; the tables were fitted to {fitted.features_shape}"
        )
    if fitted.bits is None:
        check_features(values)
        return _guarded(fitted.fingerprint, fitted.coder.encode(fitted.symbols(values)))
    levels = quantize(values, fitted.bits, range_percent)
    symbols_KN = levels.levels_Chw.reshape(len(values), -1).astype(np.int32)
    ends = _RANGE.pack(levels.low, levels.high)
    return _guarded(fitted.fingerprint, ends + fitted.coder.encode(symbols_KN))


def decode_features(stream: bytes, fitted: Fitted | None = None) -> NDArray[np.float32]:
    """Return the features C x h x w, float32, that a bitstream stands for.

    fitted: what the bitstream was coded with, if anything. Raises BitstreamError, saying what is
    wrong, on anything that is not one whole bitstream of it.
    """
    if fitted is None:
        return dequantize(decode_levels(stream))
    header = _checked(stream, fitted)
    count = fitted.shape[1] * fitted.shape[2]
    try:
        symbols_KN = fitted.coder.decode(stream[header.size :], count)
        if fitted.bits is None:
            return fitted.features(symbols_KN)
        levels_Khw = symbols_KN.astype(level_dtype(fitted.bits)).reshape(fitted.shape)
        return dequantize(Levels(levels_Khw, header.low, header.high, fitted.bits))
    except ValueError as error:
        raise BitstreamError(f"a bitstream of tables cannot be decoded: {error}") from error


def read_header(stream: bytes, fitted: Fitted | None = None) -> Header:
    """Return the header of a bitstream; raise BitstreamError if it has none.

    fitted: what the bitstream was coded with, if anything; an error if it was coded with another.
    """
    magic = bytes(stream[: len(MAGIC)])
    if not MAGIC.startswith(magic):
        raise BitstreamError(f"not a bitstream: it starts with {magic!r}, not {MAGIC!r}")
    if len(stream) > len(MAGIC) and stream[len(MAGIC)] != VERSION:
        raise BitstreamError(
            f"a bitstream of version {stream[len(MAGIC)]}; this reads version {VERSION}"
        )
    _check_length(stream, _START.size)
    *_, fingerprint = _START.unpack_from(stream)
    _check_fingerprint(fingerprint, fitted)
    at = _START.size
    if fitted is not None and fitted.bits is None:
        return Header(TABLE, fitted.shape, None, 0.0, 0.0, at)
    if fitted is not None:
        _check_length(stream, at + _RANGE.size)
        low, high = _RANGE.unpack_from(stream, at)
        return Header(TABLE, fitted.shape, fitted.bits, low, high, at + _RANGE.size)
    _check_length(stream, at + _IMAGE.size)
    channels, h, w, bits, low, high, length = _IMAGE.unpack_from(stream, at)
    at += _IMAGE.size
    _check_length(stream, at + length)
    shape = channels, h, w
    if not 0 < math.prod(shape) <= MAX_ELEMENTS:
        raise BitstreamError(
            f"a bitstream of {channels} x {h} x {w} features; allowed: 1 to {MAX_ELEMENTS} elements"
        )
    name = bytes(stream[at : at + length]).decode("ascii", errors="backslashreplace")
    return Header(name, shape, bits, low, high, at + length)


def _guarded(fingerprint: int, rest: bytes) -> bytes:
    start = _START.pack(MAGIC, VERSION, 0, fingerprint)
    stream = start + rest
    return _START.pack(MAGIC, VERSION, _checksum(stream), fingerprint) + rest


def _checksum(stream: bytes) -> int:
    return crc32(stream[_FINGERPRINT:], crc32(stream[: len(MAGIC) + 1]))


def _checked(stream: bytes, fitted: Fitted | None) -> Header:
    """Return the header of a bitstream whose checksum is right."""
    header = read_header(stream, fitted)
    _, _, checksum, _ = _START.unpack_from(stream)
    if (found := _checksum(stream)) != checksum:
        raise BitstreamError(
            f"a damaged bitstream: its checksum is {checksum:08x}, its bytes have {found:08x}; "
            "send or encode it again"
        )
    return header


def _check_length(stream: bytes, least: int) -> None:
    if len(stream) < least:
        raise BitstreamError(
            f"a bitstream cut short: {len(stream)} bytes, the header alone has {least} or more"
        )


def _check_fingerprint(fingerprint: int, fitted: Fitted | None) -> None:
    if fitted is None and fingerprint:
        raise TablesError(
            f"a bitstream of the tables {fingerprint:08x}; give the decoder the same tables"
        )
    if fitted is not None and fingerprint != fitted.fingerprint:
        coded = f"of the tables {fingerprint:08x}" if fingerprint else "without tables"
        raise TablesError(
            f"a bitstream {coded}, not of the tables {fitted.fingerprint:08x} that the decoder "
            "has; decode it with the tables it was coded with, or encode it again"
        )


def _stretches(coder: Codec, bits: int) -> bool:
    return not coder.lossless and bits < 8
