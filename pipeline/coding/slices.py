"""Slices of a bitstream: packets that decode alone, so that a lost one costs its own channels.

Slice i of n holds the channels i, i + n, i + 2n and so on, for a link that loses packets. Only
symbols of a fixed step are cut. A slice, little endian:

| offset | bytes | type    | what                                                           |
|--------|-------|---------|----------------------------------------------------------------|
| 0      | 3     | bytes   | magic, `CFP`                                                   |
| 3      | 1     | uint8   | version of this layout, 1                                      |
| 4      | 4     | uint32  | CRC-32 of all bytes after it                                   |
| 8      | 4     | uint32  | fingerprint of the `Fitted` that edge and cloud share          |
| 12     | 2     | uint16  | i                                                              |
| 14     | 2     | uint16  | n, at most the number of channels                              |
| 16     |       |         | payload: the symbols of its channels as the range coder wrote them |

Which frame a slice belongs to is said by what carries it, such as the time stamp of RTP.
"""

import math
import struct
from collections.abc import Iterable
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pipeline.coding.bitstream import BitstreamError, TablesError
from pipeline.coding.fitted import Fitted
from pipeline.coding.quantizer import check_features

MAGIC = b"CFP"
VERSION = 1
PACKET = 1200
"""Bytes that pass every link of today in one packet, headers of UDP and IPv6 not counted (the
least MTU of IPv6 is 1280)."""
_HEAD = struct.Struct("<3sBIIHH")
_GUARDED = 8
"""Offset from which the checksum covers all bytes."""


def encode_slices(features_Chw: NDArray, fitted: Fitted, size: int = PACKET) -> list[bytes]:
    """Return the slices of features C x h x w, as few as have at most `size` bytes each.

    Raises BitstreamError for features of another shape than the tables, for tables without a fixed
    step, and if the slice of a single channel is larger.
    """
    if fitted.step is None or features_Chw.shape != fitted.features_shape:
        raise BitstreamError(
            f"features of shape {features_Chw.shape} cannot be cut into slices: that needs tables "
            f"of a fixed step, fitted to this shape; these are fitted to {fitted.features_shape}"
        )
    check_features(features_Chw)
    symbols_KN = fitted.symbols(features_Chw)
    channels = len(symbols_KN)
    room = size - _HEAD.size
    whole = len(fitted.coder.encode(symbols_KN))
    if room > 0:
        for count in range(max(1, math.ceil(whole / room)), channels + 1):
            slices = [_slice(symbols_KN, fitted, i, count) for i in range(count)]
            if max(map(len, slices)) <= size:
                return slices
    raise BitstreamError(
        f"a channel of {symbols_KN.shape[1]} symbols does not fit into {size} bytes; choose a "
        "larger step or larger packets"
    )


def decode_slices(slices: Iterable[bytes], fitted: Fitted) -> NDArray[np.float32]:
    """Return the features C x h x w of the slices of one frame that have arrived, in any order.

    A channel whose slice is missing gets the mean of its table. Raises BitstreamError for a slice
    that is damaged, of other tables or of another cut than the first.
    """
    size_KS = fitted.counts_KS.astype(np.float64)
    mean_K = (size_KS * np.arange(size_KS.shape[1])).sum(1) / size_KS.sum(1)
    elements = fitted.shape[1] * fitted.shape[2]
    symbols_KN = np.repeat(mean_K[:, None], elements, axis=1)
    count = None
    for packet in slices:
        index, of = _checked(packet, fitted)
        if of != (count or of):
            raise BitstreamError(f"a slice of {of} beside one of {count}: they are of two frames")
        count = of
        channels = slice(index, None, of)
        try:
            symbols_KN[channels] = fitted.coder.decode(packet[_HEAD.size :], elements, channels)
        except ValueError as error:
            raise BitstreamError(f"slice {index} cannot be decoded: {error}") from error
    return fitted.features(symbols_KN)


def _slice(symbols_KN: NDArray[np.int32], fitted: Fitted, index: int, count: int) -> bytes:
    channels = slice(index, None, count)
    payload = fitted.coder.encode(symbols_KN[channels], channels)
    head = _HEAD.pack(MAGIC, VERSION, 0, fitted.fingerprint, index, count)
    checksum = crc32(payload, crc32(head[_GUARDED:]))
    return _HEAD.pack(MAGIC, VERSION, checksum, fitted.fingerprint, index, count) + payload


def _checked(packet: bytes, fitted: Fitted) -> tuple[int, int]:
    """Return i and n of a slice whose checksum and tables are right."""
    if len(packet) < _HEAD.size:
        raise BitstreamError(f"{len(packet)} bytes are no slice, whose header has {_HEAD.size}")
    magic, version, checksum, fingerprint, index, count = _HEAD.unpack_from(packet)
    if (magic, version) != (MAGIC, VERSION):
        raise BitstreamError(f"not a slice of version {VERSION}: it starts with {packet[:4]!r}")
    if crc32(packet[_GUARDED:]) != checksum:
        raise BitstreamError("a damaged slice: its checksum is wrong")
    if fingerprint != fitted.fingerprint:
        raise TablesError(
            f"a slice of the tables {fingerprint:08x}; the decoder has {fitted.fingerprint:08x}"
        )
    if not index < count <= fitted.shape[0]:
        raise BitstreamError(f"slice {index} of {count}: there are {fitted.shape[0]} channels")
    return index, count
