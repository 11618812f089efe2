"""The rival of coded features: codecs of the input picture itself."""

import io

import numpy as np
from PIL import Image


class PictureError(ValueError):
    """No such codec of pictures, or a coded picture that cannot be decoded."""


def jpeg_quality(codec: str) -> int:
    """Return the quality in `jpeg-90`. Raises PictureError unless it is 1 to 100."""
    family, _, quality = codec.partition("-")
    if family != "jpeg" or not quality.isdecimal() or not 1 <= int(quality) <= 100:
        raise PictureError(f"{codec!r} is no codec of pictures; allowed are jpeg-1 to jpeg-100")
    return int(quality)


def encode_picture(image_HW3: np.ndarray, codec: str) -> bytes:
    """Return the input picture as it would be sent if the whole network ran in the cloud.

    image_HW3: uint8, RGB. codec: such as `jpeg-90`. Raises PictureError for another.
    """
    buffer = io.BytesIO()
    Image.fromarray(image_HW3).save(buffer, "JPEG", quality=jpeg_quality(codec))
    return buffer.getvalue()


def decode_picture(picture: bytes) -> np.ndarray:
    """Return image_HW3, uint8, of a coded picture. Raises PictureError if it cannot be decoded."""
    try:
        return np.array(Image.open(io.BytesIO(picture), formats=("JPEG",)))
    except (OSError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(
            f"a picture, a JPEG of {len(picture)} bytes, cannot be decoded: {error}"
        ) from error
