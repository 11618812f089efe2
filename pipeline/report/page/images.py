"""Pictures as the page embeds them."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.report.text.names import codec_title, part_title
from pipeline.scoring.examples import Examples, Legend

WIDEST = 256
"""Pixels: pictures of predictions are reduced to it."""
PIXELS = 1_400_000
"""About so many pixels of predictions are embedded per encoder, at a byte each."""


@dataclass(frozen=True)
class EmbeddedPicture:
    """One picture of one task."""

    task: str
    """As it is printed."""
    uri: str
    """The picture itself; "" where there is none."""
    exact: bool
    """Its colours have a meaning, so they must not be blended."""


@dataclass(frozen=True)
class Step:
    """One frame after one codec."""

    codec: str
    """As it is printed."""
    captions: Mapping[str, str]
    """By arm: what the frame cost."""
    pictures: Mapping[str, tuple[EmbeddedPicture, ...]]
    """By arm, a picture per task."""


@dataclass(frozen=True)
class Example:
    """One frame at every codec."""

    name: str
    truths: tuple[EmbeddedPicture, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Viewer:
    """The first frames of one encoder."""

    frames: tuple[Example, ...]
    legends: Mapping[str, Legend]
    """By task, as it is printed."""


def png_uri(pixels: np.ndarray) -> str:
    """Return a grey (HW) or RGB (HW3) uint8 picture as a data URI; RGB in at most 256 colours."""
    image = Image.fromarray(pixels)
    if image.mode == "RGB":
        image = image.quantize(256, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def stretched(tile_HW: np.ndarray) -> np.ndarray:
    """Return a tile in grey, from its 1st to its 99th percentile."""
    low, high = np.percentile(tile_HW, [1, 99])
    grey_HW = (tile_HW - low) / max(high - low, 1)
    return np.rint(255 * grey_HW.clip(0, 1)).astype(np.uint8)


def still_uri(png: bytes) -> str:
    """Return a PNG file of a figure, reduced to 256 colours, as a data URI."""
    return png_uri(np.asarray(Image.open(io.BytesIO(png)).convert("RGB")))


def viewer(
    arms: Mapping[str, Examples],
    sizes: Mapping[str, Mapping[str, np.ndarray]],
    *,
    tasks: Sequence[str],
) -> Viewer:
    """Return the first frames with what each arm makes of them at each codec.

    Takes the pictures of each arm, and arm -> codec -> bytes of each frame, whose order of codecs
    is the page's. It shows as many frames as `PIXELS` allows, at least one.
    """
    first = next(iter(arms.values()))
    codecs = list(next(iter(sizes.values())))
    exact = {task for task, legend in first.legends.items() if legend}

    def picture(of: Mapping[str, np.ndarray], task: str, frame: int) -> EmbeddedPicture:
        uri = png_uri(_reduced(of[task][frame], task in exact)) if task in of else ""
        return EmbeddedPicture(part_title(task), uri, task in exact)

    height, width = first.image_BHW3.shape[1:3]
    factor = min(1, WIDEST / width)
    pixels = max(1, round(factor * height) * round(factor * width))
    shown = max(1, PIXELS // (len(codecs) * len(arms) * len(tasks) * pixels))
    frames = [
        Example(
            name,
            tuple(picture(first.truths, task, i) for task in tasks),
            tuple(
                Step(
                    codec_title(codec),
                    {arm: f"{sizes[arm][codec][i]:,} bytes" for arm in arms},
                    {
                        arm: tuple(picture(x.predictions[codec], task, i) for task in tasks)
                        for arm, x in arms.items()
                    },
                )
                for codec in codecs
            ),
        )
        for i, name in enumerate(first.names[:shown])
    ]
    return Viewer(tuple(frames), {part_title(t): first.legends[t] for t in tasks if t in exact})


def _reduced(pixels_HW3: np.ndarray, exact: bool) -> np.ndarray:
    image = Image.fromarray(pixels_HW3)
    if image.width <= WIDEST:
        return pixels_HW3
    size = (WIDEST, round(image.height * WIDEST / image.width))
    filter = Image.Resampling.NEAREST if exact else Image.Resampling.LANCZOS
    return np.asarray(image.resize(size, filter))
