"""A bundle: one folder with all that an edge device and a cloud need to run a model at one point.

    bundle.json         what it is: see `Description`; digests of all other files
    edge.onnx           the edge half, uint8 picture 1 x H x W x 3 to float32 features 1 x C x h x w
    cloud.safetensors   weights of the cloud half
    fitted.npz          tables and KLT that both know; only of a point that needs them

Nothing in it runs on load: a graph of ONNX's own operations, arrays and JSON. Reading the edge's
side needs no torch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.artifacts import ModelName, digest
from pipeline.coding.fitted import Fitted, read_fitted, write_fitted
from pipeline.coding.points import Point, read_point
from pipeline.files import whole_folder, write_json

if TYPE_CHECKING:
    from pipeline.nets.split import SplitNet

FORMAT = 1
DESCRIPTION, EDGE, CLOUD, TABLES = "bundle.json", "edge.onnx", "cloud.safetensors", "fitted.npz"
WEIGHTS = "X-Weights"
"""Header of a request: the digest of the weights that its bitstreams are of."""
FILES = {DESCRIPTION, EDGE, CLOUD, TABLES}
LICENCE = (
    "Weights carry the terms of the data that they were trained on and started from. Cityscapes "
    "allows use that is not commercial, and forbids passing its pictures on; a bundle holds none."
)


class BundleError(ValueError):
    """A folder that is no whole bundle, or one of another version."""


class Description(BaseModel):
    """What `bundle.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    format: int
    model: str
    """Such as encoder2-entropy-0."""
    encoder: str
    tasks: tuple[str, ...]
    components: int
    """Channels of the bottleneck; 0 without one."""
    height: int
    """Of the pictures that the edge half takes, in pixels."""
    width: int
    shape: tuple[int, int, int]
    """C, h, w of what the edge half puts out."""
    point: str
    """Transform, quantiser and coder, such as table/1: see `pipeline.coding.points`."""
    bits: int
    """Depth of a point that names none, in bits per level."""
    range_percent: float
    """See `pipeline.coding.quantizer.quantize`."""
    weights: str
    """Digest of the whole model's weights."""
    versions: dict[str, str]
    """Program -> version that the bundle was made with."""
    licence: str
    files: dict[str, str]
    """File -> digest."""


class Bundle(NamedTuple):
    """A bundle whose files are whole."""

    folder: Path
    about: Description
    point: Point
    fitted: Fitted | None


def write_bundle(
    folder: Path,
    net: SplitNet,
    *,
    name: ModelName,
    point: str,
    bits: int,
    range_percent: float,
    fitted: Fitted | None,
    size: tuple[int, int],
    weights: str,
) -> Bundle:
    """Write a bundle of a trained net, in place of one that is there; return it as read again.

    size: height and width of the pictures, in pixels. The other values: see `Description`.
    Raises BundleError if anything else is there.
    """
    from importlib.metadata import version

    import torch
    from safetensors.torch import save

    folder = folder.resolve()
    if folder.exists() and not (folder.is_dir() and not {x.name for x in folder.iterdir()} - FILES):
        raise BundleError(f"{folder} holds something else than a bundle; choose another folder")

    class Edge(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, image_1HW3: torch.Tensor) -> torch.Tensor:
            return self.net.front(image_1HW3.permute(0, 3, 1, 2).float() / 255)

    net = net.cpu().eval().to(memory_format=torch.contiguous_format)
    with whole_folder(folder) as draft:
        picture_1HW3 = torch.zeros((1, *size, 3), dtype=torch.uint8)
        program = torch.onnx.export(
            Edge().eval(),
            (picture_1HW3,),
            dynamo=True,
            verbose=False,
            input_names=["picture"],
            output_names=["features"],
        )
        assert program is not None
        program.save(str(draft / EDGE))
        state = {k: x.contiguous() for k, x in net.state_dict().items() if _of_cloud(k)}
        (draft / CLOUD).write_bytes(save(state))  # save_file leaves it readable for its owner alone
        if fitted is not None:
            write_fitted(draft / TABLES, {point: fitted})
        about = Description(
            format=FORMAT,
            model=str(name),
            encoder=name.encoder,
            tasks=tuple(net.decoders),
            components=net.bottleneck.down.out_channels if net.bottleneck else 0,
            height=size[0],
            width=size[1],
            shape=net.shape(*size),
            point=point,
            bits=bits,
            range_percent=range_percent,
            weights=weights,
            versions={x: version(x) for x in ("torch", "onnx", "constriction", "pillow", "numpy")},
            licence=LICENCE,
            files={path.name: digest(path) for path in sorted(draft.iterdir())},
        )
        write_json(draft / DESCRIPTION, about.model_dump(mode="json"))
    return read_bundle(folder)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle's description and tables, and check that all its files are as written.

    The edge half and the cloud half may lie on two machines: a half that is not there is not
    missed before it is used. Raises BundleError for a folder that is no bundle or is damaged.
    """
    path = folder / DESCRIPTION
    try:
        about = Description.model_validate(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        if isinstance(error, ValidationError):
            error = ValueError(f"{error.error_count()} faults, the first: {error.errors()[0]}")
        raise BundleError(
            f"{path} describes no bundle: {error}; write one with python -m commands.bundle"
        ) from error
    if about.format != FORMAT:
        raise BundleError(f"{path} has the format {about.format}; this version reads {FORMAT}")
    for name, expected in about.files.items():
        if Path(name).name != name:
            raise BundleError(f"{path} names {name!r}, which is not a file of the bundle")
        if (folder / name).exists() and digest(folder / name) != expected:
            raise BundleError(f"{folder / name} is not what the bundle was written with; copy it")
    point = read_point(about.point, about.bits)
    if point.fitted and not (folder / TABLES).exists():
        raise BundleError(f"{folder} lacks {TABLES}, which edge and cloud both need; copy it")
    fitted = (
        read_fitted(folder / TABLES, {about.point: point})[about.point] if point.fitted else None
    )
    return Bundle(folder, about, point, fitted)


def load_cloud(bundle: Bundle) -> SplitNet:
    """Return the net of a bundle without its encoder, in eval mode, for its `back`.

    Raises BundleError if the cloud half is missing or does not fit.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from pipeline.nets.split import SplitNet

    about = bundle.about
    net = SplitNet(about.encoder, about.tasks, components=about.components)
    net.encoder = torch.nn.Identity()
    try:
        net.load_state_dict(load_file(bundle.folder / CLOUD))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BundleError(f"{bundle.folder / CLOUD} holds no cloud half: {error}") from error
    return net.eval().to(memory_format=torch.channels_last)


def _of_cloud(key: str) -> bool:
    return not key.startswith("encoder.")
