"""A picture comes back from its JPEG, and one that cannot is an error."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.coding.pictures import PictureError, decode_picture, encode_picture

IMAGE_HW3 = np.full((16, 32, 3), (200, 100, 50), np.uint8)


def test_a_picture_is_pillows_jpeg_and_comes_back() -> None:
    buffer = io.BytesIO()
    Image.fromarray(IMAGE_HW3).save(buffer, "JPEG", quality=95)
    coded = encode_picture(IMAGE_HW3, "jpeg-95")
    assert coded == buffer.getvalue()
    assert np.abs(decode_picture(coded).astype(int) - IMAGE_HW3).max() < 3


@pytest.mark.parametrize("codec", ["png", "jpeg", "jpeg-0", "jpeg-101", "jpeg-x", "webp-90"])
def test_what_is_no_codec_of_pictures_is_refused(codec: str) -> None:
    with pytest.raises(PictureError, match=f"'{codec}' is no codec of pictures; allowed are jpeg"):
        encode_picture(IMAGE_HW3, codec)


@pytest.mark.filterwarnings("error")
def test_a_picture_that_cannot_be_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    coded = encode_picture(IMAGE_HW3, "jpeg-95")
    for length in (0, 20, -30):
        with pytest.raises(PictureError, match="cannot be decoded"):
            decode_picture(coded[:length])
    for most in (200, 400):  # 512 pixels: more than twice as many is an error, more a warning
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with pytest.raises(PictureError, match=r"a JPEG of \d+ bytes.*512 pixels"):
            decode_picture(coded)
