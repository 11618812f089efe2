"""Pictures as the page embeds them."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Normalize
from PIL import Image

from pipeline.report.paper.pictures import FIELD_OF_TASK, View
from pipeline.report.paper.sheet import disparity_scale, to_rgb
from pipeline.report.text.names import codec_title, part_title

WIDEST = 256
"""Pixels: pictures of predictions are reduced to it."""
PIXELS = 1_400_000
"""About so many pixels of predictions are embedded per encoder, at a byte each."""


@dataclass(frozen=True)
class Step:
    """One frame after one codec."""

    codec: str
    """As it is printed."""
    captions: Mapping[str, str]
    """By arm: what the frame cost."""
    pictures: Mapping[str, Mapping[str, str]]
    """task, as it is printed -> arm -> data URI."""


@dataclass(frozen=True)
class Example:
    """One frame at every codec."""

    name: str
    truths: Mapping[str, str]
    """task, as it is printed -> data URI."""
    steps: tuple[Step, ...]


def png_uri(pixels: np.ndarray) -> str:
    """A grey (HW) or RGB (HW3) uint8 picture as a data URI; RGB in at most 256 colours."""
    image = Image.fromarray(pixels)
    if image.mode == "RGB":
        image = image.quantize(256, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def stretched(tile_HW: np.ndarray) -> np.ndarray:
    """A tile in grey from its 1st to its 99th percentile."""
    low, high = np.percentile(tile_HW, [1, 99])
    grey_HW = (tile_HW - low) / max(high - low, 1)
    return np.rint(255 * grey_HW.clip(0, 1)).astype(np.uint8)


def still_uri(png: bytes) -> str:
    """A PNG file of a figure, reduced to 256 colours, as a data URI."""
    return png_uri(np.asarray(Image.open(io.BytesIO(png)).convert("RGB")))


def examples(
    names: Sequence[str],
    truths: Sequence[View],
    arms: Mapping[str, Mapping[str, Sequence[View]]],
    sizes: Mapping[str, Mapping[str, np.ndarray]],
) -> list[Example]:
    """The first frames with what each arm makes of them at each codec.

    Takes arm -> codec -> a view per frame, and arm -> codec -> bytes of each frame. As many frames
    as `PIXELS` allows, at least one.
    """
    codecs = list(next(iter(arms.values())))
    tasks = [
        task
        for task, field in FIELD_OF_TASK.items()
        if any(getattr(views[codecs[0]][0], field) is not None for views in arms.values())
    ]
    norm = disparity_scale([x.disparity_HW for x in truths if x.disparity_HW is not None])
    pictures = len(codecs) * len(arms) * len(tasks)
    shown = max(1, PIXELS // (pictures * _pixels(truths[0])))
    found = []
    for i, (name, truth) in enumerate(zip(names, truths[:shown], strict=False)):
        steps = [
            Step(
                codec_title(codec),
                {arm: f"{sizes[arm][codec][i]:,} bytes" for arm in arms},
                {
                    part_title(task): {
                        arm: _uri(views[codec][i], task, norm, true=False)
                        for arm, views in arms.items()
                    }
                    for task in tasks
                },
            )
            for codec in codecs
        ]
        of_truth = {part_title(task): _uri(truth, task, norm, true=True) for task in tasks}
        found.append(Example(name, of_truth, tuple(steps)))
    return found


def _pixels(truth: View) -> int:
    """Of a picture as it is embedded."""
    size = next(x.shape[:2] for x in (truth.image_HW3, truth.label_HW) if x is not None)
    factor = min(1, WIDEST / size[1])
    return max(1, round(factor * size[0]) * round(factor * size[1]))


def _uri(view: View, task: str, norm: Normalize | None, *, true: bool) -> str:
    """One field of a view, or an empty text where there is no such thing."""
    field = FIELD_OF_TASK[task]
    array = getattr(view, field)
    if array is None:
        return ""
    image = Image.fromarray(to_rgb(field, array, norm, true=true))
    if image.width > WIDEST:
        size = (WIDEST, round(image.height * WIDEST / image.width))
        smooth = Image.Resampling.LANCZOS if field == "image_HW3" else Image.Resampling.NEAREST
        image = image.resize(size, smooth)
    return png_uri(np.asarray(image))
