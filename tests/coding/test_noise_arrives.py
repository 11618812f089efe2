"""Whether the noise of training survives rounding to bfloat16, on features of a real net."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.coding.quantizer import add_noise
from pipeline.data.prepare import reduce_image
from pipeline.nets.split import SplitNet
from pipeline.streets.draw import draw


@pytest.fixture(scope="module")
def features_BChw(repository: Path) -> torch.Tensor:
    """Features of Encoder2 with the weights that the repository ships, of two streets."""
    net = SplitNet("encoder2", [], str(repository / "weights/streets.safetensors")).eval()
    frames = [Image.fromarray(draw(5, "val", i, 384, 192).image_HW3) for i in range(2)]
    images = np.stack([reduce_image(frame, width=192, height=96) for frame in frames])
    with torch.no_grad():
        return net.front(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)


def unchanged(features_BChw: torch.Tensor, **noise: object) -> float:
    """The share of the features that are not 0 and stay what they were."""
    torch.manual_seed(0)
    noisy_BChw = add_noise(features_BChw, **noise)  # type: ignore[arg-type]
    return float((noisy_BChw == features_BChw)[features_BChw != 0].float().mean())


@pytest.mark.parametrize("bits", [3, 4, 5])
def test_half_a_step_of_the_depth_in_use_arrives_in_bfloat16(
    features_BChw: torch.Tensor, bits: int
) -> None:
    assert unchanged(features_BChw.bfloat16(), noise="half-step", bits=bits) < 0.05


def test_the_small_noise_of_the_authors_code_needs_float32(features_BChw: torch.Tensor) -> None:
    small = {"noise": "fixed", "amplitude": 0.002}
    assert unchanged(features_BChw.bfloat16(), **small) > 0.4
    assert unchanged(features_BChw, **small) < 0.001
