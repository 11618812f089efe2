"""Encoders of a few thousand parameters, for tests that need no ResNet-34."""

from torch import nn

from pipeline.nets.encoder import Encoder


def build_tiny(weights: str, normalised: bool = True) -> nn.Module:
    """Two convolutions; the weights are random whatever is asked for."""

    def block(before: int) -> list[nn.Module]:
        conv = nn.Conv2d(before, 8, 3, stride=2, padding=1, bias=False)
        return [conv, nn.BatchNorm2d(8) if normalised else nn.Identity(), nn.ReLU()]

    return nn.Sequential(*block(3), *block(8))


TINY = Encoder(build_tiny, channels=8, stride=4)
PLAIN = Encoder(lambda weights: build_tiny(weights, normalised=False), channels=8, stride=4)
"""Without batch norm: several processes on a CPU train what one does."""
