"""CODECS: image codecs for tiles, by name. A new one is one more entry."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Tile = NDArray[np.unsignedinteger]


class CodecError(ValueError):
    """No such codec, or a tile it cannot code, or a payload it cannot decode."""


@dataclass(frozen=True)
class Codec:
    """How one grey tile becomes bytes and comes back."""

    encode: Callable[[Tile], bytes]
    """H x W, uint8 or (where max_bits allows) uint16, to the payload."""
    decode: Callable[[bytes], Tile]
    """A payload to the tile, in the size and dtype it was coded in. Raises CodecError unless the
    payload is one whole image and nothing else: no length travels beside it."""
    lossless: bool
    max_bits: int
    """The deepest tile it can code, in bits a pixel."""


# libjpeg stops short of the format's own 65535.
_JPEG_MAX_SIDE = 65500
_JPEG_SCAN_START = b"\xff\xda\x00\x08\x01"  # of one component; cannot occur in the tables before
_JPEG_END = b"\xff\xd9"
_PNG_END = b"\x00\x00\x00\x00IEND\xae\x42\x60\x82"
_DTYPES = {"L": np.uint8, "I;16": np.uint16}


def _encode_png(tile_HW: Tile) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(tile_HW).save(buffer, "PNG")
    return buffer.getvalue()


def _decode_png(payload: bytes) -> Tile:
    _check_end(payload, payload.find(_PNG_END), len(_PNG_END))
    return _read(payload, "PNG")


def _encode_jpeg(tile_HW: Tile, quality: int) -> bytes:
    if tile_HW.dtype != np.uint8:
        raise CodecError(f"JPEG holds 8 bits a pixel, not {tile_HW.dtype}")
    if max(tile_HW.shape) > _JPEG_MAX_SIDE:
        raise CodecError(
            f"JPEG images have at most {_JPEG_MAX_SIDE} pixels a side; this tile has "
            f"{tile_HW.shape[0]} x {tile_HW.shape[1]}"
        )
    buffer = io.BytesIO()
    Image.fromarray(tile_HW).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _decode_jpeg(payload: bytes) -> Tile:
    start = payload.find(_JPEG_SCAN_START)
    end = payload.find(_JPEG_END, start) if start >= 0 else -1
    _check_end(payload, end, len(_JPEG_END))
    return _read(payload, "JPEG")


def _check_end(payload: bytes, end: int, mark: int) -> None:
    """Pillow forgives a missing end of a PNG and anything after the end of either format."""
    if end < 0:
        raise CodecError(f"the image is cut short or damaged: {len(payload)} bytes without an end")
    if excess := len(payload) - end - mark:
        raise CodecError(f"{excess} bytes follow the end of the image")


def _read(payload: bytes, file_format: str) -> Tile:
    try:
        with Image.open(io.BytesIO(payload), formats=(file_format,)) as image:
            image.load()
            mode, tile_HW = image.mode, np.asarray(image)
    except Exception as error:  # Pillow has no common type for what broken files make it raise
        raise CodecError(f"not a readable {file_format} image: {error}") from error
    if mode not in _DTYPES:
        raise CodecError(f"a tile is a grey image of 8 or 16 bits, not one of mode {mode}")
    return tile_HW.astype(_DTYPES[mode])


CODECS: dict[str, Codec] = {
    "png": Codec(_encode_png, _decode_png, lossless=True, max_bits=16),
    **{
        f"jpeg-{q}": Codec(partial(_encode_jpeg, quality=q), _decode_jpeg, False, max_bits=8)
        for q in range(1, 101)
    },
}


def codec_names() -> str:
    """The names in CODECS, numbered families by their ends: `png, jpeg-1 ... jpeg-100`."""
    families = (list(names) for _, names in groupby(CODECS, lambda name: name.rstrip("0123456789")))
    return ", ".join(f"{f[0]} ... {f[-1]}" if len(f) > 1 else f[0] for f in families)


def find_codec(name: str) -> Codec:
    """CODECS[name]; a CodecError that lists what there is when there is no such codec."""
    if name not in CODECS:
        raise CodecError(f"there is no codec {name!r}; allowed are {codec_names()}")
    return CODECS[name]
