"""Draw pictures: a tile (the paper's Figure 2) and predictions beside the truth (its Figure 3)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from pipeline.report.looks import Tile
from pipeline.report.paper.sheet import MARGIN, SMALL, Row, picture_grid, sheet
from pipeline.report.paper.style import styled
from pipeline.report.text.names import codec_title, part_title
from pipeline.scoring.examples import Examples, Legend


@styled()
def tiles(shown: Sequence[Tile]) -> Figure:
    """Draw the tiles of both arms side by side, two in a row.

    The grey of each is stretched from its 1st to its 99th percentile, and the figure says so.
    Raises ValueError when there is none.
    """
    if not shown:
        raise ValueError("there is no tile to draw")
    columns = min(len(shown), 2)
    aspect = max(tile.levels_HW.shape[0] / tile.levels_HW.shape[1] for tile in shown)
    figure, grid = picture_grid(
        -(-len(shown) // columns), columns, aspect=aspect, left=MARGIN, right=MARGIN, bottom=0.2
    )
    for axes, tile in zip(grid.flat, shown, strict=False):
        low, high = np.percentile(tile.levels_HW, [1, 99])
        limits = {"vmin": low, "vmax": max(high, low + 1)}
        axes.imshow(tile.levels_HW, cmap="gray", interpolation="none", **limits)
        axes.set_title(tile.caption)
    figure.text(
        0.5,
        0.05 / figure.get_figheight(),
        "For display, the contrast of each tile is stretched from its 1st to its 99th percentile.",
        horizontalalignment="center",
        verticalalignment="bottom",
        fontsize=SMALL,
        color="0.3",
    )
    return figure


@styled()
def predictions(examples: Examples, codec: str, *, tasks: Sequence[str]) -> Figure:
    """Draw one model's predictions after one codec beside the truth, a row per frame.

    `tasks` gives the order. A truth that is the input itself is shown once, as the input. Raises
    KeyError for a codec or a task that the model has no pictures of.
    """
    columns = {"Input": examples.image_BHW3}
    for task in tasks:
        truth_BHW3 = examples.truths.get(task)
        if truth_BHW3 is not None and not np.array_equal(truth_BHW3, examples.image_BHW3):
            columns[f"True {part_title(task).lower()}"] = truth_BHW3
    for task in tasks:
        columns[f"Predicted {part_title(task).lower()}"] = examples.predictions[codec][task]
    rows = [Row("", frame) for frame in zip(*columns.values(), strict=True)]
    return sheet(rows, list(columns), _titled(examples, tasks))


@styled()
def predictions_by_codec(
    arms: Mapping[str, Examples], *, codecs: Sequence[str], tasks: Sequence[str]
) -> Figure:
    """Draw the first frame after each codec: a row per task and arm, a column per codec.

    The truth is the first column. Raises ValueError when an arm lacks pictures of a codec.
    """
    for arm, examples in arms.items():
        if lacking := [codec for codec in codecs if codec not in examples.predictions]:
            raise ValueError(f"the examples of the {arm} arm have no pictures of {lacking}")
    rows = []
    for task in tasks:
        for arm, examples in arms.items():
            truth = examples.truths[task][0] if task in examples.truths else None
            predicted = [examples.predictions[codec][task][0] for codec in codecs]
            rows.append(Row(f"{part_title(task)}\n{arm}", [truth, *predicted]))
    legends = _titled(next(iter(arms.values())), tasks)
    return sheet(rows, ["Truth", *map(codec_title, codecs)], legends)


def _titled(examples: Examples, tasks: Sequence[str]) -> dict[str, Legend]:
    return {part_title(task): examples.legends.get(task, ()) for task in tasks}
