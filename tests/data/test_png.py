"""Holds that a PNG file is decoded whole and of the right kind, or told as the module's own error.

Damage inside a release is held by `test_cityscapes`.
"""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pipeline.data.png import PngError, check, decode


def a_png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("shape", "dtype", "kind"),
    [
        ((5, 7, 3), np.uint8, "8-bit RGB"),
        ((5, 7), np.uint8, "8-bit grey"),
        ((5, 7), np.uint16, "16-bit grey"),
        ((5, 7, 4), np.uint8, "8-bit RGB and alpha"),
    ],
)
def test_pixels_come_back(shape: tuple[int, ...], dtype: type, kind: str) -> None:
    array = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    data = a_png(array)
    assert tuple(check(data)) == (7, 5, kind)
    np.testing.assert_array_equal(np.asarray(decode(data, kind=kind, size=(7, 5))), array)
    with pytest.raises(PngError, match="7x5 pixels, expected 5x7"):
        decode(data, kind=kind, size=(5, 7))
    with pytest.raises(PngError, match=f"of {kind}, expected one of 1-bit grey"):
        decode(data, kind="1-bit grey", size=None)


@pytest.mark.parametrize("length", [0, 20, 60])
def test_a_file_cut_short(length: int) -> None:
    with pytest.raises(PngError, match=r"truncated|not a PNG"):
        decode(a_png(np.zeros((5, 7), np.uint8))[:length], kind="8-bit grey", size=None)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("most", [10, 20])  # 35 pixels: more than twice as many is an error
@pytest.mark.parametrize("size", [None, (7, 5)])
def test_more_pixels_than_pillow_decodes(
    monkeypatch: pytest.MonkeyPatch, most: int, size: tuple[int, int] | None
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    with pytest.raises(PngError, match="7x5 pixels, more than Pillow decodes"):
        decode(a_png(np.zeros((5, 7), np.uint8)), kind="8-bit grey", size=size)


@pytest.mark.parametrize("tag", [b"fcTL", b"tRNS", b"gAMA", b"cHRM", b"pHYs", b"iCCP", b"zTXt"])
@pytest.mark.parametrize("length", range(6))
def test_a_chunk_that_is_too_short_is_no_other_error(tag: bytes, length: int) -> None:
    """Pillow raises errors of many types for them, or accepts them."""
    data = a_png(np.zeros((5, 7, 3), np.uint8))
    body = bytes(length)
    chunk = struct.pack(">I", length) + tag + body + struct.pack(">I", zlib.crc32(tag + body))
    for at in (33, len(data) - 12):  # after the header; before the end
        try:
            image = decode(data[:at] + chunk + data[at:], kind="8-bit RGB", size=None)
        except PngError:
            continue
        assert not np.asarray(image).any()
