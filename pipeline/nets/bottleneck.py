"""The entropy arm's edge and cloud: 1x1 convolutions to few components and back, and their prior.

It starts as the Karhunen-Loève transform of the features that the encoder starts with. So training
begins near a network without it.
"""

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.coding.entropy import FactorizedPrior
from pipeline.coding.klt import Klt


class Bottleneck(nn.Module):
    """C features to K components, in steps of the quantiser, and back.

    All of it is worked out in float32, also under autocast: a component spans many steps, and
    bfloat16 would round them once more.
    """

    def __init__(self, channels: int, components: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, components, 1)
        self.up = nn.Conv2d(components, channels, 1)
        self.prior = FactorizedPrior(components)

    def compress(self, features_BChw: Tensor) -> Tensor:
        """Return components B x K x h x w; their quantiser has a step of 1."""
        with torch.autocast(features_BChw.device.type, enabled=False):
            return self.down(features_BChw.float())

    def expand(self, components_BKhw: Tensor) -> Tensor:
        """Return features B x C x h x w, none below 0, as those of the encoder are."""
        with torch.autocast(components_BKhw.device.type, enabled=False):
            return self.up(components_BKhw.float()).relu()

    def bits(self, components_BKhw: Tensor) -> Tensor:
        """Return the bits that each image's components will cost, (B,), estimated with noise."""
        with torch.autocast(components_BKhw.device.type, enabled=False):
            noise_BKhw = torch.empty_like(components_BKhw).uniform_(-0.5, 0.5)
            return self.prior.bits(components_BKhw + noise_BKhw)

    @torch.no_grad()
    def start(self, klt: Klt, step: float) -> None:
        """Start as the KLT of the encoder's features.

        step: of the quantiser, in standard deviations of all features together.
        """
        size = step * klt.deviation
        basis_CK = klt.basis_CK[:, : self.down.out_channels]
        for layer, weight, bias in (
            (self.down, basis_CK.T / size, -(klt.mean_C @ basis_CK) / size),
            (self.up, basis_CK * size, klt.mean_C),
        ):
            assert layer.bias is not None
            layer.weight.copy_(torch.from_numpy(weight[:, :, None, None]))
            layer.bias.copy_(torch.from_numpy(bias))
        deviation_K = np.sqrt(klt.variance_K[: self.down.out_channels]) / size
        self.prior.start(torch.from_numpy(deviation_K).float())
