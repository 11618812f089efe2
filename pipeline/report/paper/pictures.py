"""Pictures: a tile (the paper's Figure 2) and predictions beside the truth (its Figure 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from pipeline.report.paper.sheet import MARGIN, SMALL, Cell, picture_grid, sheet
from pipeline.report.paper.style import styled
from pipeline.report.text.names import codec_title, part_title


@dataclass(frozen=True)
class View:
    """One frame as it is, or as a net sees it. None where there is no such thing."""

    image_HW3: np.ndarray | None = None
    """RGB: uint8, or float in [0, 1] (what is outside is clipped)."""
    label_HW: np.ndarray | None = None
    """Train ids, any integer type; 255 is void and drawn black."""
    disparity_HW: np.ndarray | None = None
    """Pixels of the original image width; in a truth 0 is invalid and drawn grey."""


FIELD_OF_TASK = {
    "segmentation": "label_HW",
    "disparity": "disparity_HW",
    "reconstruction": "image_HW3",
}

COLUMNS = (
    ("Input", "truth", "image_HW3"),
    ("True segmentation", "truth", "label_HW"),
    ("True disparity", "truth", "disparity_HW"),
    ("Reconstruction", "prediction", "image_HW3"),
    ("Predicted segmentation", "prediction", "label_HW"),
    ("Predicted disparity", "prediction", "disparity_HW"),
)
"""Order of the paper's Figure 3."""


@styled()
def tile(tiles: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """The tiles of both arms side by side.

    Takes (title, tile_HW of integers) for each; two stand in a row. The grey of each is stretched
    from its 1st to its 99th percentile, and the figure says so.
    Raises ValueError when there is none.
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
def predictions(frames: Sequence[tuple[View, View]]) -> Figure:
    """Predictions beside the truth, a row per frame.

    Takes (truth, prediction) for each frame. Columns that no frame has anything for are left out.
    One colour scale serves all disparities.
    Raises ValueError when there is nothing to draw.
    """
    views = [{"truth": truth, "prediction": prediction} for truth, prediction in frames]
    columns = [
        (title, side, field)
        for title, side, field in COLUMNS
        if any(getattr(view[side], field) is not None for view in views)
    ]
    cells = [
        [(field, getattr(view[side], field), side == "truth") for _, side, field in columns]
        for view in views
    ]
    return sheet(cells, [title for title, _, _ in columns], row_titles=[])


@styled()
def predictions_by_codec(truth: View, arms: Mapping[str, Mapping[str, View]]) -> Figure:
    """What the same frame comes to after each codec: a row per task and arm, a column per codec.

    Takes the true frame and, for each arm, the prediction by codec; the truth is the first column.
    Raises ValueError when there is nothing to draw, or the arms differ in their codecs.
    """
    codecs = list(dict.fromkeys(codec for views in arms.values() for codec in views))
    for arm, views in arms.items():
        if set(views) != set(codecs):
            raise ValueError(f"arm {arm} has the codecs {list(views)}; another has {codecs}")
    cells: list[list[Cell]] = []
    row_titles = []
    for task, field in FIELD_OF_TASK.items():
        for arm, views in arms.items():
            predicted = [getattr(views[codec], field) for codec in codecs]
            if any(array is not None for array in predicted):
                first = (field, getattr(truth, field), True)
                cells.append([first, *((field, array, False) for array in predicted)])
                row_titles.append(f"{part_title(task)}\n{arm}")
    return sheet(cells, ["Truth", *map(codec_title, codecs)], row_titles)
