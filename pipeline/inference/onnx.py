"""The edge device without torch: ONNX Runtime, NumPy, Pillow and the range coder."""

import io
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.data.prepare import reduce_image
from pipeline.inference.bundle import EDGE, Bundle, BundleError
from pipeline.inference.edge import encode_one

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF")
MOST_PIXELS = 2**25
"""Largest picture that is opened; a few bytes can stand for any number of pixels."""


class PictureError(ValueError):
    """A file that is no picture which the edge device takes."""


class Edge:
    """The edge half of a bundle: picture -> features -> bitstream.

    The same bundle on the same machine gives the same bytes every time, with any number of threads.
    Raises BundleError if ONNX Runtime cannot load the graph.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        try:
            self._session = onnxruntime.InferenceSession(
                str(bundle.folder / EDGE), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime has a type for each reason, and no common one
            raise BundleError(f"{bundle.folder / EDGE} cannot be loaded: {error}") from error

    def features(self, image_HW3: np.ndarray) -> np.ndarray:
        """Return the features C x h x w, float32, of a picture of the model's size, uint8 RGB."""
        (features_1Chw,) = self._session.run(None, {"picture": image_HW3[None]})
        return np.asarray(features_1Chw)[0]

    def encode(self, image_HW3: np.ndarray) -> bytes:
        """Return the bitstream of a picture of the model's size, uint8 RGB."""
        _, about, point, fitted = self.bundle
        return encode_one(self.features(image_HW3), point, fitted, about.range_percent)

    def read(self, picture: Path | bytes) -> np.ndarray:
        """Return a picture as H x W x 3, uint8, of the model's size.

        It is turned as its EXIF data say, then stretched, not cropped, as the frames of the
        training set are (`reduce_image`). Raises PictureError for what is not a JPEG, PNG, WebP or
        AVIF picture of 8 bits.
        """
        try:
            source = io.BytesIO(picture) if isinstance(picture, bytes) else picture
            with Image.open(source, formats=FORMATS) as image:
                if image.mode[0] in "IF":
                    raise ValueError("it has more than 8 bits a value")
                if image.width * image.height > MOST_PIXELS:
                    raise ValueError(
                        f"it has {image.height} x {image.width} pixels, of which {MOST_PIXELS:,} "
                        "are allowed"
                    )
                about = self.bundle.about
                upright = ImageOps.exif_transpose(image).convert("RGB")
                return reduce_image(upright, width=about.width, height=about.height)
        except UnidentifiedImageError as error:
            raise PictureError(f"it is no whole picture; taken are {', '.join(FORMATS)}") from error
        except Exception as error:  # Pillow has no common type for what broken files make it raise
            raise PictureError(f"the picture cannot be read: {error}") from error
