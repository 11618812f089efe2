"""How the stages after training open a model."""

from collections.abc import Sequence

import torch

from pipeline.artifacts import ArtifactError, ModelName, model_folder
from pipeline.data.frames import Frames
from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet
from pipeline.training.checkpoint import load_model


def open_model(name: ModelName, tasks: Sequence[str]) -> SplitNet:
    """Return the net of a model's folder, in the memory layout that convolutions are fastest in.

    Raises ArtifactError if the folder holds another model than it is named after, or other tasks.
    """
    net, described = load_model(model_folder(name), name.encoder)
    asked = {**name._asdict(), "tasks": list(tasks)}
    for key, value in asked.items():
        if described.get(key) != value:
            raise ArtifactError(
                f"{model_folder(name)} holds a model whose {key} is {described.get(key)}, not "
                f"{value}; run `dvc repro` to make it again"
            )
    return net.to(memory_format=torch.channels_last)


def features_shape(name: ModelName, frames: Frames) -> tuple[int, int, int]:
    """Return C, h, w of a model's features of these frames."""
    spec, (_, height, width, _) = ENCODERS[name.encoder], frames.image_NHW3.shape
    return spec.channels, height // spec.stride, width // spec.stride
