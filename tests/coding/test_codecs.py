import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.coding.codecs import CODECS, CodecError, codec_names, find_codec

SEED = np.random.default_rng(0)
NOISE = SEED.integers(0, 256, (19, 33)).astype(np.uint8)
SMOOTH = np.rint(127 + 120 * np.sin(np.add.outer(np.arange(24), np.arange(40)) / 9)).astype(
    np.uint8
)


def saved(array, file_format, **options):
    """What Pillow itself writes."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, file_format, **options)
    return buffer.getvalue()


def test_the_codecs_there_are():
    assert set(CODECS) == {"png"} | {f"jpeg-{quality}" for quality in range(1, 101)}
    assert CODECS["png"].lossless
    assert CODECS["png"].max_bits == 16
    assert not any(CODECS[name].lossless for name in CODECS if name != "png")
    assert all(CODECS[name].max_bits == 8 for name in CODECS if name != "png")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (64, 129)])
def test_png_gives_back_what_it_got(dtype, shape):
    tile_HW = SEED.integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)
    back = CODECS["png"].decode(CODECS["png"].encode(tile_HW))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, tile_HW)


def test_payloads_are_what_pillow_writes_by_default():
    assert CODECS["png"].encode(NOISE) == saved(NOISE, "PNG")
    for quality in (1, 75, 90, 100):
        assert CODECS[f"jpeg-{quality}"].encode(NOISE) == saved(NOISE, "JPEG", quality=quality)


def test_jpeg_at_its_best_is_nearly_lossless():
    back = CODECS["jpeg-100"].decode(CODECS["jpeg-100"].encode(NOISE))
    assert np.abs(back.astype(int) - NOISE).max() <= 2


def test_a_lower_quality_is_smaller_and_worse():
    payloads = [CODECS[f"jpeg-{quality}"].encode(SMOOTH) for quality in (10, 50, 95)]
    errors = [
        np.abs(CODECS["jpeg-50"].decode(payload).astype(float) - SMOOTH).mean()
        for payload in payloads
    ]
    assert sorted(payloads, key=len) == payloads
    assert sorted(errors, reverse=True) == errors


@settings(max_examples=60, deadline=None)
@given(quality=st.integers(1, 100), seed=st.integers(0, 99), name=st.sampled_from(["png", "jpeg"]))
def test_every_way_of_cutting_or_lengthening_a_payload_is_noticed(quality, seed, name):
    rng = np.random.default_rng(seed)
    tile_HW = rng.integers(0, 256, rng.integers(1, 20, 2)).astype(np.uint8)
    codec = find_codec(name if name == "png" else f"jpeg-{quality}")
    payload = codec.encode(tile_HW)
    for length in range(len(payload)):
        with pytest.raises(CodecError):
            codec.decode(payload[:length])
    for excess in (b"\0", b"\n", payload):
        with pytest.raises(CodecError, match=f"{len(excess)} bytes follow the end"):
            codec.decode(payload + excess)


@pytest.mark.parametrize("name", ["png", "jpeg-90"])
@pytest.mark.parametrize("payload", [b"", b"hello", b"\0" * 100])
def test_what_is_no_image_is_refused(name, payload):
    with pytest.raises(CodecError, match="cut short or damaged"):
        find_codec(name).decode(payload)


def test_the_image_of_another_codec_is_refused():
    with pytest.raises(CodecError):
        CODECS["png"].decode(CODECS["jpeg-90"].encode(NOISE))
    with pytest.raises(CodecError):
        CODECS["jpeg-90"].decode(CODECS["png"].encode(NOISE))


def test_a_colour_image_is_no_tile():
    with pytest.raises(CodecError, match=r"grey image .* mode RGB"):
        CODECS["png"].decode(saved(np.zeros((4, 4, 3), np.uint8), "PNG"))


def test_jpeg_refuses_sixteen_bits_and_sides_it_cannot_write():
    with pytest.raises(CodecError, match="8 bits a pixel, not uint16"):
        CODECS["jpeg-90"].encode(np.zeros((2, 2), np.uint16))
    with pytest.raises(CodecError, match="at most 65500 pixels a side; this tile has 1 x 65501"):
        CODECS["jpeg-90"].encode(np.zeros((1, 65501), np.uint8))
    widest = np.zeros((1, 65500), np.uint8)
    assert CODECS["jpeg-90"].decode(CODECS["jpeg-90"].encode(widest)).shape == (1, 65500)


@pytest.mark.parametrize("name", ["jpeg-0", "jpeg-101", "jpeg-090", "jpeg", "PNG", "webp", ""])
def test_an_unknown_name_is_answered_with_those_allowed(name):
    assert codec_names() == "png, jpeg-1 ... jpeg-100"
    with pytest.raises(CodecError, match=rf"no codec '{name}'; allowed are png, jpeg-1 \.\.\. "):
        find_codec(name)
