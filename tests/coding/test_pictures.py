"""A picture comes back from its JPEG, and one that cannot is an error."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.coding.pictures import PictureError, container_bytes, decode_picture, encode_picture

IMAGE_HW3 = np.full((16, 32, 3), (200, 100, 50), np.uint8)


NOISE_HW3 = np.random.default_rng(0).integers(0, 256, (17, 31, 3)).astype(np.uint8)
FAMILIES = ("jpeg", "webp", "avif")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_picture_comes_back_and_a_better_one_costs_more(family: str) -> None:
    coded = encode_picture(IMAGE_HW3, f"{family}-95")
    assert Image.open(io.BytesIO(coded)).format == family.upper()
    assert np.abs(decode_picture(coded).astype(int) - IMAGE_HW3).max() < 5
    sizes = [len(encode_picture(NOISE_HW3, f"{family}-{q}")) for q in (1, 50, 100)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("image_HW3", [IMAGE_HW3, NOISE_HW3])
def test_without_its_container_a_picture_is_the_coded_data_alone(image_HW3: np.ndarray) -> None:
    jpeg, webp, avif = (encode_picture(image_HW3, f"{x}-60") for x in FAMILIES)
    assert container_bytes(jpeg) == len(jpeg) - len(jpeg[20:-2])
    assert jpeg[6:10] == b"JFIF"
    assert jpeg[20:22] == b"\xff\xdb"  # quantisation tables
    assert container_bytes(webp) - 20 in (
        0,
        1,
    )  # RIFF, size, WEBP, VP8, size; and a byte of filling
    assert webp[23:26] == b"\x9d\x01\x2a"  # start code of a key frame, after its 3 bytes of head
    data = avif.partition(b"mdat")[2]
    assert container_bytes(avif) == len(avif) - len(data)


def test_an_unknown_structure_is_refused() -> None:
    jpeg, webp, avif = (encode_picture(NOISE_HW3, f"{x}-60") for x in FAMILIES)
    for picture in (b"", b"hello", jpeg[:-1], b"\xff\xd8" + jpeg[20:], webp[:-9], avif[:-1]):
        with pytest.raises(PictureError, match="structure"):
            container_bytes(picture)


@pytest.mark.parametrize(
    "codec", ["png", "jpeg", "jpeg-0", "jpeg-101", "avif-x", "webp-²", "gif-9"]
)
def test_what_is_no_codec_of_pictures_is_refused(codec: str) -> None:
    with pytest.raises(PictureError, match=f"'{codec}' is no codec of pictures; allowed are jpeg"):
        encode_picture(IMAGE_HW3, codec)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("error")
def test_a_picture_that_cannot_be_decoded(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    coded = encode_picture(NOISE_HW3, f"{family}-95")
    for length in (0, 20, len(coded) // 2):
        with pytest.raises(PictureError, match="cannot be decoded"):
            decode_picture(coded[:length])
    monkeypatch.setattr("pipeline.coding.pictures.MOST_PIXELS", 526)
    with pytest.raises(PictureError, match="17 x 31 pixels, of which 526"):
        decode_picture(coded)
