"""The cloud side: one decoder per task (paper, figure 1).

Upsampling steps of a transposed convolution (kernel 2, stride 2) and a 3x3 convolution, then a 1x1
convolution. There is no activation and no normalisation anywhere in them: that is the authors'
network, and 370,723 parameters for Encoder2's segmentation decoder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.nets.encoder import DECODER_KEYS, WeightsError, read_weights

if TYPE_CHECKING:
    from torch import Tensor, nn


def decoder(channels: Sequence[int], outputs: int) -> nn.Module:
    """Return a decoder whose step i maps channels[i] to channels[i + 1] at twice the size."""
    from torch import nn

    steps: list[nn.Module] = []
    for before, after in pairwise(channels):
        steps += [nn.ConvTranspose2d(before, after, 2, stride=2)]
        steps += [nn.Conv2d(after, after, 3, padding=1)]
    layers = nn.Sequential(*steps, nn.Conv2d(channels[-1], outputs, 1))
    layers.apply(_keep_variance)
    return layers


def _keep_variance(layer: nn.Module) -> None:
    """Set initial weights with which a linear layer's output varies as much as its input.

    torch's own are meant for layers with activations between them. Without any, each step up would
    shrink the signal to a quarter, and training would begin at a thousandth of it and less.
    """
    from torch import nn

    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        # What a value of the output is summed over: at a stride of its kernel's size a transposed
        # convolution adds up one value of each channel, a convolution its whole kernel.
        window = math.prod(layer.kernel_size) if isinstance(layer, nn.Conv2d) else 1
        nn.init.normal_(layer.weight, std=(layer.in_channels * window) ** -0.5)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)


def decoder_state(decoders: nn.ModuleDict, encoder: str) -> dict[str, Tensor]:
    """Return the weights of an encoder's decoders under the names that a weights file has."""
    return {
        f"{DECODER_KEYS}{encoder}.{key}": value.contiguous()
        for key, value in decoders.state_dict().items()
    }


def load_decoders(decoders: nn.ModuleDict, encoder: str, path: Path) -> None:
    """Load each decoder that a weights file holds for this encoder; leave the others as they are.

    Raises WeightsError if a decoder in the file has another shape.
    """
    state = read_weights(path)
    for task, net in decoders.items():
        start = f"{DECODER_KEYS}{encoder}.{task}."
        own = {k.removeprefix(start): x for k, x in state.items() if k.startswith(start)}
        try:
            if own:
                net.load_state_dict(own)
        except RuntimeError as error:
            raise WeightsError(
                f"model.file: {path} holds another decoder of {task} for {encoder}: {error}"
            ) from error


def _halving(channels: int, stride: int) -> list[int]:
    # 512-256-...-16 for 5 doublings (stride 32), 256-128-...-16 for 4.
    return [channels >> i for i in range(stride.bit_length())]


def _wide(channels: int, stride: int) -> list[int]:
    # The disparity decoder keeps its width for the first step: 512-512-256-...-32.
    return [channels, *_halving(channels, stride)[:-1]]


DECODERS: dict[str, Callable[[int, int], nn.Module]] = {
    "segmentation": lambda channels, stride: decoder(_halving(channels, stride), outputs=19),
    "disparity": lambda channels, stride: decoder(_wide(channels, stride), outputs=1),
    "reconstruction": lambda channels, stride: decoder(_halving(channels, stride), outputs=3),
}
"""Task -> the decoder for features of so many channels at so large a stride (a power of two)."""
