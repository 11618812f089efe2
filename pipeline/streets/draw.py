"""Draw one frame: a street is planned, painted, and seen by a stereo camera."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pipeline.streets.camera import Camera
from pipeline.streets.canvas import LIT, SHADES, Canvas
from pipeline.streets.ground import ground_paint, paint_ground, paint_sky
from pipeline.streets.lots import lots
from pipeline.streets.placing import paint_things, place, shadows_of
from pipeline.streets.stereo import encode_disparity
from pipeline.streets.street import place_camera, plan, weather
from pipeline.streets.things import paints

SPLITS = ("train", "val")
_GRAIN = (1.2, 2.0, 3.2)
"""Deviations of sensor noise, in grey levels; a scene has one of them."""
_SLIDE = 1 << 16
"""Values by which the noise of two frames may be shifted."""


@dataclass(frozen=True)
class Scene:
    """One drawn frame."""

    image_HW3: NDArray[np.uint8]
    """RGB."""
    label_HW: NDArray[np.uint8]
    """Official label ids."""
    disparity_HW: NDArray[np.uint16]
    """Official encoding: 0 invalid, else round(256 d) + 1, d in pixels of the full width 2048."""
    camera: Camera
    """Where it was seen from."""


def draw(seed: int, split: str, index: int, width: int, height: int) -> Scene:
    """Draw frame `index` of a split, at a size in pixels. Equal arguments give equal frames.

    Raises ValueError if the split is not one of SPLITS, if seed or index is negative, or if a side
    is less than a pixel.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; allowed are {', '.join(SPLITS)}")
    if seed < 0 or index < 0:
        raise ValueError(f"seed is {seed} and index {index}; neither may be negative")
    if width < 1 or height < 1:
        raise ValueError(f"a frame of {width} x {height} pixels; each side needs at least one")
    # Each part has its own random numbers, so a frame at another size shows the same street.
    seeds = np.random.SeedSequence((seed, SPLITS.index(split), index)).spawn(5)
    layout, look, colours, ground, sensor = (np.random.default_rng(s) for s in seeds)
    street = plan(layout)
    things = place(street, layout)
    canvas = Canvas(place_camera(look, width, height))
    paint_sky(canvas, look)
    paint_ground(canvas, street, shadows_of(street, things), ground)
    paint_things(canvas, street, things + lots(street, layout), colours)
    if look.random() < 0.75:
        _paint_bonnet(canvas, look)
    image_HW3, label_HW = canvas.develop(ground_paint(look, street), weather(look, street))
    disparity_HW = encode_disparity(canvas.disparity_HW, sensor)
    return Scene(_exposed(image_HW3, sensor), label_HW, disparity_HW, canvas.camera)


def _paint_bonnet(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint the own vehicle at the lower edge; a stereo matcher finds nothing on it."""
    view = canvas.camera
    across = (np.arange(view.width, dtype=np.float32) + 0.5) / view.width * 2 - 1
    top_w = view.height * (rng.uniform(0.9, 0.96) + 0.03 * across**2)
    below = np.arange(view.height, dtype=np.float32)[:, None] + 0.5 - top_w
    shade = np.clip(LIT + 3 - below * (160.0 / view.height), 3, LIT + 3).astype(np.int32)
    paint = paints("ego vehicle", ("bonnet",))[rng.integers(100)]
    base = canvas.register(paint, 1.0, 1.0) + SHADES
    np.copyto(canvas.index_HW, shade + base, where=below > 0)
    np.copyto(canvas.disparity_HW, 0, where=below > 0)


@cache
def _grain(deviation: float, pixels: int) -> NDArray[np.int8]:
    rng = np.random.default_rng(7)
    common = rng.standard_normal((pixels, 1), np.float32)
    coloured = rng.standard_normal((pixels, 3), np.float32)
    return np.rint(deviation * (0.8 * common + 0.6 * coloured)).astype(np.int8)


def _exposed(image_HW3: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the image a little softened by the lens and with the sensor's noise."""
    pixels = image_HW3[..., 0].size
    soft = 2 * image_HW3.astype(np.int16)
    soft += np.concatenate([image_HW3[:, 1:], image_HW3[:, -1:]], axis=1)
    soft += np.concatenate([image_HW3[1:], image_HW3[-1:]])
    soft >>= 2
    grain = _grain(_GRAIN[rng.integers(len(_GRAIN))], pixels + _SLIDE)
    first = int(rng.integers(_SLIDE))
    soft += grain[first : first + pixels].reshape(soft.shape)
    return np.clip(soft, 0, 255, out=soft).astype(np.uint8)
