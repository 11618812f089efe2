"""A trained net on disk: weights as safetensors, and the description it is rebuilt from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pipeline.files import whole_file, write_json
from pipeline.nets.decoder import DECODERS
from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"


class ModelError(ValueError):
    """A model folder that cannot be used."""


def save_model(folder: Path, net: SplitNet, description: Mapping[str, Any]) -> None:
    """Write the weights, float32 on the CPU, and the description a net is rebuilt from.

    description: holds at least `encoder` and `tasks`, and `components` of a net with a bottleneck.
    """
    state = {key: value.cpu().contiguous() for key, value in net.state_dict().items()}
    with whole_file(folder / WEIGHTS) as part:
        save_file(state, part)
    write_json(folder / DESCRIPTION, dict(description))


def load_model(folder: Path, **expected: object) -> tuple[SplitNet, dict[str, Any]]:
    """Rebuild a net, in eval mode and channels_last, from its folder; return its description too.

    expected: what the description must say, such as `encoder`, `arm`, `seed` or `tasks`.
    Raises `ModelError` for a folder that is missing, damaged or of another model.
    """
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text())
        name, tasks = description["encoder"], description["tasks"]
        known = name in ENCODERS and set(tasks) <= DECODERS.keys()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} does not describe a model: {error!r}; run `dvc repro` to train it again"
        ) from error
    for key, value in expected.items():
        if description.get(key) != value:
            raise ModelError(
                f"{folder} holds a model whose {key} is {description.get(key)}, not {value}; run "
                "`dvc repro` to train it again"
            )
    if not known:
        raise ModelError(f"{path} names {name} with tasks {tasks}, which this version cannot build")
    net = SplitNet(name, tasks, components=description.get("components", 0))
    try:
        net.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModelError(
            f"{folder / WEIGHTS} does not hold the weights of {name} for {', '.join(tasks)}: "
            f"{_short(error)}; run `dvc repro` to train it again"
        ) from error
    # The memory layout that convolutions are fastest in.
    return net.eval().to(memory_format=torch.channels_last), description


def _short(error: Exception, limit: int = 200) -> str:
    # torch names every key and shape of a net, thousands of characters of them.
    text = " ".join(str(error).split())
    return text if len(text) <= limit else f"{text[:limit]} ..."
