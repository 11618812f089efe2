"""The network cut in two: the front runs on the edge, the back in the cloud."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline.nets.decoder import DECODERS, load_decoders
from pipeline.nets.encoder import ENCODERS, IMAGENET_MEAN, IMAGENET_STD, start_residuals


class SplitOutput(NamedTuple):
    """What one pass through both halves gives."""

    features_BChw: Tensor
    """What the edge would code and send, before the surrogate."""
    predictions: dict[str, Tensor]
    """Per task, float: segmentation B19HW logits, disparity B1HW pixels of the original width,
    reconstruction B3HW in about [0, 1]."""


class SplitNet(nn.Module):
    """An encoder and one decoder per task, all fed by the same features (paper, figure 1).

    encoder: a name in `ENCODERS`; tasks: names in `DECODERS`; weights: what the encoder starts
    from, `none`, `imagenet` or the path of a ResNet-34 state dict. residual_init: `zero`, or
    `torch` for torchvision's own start of residual blocks, which matters from `none` alone.
    decoder_init: `file` takes those decoders that the weights file holds for this encoder;
    `variance` and `torch` (torch's own) are random.
    """

    mean_311: Tensor
    std_311: Tensor

    def __init__(
        self,
        encoder: str,
        tasks: Sequence[str],
        weights: str = "none",
        *,
        residual_init: str = "zero",
        decoder_init: str = "variance",
    ) -> None:
        super().__init__()
        spec = ENCODERS[encoder]
        self.encoder = spec.build(weights)
        if weights == "none" and residual_init == "torch":
            start_residuals(self.encoder)
        self.decoders = nn.ModuleDict(
            {task: DECODERS[task](spec.channels, spec.stride) for task in tasks}
        )
        if decoder_init == "file" and weights not in ("none", "imagenet"):
            load_decoders(self.decoders, encoder, Path(weights))
        if decoder_init == "torch":
            for layer in self.decoders.modules():
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                    layer.reset_parameters()
        self.register_buffer("mean_311", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), False)
        self.register_buffer("std_311", torch.tensor(IMAGENET_STD).view(3, 1, 1), False)

    def front(self, image_B3HW: Tensor) -> Tensor:
        """Return features B x C x h x w of images in [0, 1]."""
        return self.encoder((image_B3HW - self.mean_311) / self.std_311)

    def back(self, features_BChw: Tensor) -> dict[str, Tensor]:
        """Return the prediction of each task, at the resolution of the image."""
        return {task: net(features_BChw) for task, net in self.decoders.items()}

    def forward(
        self, image_B3HW: Tensor, surrogate: Callable[[Tensor], Tensor] = lambda x: x
    ) -> SplitOutput:
        """Run both halves; `surrogate` stands between them for quantiser and codec, in training."""
        features_BChw = self.front(image_B3HW)
        return SplitOutput(features_BChw, self.back(surrogate(features_BChw)))


class StackedPredictions(nn.Module):
    """A net as a function of one tensor to one tensor, the form that model stores take.

    Images B3HW in [0, 1] to B x (19 + 1 + 3) x H x W: the predictions of the tasks, in their
    order, stacked by channel.
    """

    def __init__(self, net: SplitNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image_B3HW: Tensor) -> Tensor:
        return torch.cat(list(self.net(image_B3HW).predictions.values()), dim=1)
