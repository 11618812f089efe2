"""The codecs: round trips of tiles, limits, and broken payloads."""

import bz2
import gzip
import io
import lzma
import tracemalloc

import numpy as np
import pytest
from PIL import Image, features

from pipeline.coding.codecs import CODECS, MOST_PIXELS, CodecError, codec_names, find_codec

SEED = np.random.default_rng(0)
NOISE = SEED.integers(0, 256, (19, 33)).astype(np.uint8)
SMOOTH = np.rint(127 + 120 * np.sin(np.add.outer(np.arange(24), np.arange(40)) / 9)).astype(
    np.uint8
)


def decoded(name, payload, size_HW=NOISE.shape, dtype=np.uint8):
    return find_codec(name).decode(payload, size_HW, np.dtype(dtype))


def saved(array, file_format, **options):
    """What Pillow itself writes."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (64, 129)])
def test_png_gives_back_what_it_got(dtype, shape):
    tile_HW = SEED.integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)
    back = decoded("png", CODECS["png"].encode(tile_HW), shape, dtype)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, tile_HW)


def test_payloads_are_what_pillow_writes_by_default():
    assert CODECS["png"].encode(NOISE) == saved(NOISE, "PNG")
    for quality in (1, 75, 90, 100):
        assert CODECS[f"jpeg-{quality}"].encode(NOISE) == saved(NOISE, "JPEG", quality=quality)


RGB = np.zeros((19, 33, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "payload", "message"),
    [
        ("png", b"", "not a readable"),
        ("png", b"\0" * 100, "not a readable"),
        ("jpeg-90", b"hello", "not a readable"),
        ("png", CODECS["png"].encode(NOISE)[:300], "not a readable"),
        ("jpeg-90", CODECS["jpeg-90"].encode(NOISE)[:300], "not a readable"),
        ("png", CODECS["jpeg-90"].encode(NOISE), "not a readable PNG"),
        ("jpeg-90", CODECS["png"].encode(NOISE), "not a readable JPEG"),
        ("jpeg-90", saved(NOISE, "JPEG", quality=90, progressive=True), "progressive"),
        ("png", saved(RGB, "PNG"), "mode RGB, not 19 x 33 of mode L"),
    ],
)
def test_what_the_encoder_did_not_write_is_refused(name, payload, message):
    with pytest.raises(CodecError, match=message):
        decoded(name, payload)


@pytest.mark.parametrize("name", ["png", "jpeg-90"])
@pytest.mark.parametrize(("size", "dtype"), [((33, 19), np.uint8), ((19, 33), np.uint16)])
def test_an_image_of_another_size_or_depth_is_refused(name, size, dtype):
    with pytest.raises(CodecError, match=r"19 x 33 pixels of mode L, not (33 x 19|19 x 33)"):
        decoded(name, CODECS[name].encode(NOISE), size, dtype)


def test_jpeg_refuses_sixteen_bits_and_sides_it_cannot_write():
    with pytest.raises(CodecError, match="8 bits a pixel, not uint16"):
        CODECS["jpeg-90"].encode(np.zeros((2, 2), np.uint16))
    with pytest.raises(CodecError, match="at most 65500 pixels a side; this tile has 1 x 65501"):
        CODECS["jpeg-90"].encode(np.zeros((1, 65501), np.uint8))
    widest = np.zeros((1, 65500), np.uint8)
    assert decoded("jpeg-90", CODECS["jpeg-90"].encode(widest), (1, 65500)).shape == (1, 65500)


@pytest.mark.parametrize("name", ["jpeg-0", "jpeg-101", "jpeg-090", "jpeg", "PNG", "webp-9", ""])
def test_an_unknown_name_is_answered_with_those_allowed(name):
    assert codec_names() == "png, jpeg-1 ... jpeg-100, webp, gzip, bz2, lzma"
    with pytest.raises(CodecError, match=rf"no codec '{name}'; allowed are png, jpeg-1 \.\.\. "):
        find_codec(name)


@pytest.mark.parametrize(
    ("codec", "fork", "plain", "name"),
    [("png", "zlib_ng", "zlib", "zlib"), ("jpeg-90", "libjpeg_turbo", "jpg", "libjpeg")],
)
def test_the_coder_is_the_library_that_pillow_was_built_with(codec, fork, plain, name):
    if features.check(fork):
        name, plain = fork.replace("_", "-"), fork
    assert CODECS[codec].coder == f"{name} {features.version(plain)}"


BYTES = {"gzip": gzip.decompress, "bz2": bz2.decompress, "lzma": lzma.decompress}
ON_EIGHT_BITS = ("webp", *BYTES)


@pytest.mark.parametrize("name", ON_EIGHT_BITS)
@pytest.mark.parametrize("levels", [1, 2, 3, 4, 16, 17, 256])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (7, 3), (64, 129)])
def test_any_number_of_levels_comes_back(name, levels, shape):
    tile_HW = SEED.integers(0, levels, shape).astype(np.uint8)
    payload = CODECS[name].encode(tile_HW)
    np.testing.assert_array_equal(decoded(name, payload, shape), tile_HW)
    assert CODECS[name].encode(tile_HW) == payload


def test_payloads_are_files_of_their_formats():
    for name, decompress in BYTES.items():
        levels = np.frombuffer(decompress(CODECS[name].encode(NOISE)), np.uint8)
        np.testing.assert_array_equal(levels[: NOISE.size], NOISE.ravel())
        half = np.frombuffer(decompress(CODECS[name].encode(NOISE // 16)), np.uint8)
        np.testing.assert_array_equal(half[: NOISE.size // 2] >> 4, NOISE.ravel()[:-1:2] // 16)
    with Image.open(io.BytesIO(CODECS["webp"].encode(NOISE))) as image:
        np.testing.assert_array_equal(np.asarray(image)[..., 1], NOISE)
    assert CODECS["gzip"].encode(NOISE)[4:8] == bytes(4)  # no time of writing


@pytest.mark.parametrize("name", ON_EIGHT_BITS)
def test_what_is_cut_longer_or_of_another_size_is_refused(name):
    payload = CODECS[name].encode(NOISE)
    broken = [payload[:n] for n in (0, 10, 24, len(payload) - 9)]
    broken += [b"hello" * 9] + ([payload + b"x"] if name in BYTES else [])
    for wrong in broken:
        with pytest.raises(CodecError, match=r"not (a )?readable|ends too"):
            decoded(name, wrong)
    for size, dtype in (((24, 40), np.uint8), ((19, 33), np.uint16)):
        with pytest.raises(CodecError):
            decoded(name, payload, size, dtype)
    with pytest.raises(CodecError, match="8 bits a pixel, not uint16"):
        CODECS[name].encode(NOISE.astype(np.uint16))
    with pytest.raises(CodecError, match=f"at most {MOST_PIXELS} pixels"):
        CODECS[name].encode(np.broadcast_to(np.uint8(0), (4096, 4097)))
    with pytest.raises(CodecError, match=f"at most {MOST_PIXELS} pixels"):
        decoded(name, payload, (4096, 4097))


def test_a_webp_of_colours_or_of_another_kind_is_refused():
    colours = np.stack([NOISE, NOISE, NOISE.T.reshape(NOISE.shape)], -1)
    with pytest.raises(CodecError, match="colours"):
        decoded("webp", saved(colours, "WEBP", lossless=True))
    with pytest.raises(CodecError, match="no lossless picture"):
        decoded("webp", saved(colours, "WEBP"))


@pytest.mark.parametrize("name", BYTES)
def test_a_payload_that_swells_takes_the_memory_of_its_tile(name):
    swollen = {"gzip": gzip, "bz2": bz2, "lzma": lzma}[name]
    options = {"format": lzma.FORMAT_ALONE} if name == "lzma" else {}
    payload = swollen.compress(bytes(2**26), **options)
    tracemalloc.start()
    with pytest.raises(CodecError):
        decoded(name, payload)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24
