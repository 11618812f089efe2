"""The edge side: ResNet-34 up to a cut (paper, section 3).

An encoder is an entry of `ENCODERS`; what a stage must know before any net exists (channels,
stride) stands beside its builder. torch and torchvision are imported where a net is built, so that
checking settings and encoding streams do not wait seconds for them.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class WeightsError(ValueError):
    """Initial weights that cannot be read or do not fit a ResNet-34."""


class Encoder(NamedTuple):
    """What an encoder makes of an image of 3 x H x W: `channels` x H / `stride` x W / `stride`."""

    build: Callable[[str], nn.Module]
    """From `none`, `imagenet` or the path of a ResNet-34 state dict to a module."""
    channels: int
    stride: int

    def shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Return C, h, w of the features of a frame of so many pixels."""
        return self.channels, height // self.stride, width // self.stride


DECODER_KEYS = "decoders."
"""A weights file may hold decoders too, as `decoders.<encoder>.<task>.<name>`."""
_LAYERS = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


def backbone_state(encoder: nn.Module) -> dict[str, Tensor]:
    """Return the weights of a whole encoder under the names of torchvision's ResNet-34.

    Without the batch counters, which nothing reads.
    """
    named = ((key.partition("."), value) for key, value in encoder.state_dict().items())
    return {
        f"{_LAYERS[int(index)]}.{rest}": value.contiguous()
        for (index, _, rest), value in named
        if not rest.endswith("num_batches_tracked")
    }


def start_residuals(encoder: nn.Module) -> None:
    """Give residual blocks torchvision's own start: the scale of their last norm is 1, not 0."""
    from torch import nn
    from torchvision.models.resnet import BasicBlock

    for block in encoder.modules():
        if isinstance(block, BasicBlock):
            nn.init.ones_(block.bn2.weight)


def _resnet34(weights: str, blocks: int) -> nn.Module:
    from torch import nn
    from torchvision.models import ResNet34_Weights, resnet34

    # From random weights, residual blocks begin as identities: Encoder1 learns in a few hundred
    # steps what otherwise takes it many more (benchmarks/RESULTS.md).
    net = resnet34(
        weights=ResNet34_Weights.IMAGENET1K_V1 if weights == "imagenet" else None,
        zero_init_residual=True,
    )
    if weights not in ("none", "imagenet"):
        _load_backbone(net, Path(weights))
    return nn.Sequential(*(getattr(net, name) for name in _LAYERS[: 4 + blocks]))


ENCODERS = {
    "encoder1": Encoder(lambda weights: _resnet34(weights, 4), channels=512, stride=32),
    "encoder2": Encoder(lambda weights: _resnet34(weights, 3), channels=256, stride=16),
}


def _load_backbone(net: nn.Module, path: Path) -> None:
    state = read_weights(path)
    state = {key: x for key, x in state.items() if not key.startswith(("fc.", DECODER_KEYS))}
    expected = {key for key in net.state_dict() if not key.startswith("fc.")}
    # Files without batch counters are common (safetensors converters drop integer scalars);
    # nothing reads those counters while batch norm has a fixed momentum.
    needed = {key for key in expected if not key.endswith("num_batches_tracked")}
    for keys, words in (
        (needed - state.keys(), "lacks"),
        (state.keys() - expected, "has unknown"),
    ):
        if keys:
            first = ", ".join(sorted(keys)[:3])
            raise WeightsError(
                f"model.file: {path} {words} {len(keys)} entries ({first}, ...); it must be a "
                "state dict of torchvision's ResNet-34 (conv1, bn1, layer1 to layer4; fc optional)"
            )
    own = net.state_dict()
    for key, value in state.items():
        if value.shape != own[key].shape:
            raise WeightsError(
                f"model.file: {key} in {path} has shape {tuple(value.shape)}, "
                f"a ResNet-34 has {tuple(own[key].shape)}"
            )
    net.load_state_dict(state, strict=False)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a weights file by name. Raises WeightsError if it holds others."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise WeightsError(
            f"model.file is {str(path)!r}, but there is no such file; allowed: the path of a "
            "ResNet-34 state dict"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own words advise to load it nevertheless, which would run what is in it.
        raise WeightsError(
            f"model.file: {path} holds more than tensors and is not opened, since loading it could "
            "run foreign code; convert it to .safetensors where you trust it"
        ) from error
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError) as error:
        raise WeightsError(f"model.file: {path} cannot be read: {error}") from error
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(x, torch.Tensor) for key, x in state.items()
    ):
        raise WeightsError(f"model.file: {path} is not a plain state dict of tensors")
    return state
