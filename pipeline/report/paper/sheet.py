"""Small pictures in rows and columns: the layout that all pictures of the report share."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pipeline.report.paper.style import PAGE, new_figure
from pipeline.scoring.examples import Legend

SMALL = 5.5
"""Font size of what only identifies."""

MARGIN, GAP, TITLE = 0.02, 0.04, 0.18
"""Inches: at the sides, between pictures, and for the line above them."""

ENTRIES_IN_A_ROW = 10


def sheet(
    cells: Sequence[Sequence[np.ndarray]],
    titles: Sequence[str],
    row_titles: Sequence[str],
    legend: Legend,
) -> Figure:
    """Draw pictures (H x W x 3, uint8) in rows under column titles, with the legend below.

    Raises ValueError if there is no picture.
    """
    if not cells or not cells[0]:
        raise ValueError("there is no picture to draw")
    height, width = cells[0][0].shape[:2]
    figure, grid = picture_grid(
        len(cells),
        len(titles),
        aspect=height / width,
        left=0.68 if row_titles else MARGIN,
        right=MARGIN,
        bottom=0.12 + 0.115 * -(-len(legend) // ENTRIES_IN_A_ROW) if legend else MARGIN,
    )
    for panels, row in zip(grid, cells, strict=True):
        for axes, picture_HW3 in zip(panels, row, strict=True):
            axes.imshow(picture_HW3)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=6.5 if len(titles) < 6 else SMALL)
    for axes, title in zip(grid[:, 0], row_titles, strict=False):
        axes.yaxis.set_visible(True)
        axes.set_yticks([])
        axes.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=SMALL)
    if legend:
        _draw_legend(figure, legend)
    return figure


def picture_grid(
    rows: int, columns: int, *, aspect: float, left: float, right: float, bottom: float
) -> tuple[Figure, np.ndarray]:
    """Make a page-wide figure of bare axes of one shape (height = aspect * width).

    left, right, bottom: margins in inches. Returns the figure and its axes, rows x columns.
    """
    width = (PAGE - left - right - GAP * (columns - 1)) / columns
    inner = rows * aspect * width + (rows - 1) * GAP
    height = bottom + inner + TITLE
    figure = new_figure(PAGE, height, layout=None)
    grid = figure.subplots(
        rows,
        columns,
        squeeze=False,
        gridspec_kw={
            "left": left / PAGE,
            "right": 1 - right / PAGE,
            "bottom": bottom / height,
            "top": 1 - TITLE / height,
            "wspace": GAP / width,
            "hspace": GAP / (aspect * width),
        },
    )
    for axes in grid.flat:
        # Invisible rather than without ticks: that saves looking for ticks at every drawing.
        axes.xaxis.set_visible(False)
        axes.yaxis.set_visible(False)
        axes.spines[:].set_visible(False)
    return figure, grid


def _draw_legend(figure: Figure, legend: Legend) -> None:
    figure.legend(
        handles=[
            Patch(
                facecolor="#{:02x}{:02x}{:02x}".format(*colour),
                edgecolor="0.5",
                linewidth=0.3,
                label=words,
            )
            for words, colour in legend
        ],
        loc="lower center",
        bbox_to_anchor=(0.5, 0),
        borderpad=0.3,
        ncols=ENTRIES_IN_A_ROW,
        fontsize=SMALL,
        handlelength=1.0,
        handleheight=0.9,
        columnspacing=1.0,
        handletextpad=0.4,
    )
