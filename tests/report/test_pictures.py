"""Image grids and the pictures of the page, pixel by pixel."""

import base64
import io

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.report.pictures import (
    GAP,
    MARGIN,
    WIDEST,
    data_uri,
    image_grid,
    predictions_figure,
    stretched,
    tiles_figure,
    viewer,
)
from tests.support.report_models import CODECS, TASKS, some_examples


def decoded(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.removeprefix("data:image/webp;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_images_stand_where_rows_and_heads_say() -> None:
    red, grey = np.full((20, 30, 3), (250, 0, 0), np.uint8), np.full((20, 30), 99, np.uint8)
    # The features of an arm may have fewer channels, and so a smaller tile.
    sheet = np.asarray(image_grid({"a": [red, grey[:9]], "b": [red, grey]}, ["x", "y"]))
    height, width = sheet.shape[:2]
    assert width == MARGIN + 2 * (30 + GAP)
    top = height - 2 * (20 + GAP)
    assert (sheet[top : top + 20, MARGIN : MARGIN + 30] == (250, 0, 0)).all()
    second = sheet[top + 20 + GAP : top + 40 + GAP, MARGIN + 30 + GAP : MARGIN + 60 + GAP]
    assert (second == 99).all()
    beside = sheet[top : top + 20, MARGIN + 30 + GAP : MARGIN + 60 + GAP]
    assert (beside[:9] == 99).all()
    assert (beside[9:] == 255).all()
    assert (sheet[:top] < 128).any()  # the heads


def test_the_paper_s_figures_hold_every_arm_and_point() -> None:
    examples = some_examples()
    width = predictions_figure(examples).width
    assert width == MARGIN + (1 + len(CODECS)) * (64 + GAP)
    both = tiles_figure({"benchmark": examples, "proposed": examples})
    assert both.width == MARGIN + 40 + GAP


def test_grey_is_stretched_and_a_constant_tile_is_black() -> None:
    grey = stretched(np.arange(1000).reshape(20, 50))
    assert (grey.min(), grey.max()) == (0, 255)
    assert (stretched(np.full((4, 4), 7)) == 0).all()


def test_colours_that_mean_something_arrive_unchanged() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 64, 3), np.uint8)
    assert (decoded(data_uri(pixels, exact=True)) == pixels).all()
    wide = pixels.repeat(2, 0).repeat(2 * WIDEST // 64, 1)[:, : 2 * WIDEST]
    small = decoded(data_uri(wide, exact=True))
    assert small.shape[1] == WIDEST
    # Reduced without blending: no colour is new.
    assert {tuple(x) for x in small.reshape(-1, 3)} <= {tuple(x) for x in pixels.reshape(-1, 3)}


def test_the_viewer_holds_every_frame_task_and_point() -> None:
    examples = {"benchmark": some_examples(), "proposed": some_examples(codecs=("table/1",))}
    kilobytes = pd.Series({("benchmark", x): 1.5 for x in CODECS} | {("proposed", "table/1"): 0.25})
    seen = viewer(examples, kilobytes)
    assert seen.frames == 2
    assert seen.points["benchmark"][1] == "JPEG-90, 1.50 kB"
    assert seen.points["proposed"] == ["range coder 1, 0.25 kB"]
    assert [len(points) for points in seen.predictions.values()] == [len(CODECS), 1]
    assert list(seen.legends) == ["segmentation", "disparity"]
    segmentation = seen.predictions["benchmark"][2]["segmentation"]
    expected = examples["benchmark"].predictions["jpeg-60"]["segmentation"]
    assert (decoded(segmentation[1]) == expected[1]).all()
    assert list(seen.truths) == list(TASKS)
