"""CODECS: image codecs for tiles, by name. A new one is one more entry."""

import io
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


# libjpeg stops short of the format's own 65535.
_JPEG_MAX_SIDE = 65500
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
