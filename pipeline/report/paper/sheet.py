"""Lay small pictures out in rows and columns, as all pictures of the report are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pipeline.report.paper.style import PAGE, new_figure
from pipeline.scoring.examples import Legend

SMALL = 5.5
"""Font size of what only identifies."""
MARGIN, GAP, TITLE, LINE = 0.02, 0.04, 0.18, 0.115
"""Inches: at the sides, between pictures, for the line above them, for a line of a legend."""
IN_A_ROW = 10
"""Colours of a legend."""


@dataclass(frozen=True)
class Row:
    """A row of pictures."""

    title: str
    """Stands at the left; "" in every row for none."""
    pictures: Sequence[np.ndarray | None]
    """RGB uint8, H x W x 3; None leaves a gap."""


def sheet(rows: Sequence[Row], titles: Sequence[str], legends: Mapping[str, Legend]) -> Figure:
    """Draw pictures in rows under the titles of their columns, and the legends below them.

    A legend goes by the name of what it explains; an empty one is left out. Raises ValueError when
    there is no picture.
    """
    shapes = [x.shape for row in rows for x in row.pictures if x is not None]
    if not shapes:
        raise ValueError("there is no picture to draw")
    filled = {name: legend for name, legend in legends.items() if legend}
    lines = [-(-len(legend) // IN_A_ROW) for legend in filled.values()]
    figure, grid = picture_grid(
        len(rows),
        len(titles),
        aspect=shapes[0][0] / shapes[0][1],
        left=0.68 if any(row.title for row in rows) else MARGIN,
        right=MARGIN,
        bottom=0.06 + sum(LINE * count + 0.05 for count in lines) if lines else MARGIN,
    )
    for panels, row in zip(grid, rows, strict=True):
        for axes, picture in zip(panels, row.pictures, strict=True):
            if picture is not None:
                axes.imshow(picture)
        panels[0].yaxis.set_visible(True)
        panels[0].set_yticks([])
        panels[0].set_ylabel(row.title, rotation=0, ha="right", va="center", fontsize=SMALL)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=6.5 if len(titles) < 6 else SMALL)
    _legends(figure, filled.items(), lines)
    return figure


def picture_grid(
    rows: int, columns: int, *, aspect: float, left: float, right: float, bottom: float
) -> tuple[Figure, np.ndarray]:
    """Return a page-wide figure of bare axes of one shape (height = aspect * width).

    Margins are in inches.
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


def _legends(figure: Figure, legends: Iterable[tuple[str, Legend]], lines: Sequence[int]) -> None:
    """Draw the legends from the top down, the last at the lower edge."""
    below = sum(LINE * count + 0.05 for count in lines)
    for (name, legend), count in zip(legends, lines, strict=True):
        below -= LINE * count + 0.05
        _legend(figure, name, legend, (below + 0.02) / figure.get_figheight())


def _legend(figure: Figure, name: str, legend: Legend, bottom: float) -> None:
    drawn = figure.legend(
        handles=[
            Patch(facecolor=_colour(rgb), edgecolor="0.5", linewidth=0.3, label=words)
            for words, rgb in legend
        ],
        loc="lower center",
        bbox_to_anchor=(0.5, bottom),
        borderpad=0,
        borderaxespad=0,
        ncols=IN_A_ROW,
        fontsize=SMALL,
        handlelength=1.0,
        handleheight=0.9,
        columnspacing=1.0,
        handletextpad=0.4,
    )
    box = drawn.get_window_extent().transformed(figure.transFigure.inverted())
    figure.text(box.x0 - 0.01, (box.y0 + box.y1) / 2, name, ha="right", va="center", fontsize=SMALL)


def _colour(rgb: tuple[int, int, int]) -> tuple[float, float, float]:
    red, green, blue = rgb
    return red / 255, green / 255, blue / 255
