"""ANSWERS: what the cloud sends back, by media type.

`application/zip`: for each frame of the request, from 0, a folder with `labels.png` (official label
ids with the Cityscapes palette), `disparity.png` (the release's 16 bits: p = 256 d + 1) and
`picture.png`. `application/x-npz`: arrays `labels` N x H x W (uint8, train ids), `disparity`
N x H x W (float32, pixels of the original width) and `picture` N x H x W x 3 (float32, about 0 to
1). `application/json`: for each frame, task -> a PNG to look at, as a data URL. A task that the
model does not serve is left out everywhere.
"""

import base64
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from pipeline.inference.pictures import disparity_colours
from pipeline.labels import LABELS, PALETTE, VOID
from pipeline.nets.split import SplitNet


class Prediction(NamedTuple):
    """What the cloud knows of one frame; None for a task that the model does not serve."""

    labels_HW: np.ndarray | None
    """uint8, train ids 0 to 18."""
    disparity_HW: np.ndarray | None
    """float32, pixels of the original width."""
    picture_HW3: np.ndarray | None
    """float32, RGB, about 0 to 1."""


def predict(
    net: SplitNet, device: torch.device, features_NChw: Sequence[np.ndarray]
) -> list[Prediction]:
    """Return what the cloud half makes of the features of some frames, as one batch."""
    with torch.no_grad():
        found = net.back(torch.from_numpy(np.stack(features_NChw)).to(device))
        logits_BKHW, disparity_B1HW = found.get("segmentation"), found.get("disparity")
        image_B3HW = found.get("reconstruction")
        columns = (
            None if logits_BKHW is None else logits_BKHW.argmax(1).to(torch.uint8),
            None if disparity_B1HW is None else disparity_B1HW[:, 0].float(),
            None if image_B3HW is None else image_B3HW.permute(0, 2, 3, 1).float(),
        )
        arrays = [None if x is None else x.cpu().numpy() for x in columns]
    return [
        Prediction(*(None if x is None else x[i] for x in arrays))
        for i in range(len(features_NChw))
    ]


ID_OF_TRAIN_ID = np.zeros(256, np.uint8)
ID_COLOURS = np.zeros((256, 3), np.uint8)
for _label in LABELS:
    if _label.train_id != VOID:
        ID_OF_TRAIN_ID[_label.train_id] = _label.id
    ID_COLOURS[max(_label.id, 0)] = _label.colour


def as_zip(predictions: Sequence[Prediction]) -> bytes:
    """Return PNG files in a stored zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for index, found in enumerate(predictions):
            for name, image in _images(found).items():
                archive.writestr(zipfile.ZipInfo(f"{index}/{name}.png"), _png(image))
    return buffer.getvalue()


def as_arrays(predictions: Sequence[Prediction]) -> bytes:
    """Return the numbers themselves, as an `.npz` file."""
    names = ("labels", "disparity", "picture")
    columns = dict(zip(names, zip(*predictions, strict=True), strict=True))
    arrays = {name: np.stack(x) for name, x in columns.items() if x[0] is not None}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def as_pictures(predictions: Sequence[Prediction]) -> bytes:
    """Return pictures for a person, as JSON."""
    frames = []
    for found in predictions:
        seen = {}
        if found.labels_HW is not None:
            seen["segmentation"] = Image.fromarray(PALETTE[found.labels_HW])
        if found.disparity_HW is not None:
            seen["disparity"] = Image.fromarray(disparity_colours(found.disparity_HW))
        if found.picture_HW3 is not None:
            seen["reconstruction"] = Image.fromarray(_uint8(found.picture_HW3))
        urls = {k: base64.b64encode(_png(x)).decode() for k, x in seen.items()}
        frames.append({task: f"data:image/png;base64,{url}" for task, url in urls.items()})
    return json.dumps({"frames": frames}).encode()


ANSWERS: dict[str, Callable[[Sequence[Prediction]], bytes]] = {
    "application/zip": as_zip,
    "application/x-npz": as_arrays,
    "application/json": as_pictures,
}
"""Media type -> how predictions are written; the first is the default."""


def _images(found: Prediction) -> dict[str, Image.Image]:
    images = {}
    if found.labels_HW is not None:
        images["labels"] = Image.fromarray(ID_OF_TRAIN_ID[found.labels_HW])
        images["labels"].putpalette(ID_COLOURS.tobytes())
    if found.disparity_HW is not None:
        encoded_HW = np.rint(256 * found.disparity_HW.clip(0, 255) + 1)
        images["disparity"] = Image.fromarray(encoded_HW.astype(np.uint16))
    if found.picture_HW3 is not None:
        images["picture"] = Image.fromarray(_uint8(found.picture_HW3))
    return images


def _uint8(picture_HW3: np.ndarray) -> np.ndarray:
    return np.rint(255 * picture_HW3.clip(0, 1)).astype(np.uint8)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
