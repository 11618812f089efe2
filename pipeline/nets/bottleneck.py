"""The entropy arm's edge and cloud: 1x1 convolutions to few components and back, and their prior.

It starts as the Karhunen-Loève transform of the features that the encoder starts with. So training
begins near a network without it.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from pipeline.coding.entropy import FactorizedPrior


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
    def start(self, features: Iterable[Tensor], step: float) -> None:
        """Start as the KLT of the given features, in batches B x C x h x w.

        step: of the quantiser, in standard deviations of all features together.
        """
        count, total_C, products_CC = 0, torch.zeros(()), torch.zeros(())
        for features_BChw in features:
            rows_NC = features_BChw.double().permute(0, 2, 3, 1).flatten(0, 2).cpu()
            count += len(rows_NC)
            total_C = total_C + rows_NC.sum(0)
            products_CC = products_CC + rows_NC.T @ rows_NC
        mean_C = total_C / count
        covariance_CC = products_CC / count - mean_C[:, None] * mean_C
        power = products_CC.trace() / (count * len(mean_C)) - mean_C.mean() ** 2
        size = step * power.sqrt()
        variances, basis_CC = torch.linalg.eigh(covariance_CC)
        largest = torch.arange(len(mean_C) - 1, -1, -1)[: self.down.out_channels]
        basis_CK = basis_CC[:, largest]
        for layer, weight, bias in (
            (self.down, basis_CK.T / size, -(basis_CK.T @ mean_C) / size),
            (self.up, basis_CK * size, mean_C),
        ):
            assert layer.bias is not None
            layer.weight.copy_(weight[:, :, None, None])
            layer.bias.copy_(bias)
        self.prior.start((variances[largest].clamp(min=0).sqrt() / size).float())
