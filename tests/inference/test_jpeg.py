"""Holds that a picture comes back from its JPEG, and that one that cannot is told by its index."""

import numpy as np
import pytest
import torch
from PIL import Image
from pipeline.inference.jpeg import PictureError, decoded_pictures, jpeg

from pipeline.inference.edge import BATCH

IMAGE_HW3 = np.full((16, 32, 3), (200, 100, 50), np.uint8)


def decoded(coded: list[bytes]) -> list[torch.Tensor]:
    return list(decoded_pictures(coded, torch.device("cpu")))


def test_pictures_come_back_in_batches() -> None:
    batches = decoded([jpeg(IMAGE_HW3, 95)] * (BATCH + 1))
    assert [tuple(x.shape) for x in batches] == [(BATCH, 3, 16, 32), (1, 3, 16, 32)]
    expected = torch.tensor([200, 100, 50])[:, None, None] / 255
    for batch in batches:
        assert (batch - expected).abs().max() < 3 / 255


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("most", [200, 400])  # 512 pixels: more than twice as many is an error
def test_more_pixels_than_pillow_decodes(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    coded = jpeg(IMAGE_HW3, 95)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    with pytest.raises(PictureError, match=r"picture 0, a JPEG of \d+ bytes.*512 pixels"):
        decoded([coded])


@pytest.mark.parametrize("length", [0, 20, -30])
def test_a_picture_cut_short(length: int) -> None:
    coded = jpeg(IMAGE_HW3, 95)
    with pytest.raises(PictureError, match="picture 9, "):
        decoded([*[coded] * 9, coded[:length]])
