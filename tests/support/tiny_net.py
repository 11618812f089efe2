"""An encoder of a few thousand parameters, for tests that need no ResNet-34."""

from torch import nn

from pipeline.nets.encoder import Encoder


def build_tiny(weights: str) -> nn.Module:
    """Two convolutions; the weights are random whatever is asked for."""

    def block(before: int) -> list[nn.Module]:
        conv = nn.Conv2d(before, 8, 3, stride=2, padding=1, bias=False)
        return [conv, nn.BatchNorm2d(8), nn.ReLU()]

    return nn.Sequential(*block(3), *block(8))


TINY = Encoder(build_tiny, channels=8, stride=4)
