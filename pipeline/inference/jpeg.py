"""The classical alternative to coded features: the picture itself, sent as JPEG."""

import io
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pipeline.inference.edge import BATCH
from pipeline.nets.split import SplitNet


class PictureError(ValueError):
    """A coded picture cannot be decoded; the message says which."""


def jpeg(image_HW3: np.ndarray, quality: int) -> bytes:
    """Return the input picture as it would be sent if the whole network ran in the cloud."""
    buffer = io.BytesIO()
    Image.fromarray(image_HW3).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@torch.no_grad()
def whole_network(net: SplitNet, coded: Sequence[bytes], device: torch.device) -> Iterator[Tensor]:
    """Yield the features of coded pictures, batch by batch."""
    yield from map(net.front, decoded_pictures(coded, device))


def decoded_pictures(coded: Sequence[bytes], device: torch.device) -> Iterator[Tensor]:
    """Yield coded pictures as B x 3 x H x W float32 in 0 to 1, `BATCH` at a time.

    Raises PictureError if one cannot be decoded.
    """
    for start in range(0, len(coded), BATCH):
        images = [_decoded(coded[n], n) for n in range(start, min(start + BATCH, len(coded)))]
        image_BHW3 = torch.from_numpy(np.stack(images)).to(device)
        yield image_BHW3.permute(0, 3, 1, 2).float() / 255


def _decoded(picture: bytes, index: int) -> np.ndarray:
    try:
        return np.array(Image.open(io.BytesIO(picture), formats=("JPEG",)))
    except (OSError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(
            f"picture {index}, a JPEG of {len(picture)} bytes, cannot be decoded: {error}"
        ) from error
