"""ResNet-34 (He et al., CVPR 2016) as torchvision builds it: the same layers, names and sums.

It stands here because `import torchvision` loads torch's compiler too. That would take 1.3 s of
processor time in every stage that opens a net.
"""

from itertools import pairwise

from torch import Tensor, nn

WIDTHS = (64, 128, 256, 512)
BLOCKS = (3, 4, 6, 3)
"""Channels and number of blocks of layer1 to layer4."""


class Block(nn.Module):
    """Two 3x3 convolutions beside an identity; the first block of a layer may halve the size."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = None
        if stride != 1:
            shortcut = nn.Conv2d(before, after, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(after))

    def forward(self, x_BChw: Tensor) -> Tensor:
        """Return B x after x h / stride x w / stride."""
        y_BChw = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x_BChw)))))
        y_BChw += x_BChw if self.downsample is None else self.downsample(x_BChw)
        return self.relu(y_BChw)


def resnet34() -> nn.ModuleDict:
    """Return the layers of a ResNet-34 up to its pooling, by torchvision's names, in order.

    Their first weights are torchvision's, with `zero_init_residual`: each block is an identity.
    """
    layers = nn.ModuleDict(
        {
            "conv1": nn.Conv2d(3, WIDTHS[0], 7, 2, padding=3, bias=False),
            "bn1": nn.BatchNorm2d(WIDTHS[0]),
            "relu": nn.ReLU(inplace=True),
            "maxpool": nn.MaxPool2d(3, 2, padding=1),
        }
    )
    steps = pairwise((WIDTHS[0], *WIDTHS))
    for number, ((before, after), count) in enumerate(zip(steps, BLOCKS, strict=True), start=1):
        first = Block(before, after, stride=1 if before == after else 2)
        rest = (Block(after, after, stride=1) for _ in range(count - 1))
        layers[f"layer{number}"] = nn.Sequential(first, *rest)
    for module in layers.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, Block):
            nn.init.zeros_(module.bn2.weight)
    return layers
