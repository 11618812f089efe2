"""Take the backbone of a trained model, for other trainings to start from."""

from pathlib import Path
from typing import Annotated

import typer
from safetensors.torch import save_file

from pipeline.files import whole_file
from pipeline.nets.encoder import backbone_state
from pipeline.training.checkpoint import load_model
from stages.settings import run


def main(
    model: Annotated[Path, typer.Argument(help="folder of a model of encoder1")],
    file: Annotated[Path, typer.Argument(help="where to write, *.safetensors")],
) -> None:
    """Write the encoder of a model as a state dict of torchvision's ResNet-34, in float16."""
    net, described = load_model(model, "encoder1")
    state = {key: value.half() for key, value in backbone_state(net.encoder).items()}
    trained = {key: str(value) for key, value in described["settings"].items()}
    with whole_file(file) as part:
        save_file(state, part, metadata=trained)
    print(f"{file}: {sum(x.numel() for x in state.values()):,} numbers from {model}")


if __name__ == "__main__":
    run(main)
