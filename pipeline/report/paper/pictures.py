"""Pictures: a tile (the paper's Figure 2) and predictions beside the truth (its Figure 3)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from pipeline.report.paper.sheet import MARGIN, SMALL, picture_grid, sheet
from pipeline.report.paper.style import styled
from pipeline.report.text.names import codec_title, part_title
from pipeline.scoring.examples import Examples, Legend


@styled()
def tile(tiles: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Draw the tiles of both arms side by side.

    Takes (title, tile_HW of integers) for each; two stand in a row. The grey of each is stretched
    from its 1st to its 99th percentile, and the figure says so.
    Raises ValueError if there is none.
    """
    if not tiles:
        raise ValueError("there is no tile to draw")
    columns = min(len(tiles), 2)
    aspect = max(tile_HW.shape[0] / tile_HW.shape[1] for _, tile_HW in tiles)
    figure, grid = picture_grid(
        -(-len(tiles) // columns), columns, aspect=aspect, left=MARGIN, right=MARGIN, bottom=0.2
    )
    for axes, (title, tile_HW) in zip(grid.flat, tiles, strict=False):
        low, high = np.percentile(tile_HW, [1, 99])
        axes.imshow(tile_HW, cmap="gray", vmin=low, vmax=max(high, low + 1), interpolation="none")
        axes.set_title(title)
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
def predictions(examples: Examples, codec: str) -> Figure:
    """Draw the predictions at one codec point beside the truth, a row per frame.

    A truth that is the input picture itself is not drawn twice.
    """
    image_BHW3 = examples.image_BHW3
    columns = [("Input", image_BHW3)]
    columns += [
        (f"True {task}", truth)
        for task, truth in examples.truths.items()
        if not np.array_equal(truth, image_BHW3)
    ]
    columns += [(f"Predicted {task}", x) for task, x in examples.predictions[codec].items()]
    cells = [[picture_BHW3[i] for _, picture_BHW3 in columns] for i in range(len(image_BHW3))]
    return sheet(cells, [title for title, _ in columns], [], legends(examples))


@styled()
def predictions_by_codec(arms: Mapping[str, Examples]) -> Figure:
    """Draw the first frame after each codec: a row per task and arm, a column per codec.

    The truth is the first column. Raises ValueError if the arms differ in their codecs.
    """
    codecs = list(dict.fromkeys(codec for x in arms.values() for codec in x.predictions))
    for arm, examples in arms.items():
        if set(examples.predictions) != set(codecs):
            found = list(examples.predictions)
            raise ValueError(f"arm {arm} has the codecs {found}; another has {codecs}")
    first = next(iter(arms.values()))
    cells, titles = [], []
    for task, truth_BHW3 in first.truths.items():
        for arm, examples in arms.items():
            predicted = [examples.predictions[codec][task][0] for codec in codecs]
            cells.append([truth_BHW3[0], *predicted])
            titles.append(f"{part_title(task)}\n{arm}")
    return sheet(cells, ["Truth", *map(codec_title, codecs)], titles, legends(first))


def legends(examples: Examples) -> Legend:
    """Return the legends of all tasks, one after the other."""
    return tuple(entry for legend in examples.legends.values() for entry in legend)
