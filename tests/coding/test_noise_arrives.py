"""Whether the noise of training survives rounding to bfloat16, on features of a real net."""

from pathlib import Path

import torch

from pipeline.coding.quantizer import add_noise
from pipeline.nets.split import SplitNet
from pipeline.streets.draw import draw


def unchanged(features_BChw: torch.Tensor, **noise: object) -> float:
    """The share of the features that are not 0 and stay what they were."""
    noisy_BChw = add_noise(features_BChw, **noise)  # type: ignore[arg-type]
    return float((noisy_BChw == features_BChw)[features_BChw != 0].float().mean())


@torch.no_grad()
def test_half_a_step_arrives_in_bfloat16_and_the_authors_noise_needs_float32(
    repository: Path,
) -> None:
    """Encoder2 with the weights that the repository ships, on a street."""
    torch.manual_seed(0)
    net = SplitNet("encoder2", [], str(repository / "weights/streets.safetensors")).eval()
    image_HW3 = torch.from_numpy(draw(5, "val", 0, 192, 96).image_HW3)
    features_BChw = net.front(image_HW3.permute(2, 0, 1)[None].float() / 255)
    for bits in (3, 4, 5):
        assert unchanged(features_BChw.bfloat16(), noise="half-step", bits=bits) < 0.05
    assert unchanged(features_BChw.bfloat16(), noise="fixed", amplitude=0.002) > 0.4
    assert unchanged(features_BChw, noise="fixed", amplitude=0.002) < 0.001
