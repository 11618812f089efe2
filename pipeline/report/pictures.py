"""Pictures: the features of a frame as codecs see them, and predictions beside the truth."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from pipeline.artifacts import Examples
from pipeline.report.names import codec_title

WIDEST = 256
"""Pixels: on the page pictures of predictions are reduced to it."""
PIXELS = 4_200_000
"""About so many pixels of predictions are put into the page for each encoder."""
GAP, MARGIN, FONT = 6, 124, 14
"""Pixels of an image grid: between images, for the names of rows, of a letter's height."""


def stretched(tile_HW: np.ndarray) -> np.ndarray:
    """Return a tile in grey, uint8, stretched from its 1st to its 99th percentile for display."""
    low, high = np.percentile(tile_HW, [1, 99])
    grey_HW = (tile_HW - low) / max(high - low, 1)
    return np.rint(255 * grey_HW.clip(0, 1)).astype(np.uint8)


def image_grid(rows: Mapping[str, Sequence[np.ndarray]], heads: Sequence[str]) -> Image.Image:
    """Return images in rows with a name before each row and a head over each column.

    Images are HW (grey) or HW3 uint8; the largest sets the size of a place.
    """
    height, width = np.max([x.shape[:2] for row in rows.values() for x in row], axis=0).tolist()
    across, down = width + GAP, height + GAP
    top = FONT + 2 * GAP
    sheet = Image.new("RGB", (MARGIN + across * len(heads), top + down * len(rows)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT)
    for column, head in enumerate(heads):
        middle = MARGIN + column * across + width / 2
        draw.text((middle, top / 2), head, "black", font, anchor="mm")
    for line, (name, images) in enumerate(rows.items()):
        y = top + line * down
        draw.text((GAP, y + height / 2), name, "black", font, anchor="lm")
        for column, image in enumerate(images):
            sheet.paste(Image.fromarray(image).convert("RGB"), (MARGIN + column * across, y))
    return sheet


def tiles_figure(examples: Mapping[str, Examples]) -> Image.Image:
    """Return the first frame's features of each arm as codecs see them: the paper's Figure 2."""
    rows = {arm: [stretched(of.tile_HW)] for arm, of in examples.items()}
    return image_grid(rows, ["features of one frame, grey stretched"])


def predictions_figure(examples: Examples) -> Image.Image:
    """Return one arm's predictions for the first frame at each point: the paper's Figure 3."""
    points = list(examples.predictions)
    rows = {
        task.capitalize(): [truth[0], *(examples.predictions[x][task][0] for x in points)]
        for task, truth in examples.truths.items()
    }
    return image_grid(rows, ["truth", *map(codec_title, points)])


@dataclass(frozen=True)
class Viewer:
    """The first frames of one encoder; pictures are data URIs, by task and then by frame."""

    frames: int
    truths: Mapping[str, Sequence[str]]
    points: Mapping[str, Sequence[str]]
    """arm -> what its points are called, with what a frame costs."""
    predictions: Mapping[str, Sequence[Mapping[str, Sequence[str]]]]
    """arm -> for each point, task -> pictures."""
    tiles: Mapping[str, str]
    """arm -> the first frame's features."""
    legends: Mapping[str, Sequence[tuple[str, tuple[int, int, int]]]]
    """task -> words and colour, for tasks whose colours have a meaning."""


def viewer(examples: Mapping[str, Examples], kilobytes: "pd.Series[float]") -> Viewer:
    """Return the first frames of each arm's examples, as many as `PIXELS` allows, at least one.

    kilobytes: (arm, point) -> mean of a frame.
    """
    first = next(iter(examples.values()))
    height, width = first.image_BHW3.shape[1:3]
    factor = min(1.0, WIDEST / width)
    shown = sum(len(of.predictions) for of in examples.values()) * len(first.truths)
    frames = max(1, int(PIXELS / (shown * factor**2 * height * width)))
    frames = min(frames, len(first.image_BHW3))

    def uris(task: str, picture_BHW3: np.ndarray) -> list[str]:
        exact = bool(first.legends.get(task))
        return [data_uri(image_HW3, exact=exact) for image_HW3 in picture_BHW3[:frames]]

    return Viewer(
        frames=frames,
        truths={task: uris(task, truth) for task, truth in first.truths.items()},
        points={
            arm: [f"{codec_title(x)}, {kilobytes[arm, x]:.2f} kB" for x in of.predictions]
            for arm, of in examples.items()
        },
        predictions={
            arm: [{task: uris(task, x) for task, x in of.items()} for of in all_of.values()]
            for arm, all_of in ((arm, of.predictions) for arm, of in examples.items())
        },
        tiles={arm: data_uri(stretched(of.tile_HW), exact=True) for arm, of in examples.items()},
        legends={task: legend for task, legend in first.legends.items() if legend},
    )


def data_uri(pixels: np.ndarray, *, exact: bool) -> str:
    """Return a grey or RGB uint8 picture as a data URI, at most `WIDEST` wide unless it is grey.

    exact: its colours have a meaning, so they must not be blended.
    """
    image = Image.fromarray(pixels)
    if pixels.ndim == 3 and image.width > WIDEST:
        size = (WIDEST, round(image.height * WIDEST / image.width))
        image = image.resize(size, Image.Resampling.NEAREST if exact else Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=exact, quality=85, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
