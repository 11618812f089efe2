"""Figures of pictures show the tiles and examples given, in the order of tasks and codecs."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pipeline.report.looks import Tile
from pipeline.report.paper.pictures import predictions, predictions_by_codec, tiles
from pipeline.report.paper.sheet import Row, sheet

from pipeline.artifacts import ARMS
from tests.support.report_models import CODECS, some_examples


def shown(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.axison]


def test_predictions_have_a_column_for_what_there_is() -> None:
    tasks = ("segmentation", "disparity", "reconstruction")
    examples = some_examples(tasks, frames=3)
    full = predictions(examples, "png", tasks=tasks)
    titles = [x.get_title() for x in shown(full) if x.get_title()]
    assert titles == [
        *("Input", "True segmentation", "True disparity"),
        *("Predicted segmentation", "Predicted disparity", "Predicted reconstruction"),
    ]
    pictures = [x.get_images()[0].get_array() for x in shown(full)]
    assert len(pictures) == 3 * 6
    np.testing.assert_array_equal(pictures[6 + 1], examples.truths["segmentation"][1])
    np.testing.assert_array_equal(pictures[6 + 5], examples.predictions["png"]["reconstruction"][1])
    legends = [[text.get_text() for text in x.get_texts()] for x in full.legends]
    assert legends == [["near", "far"]] * 2
    assert full.legends[0].get_patches()[1].get_facecolor() == pytest.approx((0, 0, 99 / 255, 1))
    assert {text.get_text() for text in full.texts} == {"Segmentation", "Disparity"}


def test_a_made_up_task_is_drawn_like_any_other() -> None:
    examples = some_examples(("edges",))
    figure = predictions(examples, "png", tasks=["edges"])
    assert [x.get_title() for x in shown(figure)] == ["Input", "True edges", "Predicted edges"]
    by_codec = predictions_by_codec(dict.fromkeys(ARMS, examples), codecs=["png"], tasks=["edges"])
    assert [x.get_ylabel() for x in shown(by_codec)[::2]] == ["Edges\nbenchmark", "Edges\nproposed"]


def test_predictions_by_codec_has_a_row_per_task_and_arm() -> None:
    tasks = ("segmentation", "disparity", "reconstruction")
    arms_of = {arm: some_examples(tasks) for arm in ARMS}
    figure = predictions_by_codec(arms_of, codecs=CODECS, tasks=tasks)
    axes = shown(figure)
    assert sum(len(x.get_images()) for x in axes) == 6 * 6
    assert [x.get_title() for x in axes[:6]] == [
        *("Truth", "PNG", "JPEG-90", "JPEG-60", "JPEG-30", "JPEG-10"),
    ]
    rows = [x.get_ylabel() for x in axes[::6]]
    assert rows[:2] == ["Segmentation\nbenchmark", "Segmentation\nproposed"]
    drawn = axes[6 + 2].get_images()[0].get_array()
    expected = arms_of["proposed"].predictions["jpeg-90"]["segmentation"][0]
    np.testing.assert_array_equal(drawn, expected)
    lacking = arms_of | {"proposed": some_examples(tasks, codecs=("png",))}
    with pytest.raises(ValueError, match="proposed arm have no pictures of"):
        predictions_by_codec(lacking, codecs=CODECS, tasks=tasks)


def test_a_sheet_needs_a_picture() -> None:
    with pytest.raises(ValueError, match="no picture"):
        sheet([Row("", [None])], ["Input"], {})


def test_tiles_show_the_levels_given() -> None:
    first = np.arange(15 * 31, dtype=np.uint16).reshape(15, 31)
    flat = np.full((15, 31), 7, np.uint8)
    figure = tiles([Tile("benchmark: 34.3 kB", first), Tile("proposed: 33.1 kB", flat)])
    left, right = shown(figure)
    assert [left.get_title(), right.get_title()] == ["benchmark: 34.3 kB", "proposed: 33.1 kB"]
    np.testing.assert_array_equal(left.get_images()[0].get_array(), first)
    assert left.get_images()[0].get_clim() == pytest.approx(np.percentile(first, [1, 99]))
    assert "percentile" in figure.texts[0].get_text()
    with pytest.raises(ValueError, match="no tile"):
        tiles([])
