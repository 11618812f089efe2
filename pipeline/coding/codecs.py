"""CODECS: image codecs for tiles, by name. A new one is one more entry."""

import bz2
import io
import lzma
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

Tile = NDArray[np.unsignedinteger]


class CodecError(ValueError):
    """No such codec, or a tile it cannot code, or a payload it cannot decode."""


@dataclass(frozen=True)
class Codec:
    """How one grey tile becomes bytes and comes back."""

    encode: Callable[[Tile], bytes]
    """H x W, uint8 or (where max_bits allows) uint16, to the payload."""
    decode: Callable[[bytes, tuple[int, int], np.dtype[Any]], Tile]
    """A payload, and the height, width and dtype of the tile in it, to that tile. Raises CodecError
    if the payload holds anything else, before it takes memory for it. The payload is whole: its
    length and checksum are the bitstream's business."""
    lossless: bool
    max_bits: int
    """The deepest tile it can code, in bits a pixel."""
    coder: str = "unknown"
    """Name and version of the program behind it: other versions may write other bytes."""


MOST_PIXELS = 2**24
"""Largest tile of the codecs whose few bytes can stand for any number of pixels: WebP, gzip, bz2,
lzma. It has 16 times the pixels of 512 channels of 32 x 64."""
# libjpeg stops short of the format's own 65535.
_JPEG_MAX_SIDE = 65500
_WEBP_MAX_SIDE = 16383
_MODES = {"uint8": "L", "uint16": "I;16"}
_BYTES_OF_A_BYTE = {"PNG": 1032, "JPEG": 256}
"""The most bytes of pixels that a byte of a file can hold. Deflate: 258 for 2 bits. JPEG: a block
of 64 for the 1 bit of its mean and the 1 bit that says that there is no more."""


def _encode_png(tile_HW: Tile) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(tile_HW).save(buffer, "PNG")
    return buffer.getvalue()


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


def _decode(
    payload: bytes, size_HW: tuple[int, int], dtype: np.dtype[Any], file_format: str
) -> Tile:
    height, width = size_HW
    try:
        with Image.open(io.BytesIO(payload), formats=(file_format,)) as image:
            # Pillow has read the head of the file alone, so nothing large was allocated yet.
            mode = _MODES[dtype.name]
            if image.size != (width, height) or image.mode != mode:
                raise CodecError(
                    f"the image has {image.height} x {image.width} pixels of mode {image.mode}, "
                    f"not {height} x {width} of mode {mode}"
                )
            # Pillow takes the memory of the whole image before it finds that the file is too short,
            # and libjpeg fills what a file leaves out with grey.
            least = -(-height * width * dtype.itemsize // _BYTES_OF_A_BYTE[file_format])
            if len(payload) < least:
                raise CodecError(
                    f"{len(payload)} bytes cannot hold an image of {height} x {width} pixels, "
                    f"{file_format} needs {least} or more"
                )
            # A progressive file may ask for the whole image again and again, in a few bytes each.
            if "progressive" in image.info:
                raise CodecError("the image is a progressive JPEG, which the encoder never writes")
            image.load()
            return np.asarray(image).astype(dtype)
    except CodecError:
        raise
    except Exception as error:  # Pillow has no common type for what broken files make it raise
        raise CodecError(f"not a readable {file_format} image: {error}") from error


def _check_tile(tile_HW: Tile, name: str) -> None:
    if tile_HW.dtype != np.uint8:
        raise CodecError(f"{name} holds 8 bits a pixel, not {tile_HW.dtype}")
    _check_pixels(tile_HW.shape, name)


def _check_pixels(size_HW: tuple[int, ...], name: str) -> None:
    height, width = size_HW
    if height * width > MOST_PIXELS or (name == "WebP" and max(size_HW) > _WEBP_MAX_SIDE):
        side = f" and {_WEBP_MAX_SIDE} a side" if name == "WebP" else ""
        raise CodecError(
            f"tiles of {name} have at most {MOST_PIXELS} pixels{side}; this one has "
            f"{height} x {width}"
        )


def _encode_webp(tile_HW: Tile) -> bytes:
    _check_tile(tile_HW, "WebP")
    buffer = io.BytesIO()
    # Methods 1 to 6 at any quality below 100 write as many bytes, to 0.5 %, in 3 to 35 ms; method 6
    # at quality 100 writes 0.3 % fewer in 500 ms (256 channels of 6 x 12 at 8, 5 and 3 bits).
    image = Image.fromarray(tile_HW).convert("RGB")
    image.save(buffer, "WEBP", lossless=True, method=4, quality=0)
    return buffer.getvalue()


def _decode_webp(payload: bytes, size_HW: tuple[int, int], dtype: np.dtype[Any]) -> Tile:
    _check_pixels(size_HW, "WebP")
    # Pillow takes the memory of two images when it opens a file. So the head is read here: RIFF,
    # its length, WEBP, VP8L, its length, a byte 0x2f, 14 bits of width - 1, 14 of height - 1.
    size = int.from_bytes(payload[21:25], "little")
    found_HW = (size >> 14 & 0x3FFF) + 1, (size & 0x3FFF) + 1
    if len(payload) < 25 or payload[8:16] != b"WEBPVP8L":
        raise CodecError("not a readable WEBP image: it has no lossless picture at its start")
    if found_HW != size_HW or dtype != np.uint8:
        raise CodecError(
            f"the image has {found_HW[0]} x {found_HW[1]} pixels of 8 bits, "
            f"not {size_HW[0]} x {size_HW[1]} of {dtype}"
        )
    try:
        with Image.open(io.BytesIO(payload), formats=("WEBP",)) as image:
            pixels_HW3 = np.asarray(image.convert("RGB"))
    except Exception as error:  # as above
        raise CodecError(f"not a readable WEBP image: {error}") from error
    if (pixels_HW3 != pixels_HW3[..., :1]).any():
        raise CodecError("the image has colours, which the encoder never writes")
    return pixels_HW3[..., 0].copy()


def _pack(tile_HW: Tile) -> bytes:
    """Return the levels of a tile, row by row, 8, 4, 2 or 1 to a byte, as many as its levels allow.

    Measured against one level a byte (256 channels of 6 x 12): at 4, 3 and 2 bits gzip writes 10 %,
    6 % and 12 % fewer bytes, and lzma 8 %, 5 % and 7 % fewer. At 6 and 5 bits a level
    has a byte of its own: packed to the bit, they would take 4 to 17 % more.
    """
    levels: np.ndarray = np.pad(tile_HW.ravel(), (0, -tile_HW.size % 8))
    for bits in (1, 2, 4):
        if levels.max() < 2**bits:
            levels = levels[::2] << bits | levels[1::2]
    return levels.tobytes()


def _unpack(packed: bytes, size_HW: tuple[int, int]) -> Tile:
    size = size_HW[0] * size_HW[1]
    whole = size + -size % 8
    if len(packed) not in (whole, whole // 2, whole // 4, whole // 8):
        raise CodecError(
            f"{len(packed)} bytes of levels are no tile of {size_HW[0]} x {size_HW[1]}"
        )
    levels = np.frombuffer(packed, np.uint8)
    for bits in (4, 2, 1):
        if len(levels) < whole:
            halves = [levels >> bits, levels & np.uint8(2**bits - 1)]
            levels = np.stack(halves, -1, dtype=np.uint8).ravel()
    return levels[:size].reshape(size_HW).copy()


# Without a limit of its own a file could ask for a dictionary of 4 GiB.
_LZMA_DICTIONARY = 2**20
_LZMA_MEMORY = 2**23
_LZMA = {"id": lzma.FILTER_LZMA1, "preset": 9, "dict_size": _LZMA_DICTIONARY, "pb": 0}
_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    # zlib's own gzip head holds no time; that of Python's gzip changes with its version.
    "gzip": partial(zlib.compress, level=9, wbits=31),
    "bz2": bz2.compress,
    "lzma": partial(lzma.compress, format=lzma.FORMAT_ALONE, filters=[_LZMA]),
}
_DECOMPRESSOR: dict[str, Callable[[], Any]] = {
    "gzip": partial(zlib.decompressobj, wbits=31),
    "bz2": bz2.BZ2Decompressor,
    "lzma": partial(lzma.LZMADecompressor, lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY),
}


def _encode_bytes(tile_HW: Tile, name: str) -> bytes:
    _check_tile(tile_HW, name)
    return _COMPRESS[name](_pack(tile_HW))


def _decode_bytes(
    payload: bytes, size_HW: tuple[int, int], dtype: np.dtype[Any], name: str
) -> Tile:
    _check_pixels(size_HW, name)
    if dtype != np.uint8:
        raise CodecError(f"{name} holds 8 bits a pixel, not {dtype}")
    decompressor = _DECOMPRESSOR[name]()
    try:
        # Eight bytes more than a whole tile: a decompressor sees the end only with room to spare.
        packed = decompressor.decompress(payload, size_HW[0] * size_HW[1] + 8 + 8)
    except (zlib.error, OSError, lzma.LZMAError, EOFError) as error:
        raise CodecError(f"not readable by {name}: {error}") from error
    if not decompressor.eof or decompressor.unused_data:
        raise CodecError(f"not readable by {name}: it ends too early or too late")
    return _unpack(packed, size_HW)


def _version(feature: str, plain: str, otherwise: str) -> str:
    """Return what Pillow was built with: a fork, or the library that the fork stands for."""
    if features.check_feature(feature):
        return f"{feature.replace('_', '-')} {features.version_feature(feature)}"
    return f"{plain} {features.version_codec(otherwise)}"


_ZLIB = _version("zlib_ng", "zlib", "zlib")
_LIBJPEG = _version("libjpeg_turbo", "libjpeg", "jpg")

CODECS: dict[str, Codec] = {
    "png": Codec(
        _encode_png, partial(_decode, file_format="PNG"), lossless=True, max_bits=16, coder=_ZLIB
    ),
    **{
        f"jpeg-{q}": Codec(
            partial(_encode_jpeg, quality=q),
            partial(_decode, file_format="JPEG"),
            lossless=False,
            max_bits=8,
            coder=_LIBJPEG,
        )
        for q in range(1, 101)
    },
    "webp": Codec(
        _encode_webp,
        _decode_webp,
        lossless=True,
        max_bits=8,
        coder=f"libwebp {features.version_module('webp')}",
    ),
    **{
        name: Codec(
            partial(_encode_bytes, name=name),
            partial(_decode_bytes, name=name),
            lossless=True,
            max_bits=8,
            coder=program,
        )
        for name, program in (
            ("gzip", f"zlib {zlib.ZLIB_RUNTIME_VERSION}"),
            # Neither library tells Python its version.
            ("bz2", f"bzip2 of Python {sys.version.split()[0]}"),
            ("lzma", f"liblzma of Python {sys.version.split()[0]}"),
        )
    },
}


def codec_names() -> str:
    """Return the names in CODECS, numbered families by their ends: `png, jpeg-1 ... jpeg-100`."""
    families = (list(names) for _, names in groupby(CODECS, lambda name: name.rstrip("0123456789")))
    return ", ".join(f"{f[0]} ... {f[-1]}" if len(f) > 1 else f[0] for f in families)


def find_codec(name: str) -> Codec:
    """Return CODECS[name]; raise a CodecError that lists all names if there is no such codec."""
    if name not in CODECS:
        raise CodecError(f"there is no codec {name!r}; allowed are {codec_names()}")
    return CODECS[name]
