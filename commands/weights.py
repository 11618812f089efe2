"""Take the weights of trained models, for other trainings to start from."""

from pathlib import Path
from typing import Annotated

import typer
from safetensors.torch import save_file
from torch import Tensor

from pipeline.files import whole_file
from pipeline.nets.decoder import decoder_state
from pipeline.nets.encoder import backbone_state
from pipeline.nets.stored import load_model
from stages.settings import run


def main(
    file: Annotated[Path, typer.Argument(help="where to write, *.safetensors")],
    models: Annotated[list[Path], typer.Argument(help="model folders; later ones have precedence")],
) -> None:
    """Write the weights of models as one file for `model.file`, in float16.

    It holds a state dict of torchvision's ResNet-34, of which a model of encoder2 has all but the
    last block, and the decoders of the last model.
    """
    state: dict[str, Tensor] = {}
    for folder in models:
        net, described = load_model(folder)
        state |= backbone_state(net.encoder)
    state |= decoder_state(net.decoders, described["encoder"])
    with whole_file(file) as part:
        save_file({key: value.half() for key, value in state.items()}, part)
    print(f"{file}: {sum(x.numel() for x in state.values()):,} numbers of {len(models)} models")


if __name__ == "__main__":
    run(main)
