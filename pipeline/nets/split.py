"""The network cut in two: the front runs on the edge, the back in the cloud."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline.nets.bottleneck import Bottleneck
from pipeline.nets.decoder import DECODERS, load_decoders
from pipeline.nets.encoder import ENCODERS, IMAGENET_MEAN, IMAGENET_STD, start_residuals


class SplitOutput(NamedTuple):
    """What one pass through both halves gives."""

    features_BChw: Tensor
    """What the edge would code and send, before the surrogate."""
    predictions: dict[str, Tensor]
    """Per task, float: segmentation B19HW logits, disparity B1HW pixels of the original width,
    reconstruction B3HW in about [0, 1]."""
    bits_B: Tensor | None = None
    """In training, with a bottleneck: the bits that each image's features will cost."""


class SplitNet(nn.Module):
    """An encoder and one decoder per task, all fed by the same features (paper, figure 1).

    encoder: a name in `ENCODERS`; tasks: names in `DECODERS`; weights: what the encoder starts
    from, `none`, `imagenet` or the path of a ResNet-34 state dict. residual_init: `zero`, or
    `torch` for torchvision's own start of residual blocks, which matters from `none` alone.
    decoder_init: `file` takes those decoders that the weights file holds for this encoder;
    `variance` and `torch` (torch's own) are random. components: with a number above 0 a bottleneck
    of so many components stands between the halves, and they are what is sent.
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
        components: int = 0,
    ) -> None:
        super().__init__()
        spec = ENCODERS[encoder]
        self.spec = spec
        self.frozen = False
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
        self.bottleneck = Bottleneck(spec.channels, components) if components else None
        self.register_buffer("mean_311", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), False)
        self.register_buffer("std_311", torch.tensor(IMAGENET_STD).view(3, 1, 1), False)

    def shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Return the shape of what is sent for a frame of so many pixels."""
        channels, h, w = self.spec.shape(height, width)
        return self.bottleneck.down.out_channels if self.bottleneck else channels, h, w

    def freeze_encoder(self) -> None:
        """Keep the encoder as it is, batch norm too, however long the rest is trained."""
        self.encoder.requires_grad_(False)
        self.frozen = True

    def train(self, mode: bool = True) -> "SplitNet":
        """Set training or evaluation mode; a frozen encoder stays in evaluation."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def features(self, image_B3HW: Tensor) -> Tensor:
        """Return the encoder's features B x C x h x w of images in [0, 1]."""
        return self.encoder((image_B3HW - self.mean_311) / self.std_311)

    def front(self, image_B3HW: Tensor) -> Tensor:
        """Return what is sent of images in [0, 1]: features B x C x h x w, or components BKhw."""
        features_BChw = self.features(image_B3HW)
        return self.bottleneck.compress(features_BChw) if self.bottleneck else features_BChw

    def back(self, features_BChw: Tensor) -> dict[str, Tensor]:
        """Return the prediction of each task, at the resolution of the image."""
        if self.bottleneck:
            features_BChw = self.bottleneck.expand(features_BChw)
        return {task: net(features_BChw) for task, net in self.decoders.items()}

    def forward(
        self, image_B3HW: Tensor, surrogate: Callable[[Tensor], Tensor] = lambda x: x
    ) -> SplitOutput:
        """Run both halves; `surrogate` stands between them for quantiser and codec, in training."""
        features_BChw = self.front(image_B3HW)
        bits_B = None
        if self.bottleneck and self.training:
            bits_B = self.bottleneck.bits(features_BChw)
        return SplitOutput(features_BChw, self.back(surrogate(features_BChw)), bits_B)


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
