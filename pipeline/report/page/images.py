"""Pictures as the page embeds them."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.report.text.names import codec_title, part_title
from pipeline.scoring.examples import Examples

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
class Frame:
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


def frames_at_codecs(
    arms: Mapping[str, Examples], sizes: Mapping[str, Mapping[str, np.ndarray]]
) -> list[Frame]:
    """Return the first frames with what each arm makes of them at each codec.

    arms: the pictures of each. sizes: arm -> codec -> bytes of each frame. As many frames as
    `PIXELS` allows, at least one.
    """
    first = next(iter(arms.values()))
    pictures = sum(len(tasks) for x in arms.values() for tasks in x.predictions.values())
    shown = max(1, PIXELS // (pictures * _pixels(first.image_BHW3[0])))
    return [
        Frame(
            name,
            {part_title(task): _uri(truth[i]) for task, truth in first.truths.items()},
            tuple(
                Step(
                    codec_title(codec),
                    {arm: f"{sizes[arm][codec][i]:,} bytes" for arm in arms},
                    {
                        part_title(task): {
                            arm: _uri(x.predictions[codec][task][i]) for arm, x in arms.items()
                        }
                        for task in first.truths
                    },
                )
                for codec in first.predictions
            ),
        )
        for i, name in enumerate(first.names[:shown])
    ]


def _pixels(picture_HW3: np.ndarray) -> int:
    """Return how many pixels a picture has as it is embedded."""
    height, width = picture_HW3.shape[:2]
    factor = min(1, WIDEST / width)
    return max(1, round(factor * height) * round(factor * width))


def _uri(picture_HW3: np.ndarray) -> str:
    image = Image.fromarray(picture_HW3)
    if image.width > WIDEST:
        size = (WIDEST, round(image.height * WIDEST / image.width))
        # Flat colours stay flat: a picture of classes must not get new ones at its edges.
        flat = image.getcolors(256) is not None
        image = image.resize(size, Image.Resampling.NEAREST if flat else Image.Resampling.LANCZOS)
    return png_uri(np.asarray(image))
