"""A learned model of the bits that rounded values cost (Ballé et al. 2018, a factorised prior).

The density of each channel is a mixture of three logistic distributions. A value that was rounded
to the whole number q has the probability CDF(q + 1/2) - CDF(q - 1/2). In training uniform noise of
one step's width stands for the rounding, and y takes the place of q.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MIXTURE = 3
"""Logistic distributions per channel."""


class FactorizedPrior(nn.Module):
    """The density of each of K channels; the values of a channel are independent of each other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.logits_KM = nn.Parameter(torch.zeros(channels, MIXTURE))
        self.means_KM = nn.Parameter(torch.zeros(channels, MIXTURE))
        self.log_scales_KM = nn.Parameter(torch.zeros(channels, MIXTURE))

    @torch.no_grad()
    def start(self, deviation_K: Tensor) -> None:
        """Spread each channel as values around 0 of this standard deviation, in steps, lie."""
        self.means_KM.copy_(deviation_K[:, None] * torch.tensor([-0.5, 0.0, 0.5]))
        scales_KM = deviation_K[:, None] * torch.tensor([0.4, 0.15, 0.4])
        self.log_scales_KM.copy_(scales_KM.clamp(min=0.05).log())

    def bits(self, values_BKhw: Tensor) -> Tensor:
        """Return -log2 of the probability of each image's values, summed, (B,).

        It is worked out in logarithms, so that a value far out in a tail still has a gradient:
        sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)).
        """
        values_BKhwM = values_BKhw[..., None]
        scales_KM = self.log_scales_KM.exp()
        factors_KM = self.logits_KM.log_softmax(1) + torch.log(-torch.expm1(-1 / scales_KM))
        means, scales, factors = (
            x[:, None, None, :] for x in (self.means_KM, scales_KM, factors_KM)
        )
        above = F.logsigmoid((values_BKhwM + 0.5 - means) / scales)
        below = F.logsigmoid(-(values_BKhwM - 0.5 - means) / scales)
        nats = torch.logsumexp(factors + above + below, -1)
        return -nats.sum((1, 2, 3)) / math.log(2)

    @torch.no_grad()
    def cdf(self, values_KS: Tensor) -> Tensor:
        """Return the probability of a value below each of S given ones, per channel; float64."""
        logits, means, log_scales = (
            x.double()[:, None, :] for x in (self.logits_KM, self.means_KM, self.log_scales_KM)
        )
        below_KSM = torch.sigmoid((values_KS.double()[..., None] - means) / log_scales.exp())
        return (logits.softmax(-1) * below_KSM).sum(-1)
