"""Small pictures in rows and columns: the layout that all pictures of the report share."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pipeline.data.labels import CLASSES, PALETTE, VOID
from pipeline.report.paper.style import PAGE, new_figure

INVALID = np.uint8(140)
"""Grey of pixels without a true disparity; the colour map holds no grey."""

DISPARITY_MAP = "viridis"

SMALL = 5.5
"""Font size of what only identifies."""

MARGIN, GAP, TITLE = 0.02, 0.04, 0.18
"""Inches: at the sides, between pictures, and for the line above them."""

CLASSES_IN_A_ROW = 10


Cell = tuple[str, np.ndarray | None, bool]
"""Field of a `View`, what it holds, whether that is a truth."""
Held = tuple[str, np.ndarray, bool]
"""The same where there is something to draw."""


def sheet(cells: list[list[Cell]], titles: list[str], row_titles: list[str]) -> Figure:
    """Small pictures in rows under column titles, with a colour bar and the classes they show."""
    held = [
        (field, array, true) for row in cells for field, array, true in row if array is not None
    ]
    if not held:
        raise ValueError("there is no picture to draw: every view is empty")
    classes = _classes_shown(held)
    norm = disparity_scale(
        [array for field, array, true in held if field == "disparity_HW" and true]
        or [array for field, array, _ in held if field == "disparity_HW"]
    )
    figure, grid = picture_grid(
        len(cells),
        len(titles),
        aspect=held[0][1].shape[0] / held[0][1].shape[1],
        left=0.68 if row_titles else MARGIN,
        right=0.55 if norm else MARGIN,
        bottom=0.12 + 0.115 * -(-len(classes) // CLASSES_IN_A_ROW) if classes else MARGIN,
    )
    for panels, row in zip(grid, cells, strict=True):
        for axes, (field, array, true) in zip(panels, row, strict=True):
            if array is not None:
                axes.imshow(to_rgb(field, array, norm, true=true))
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=6.5 if len(titles) < 6 else SMALL)
    for axes, title in zip(grid[:, 0], row_titles, strict=False):
        axes.yaxis.set_visible(True)
        axes.set_yticks([])
        axes.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=SMALL)
    if norm:
        _colour_bar(figure, grid, norm)
    if classes:
        _class_legend(figure, classes)
    return figure


def picture_grid(
    rows: int, columns: int, *, aspect: float, left: float, right: float, bottom: float
) -> tuple[Figure, np.ndarray]:
    """A page-wide figure of bare axes of one shape (height = aspect * width); margins in inches."""
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


def _colour_bar(figure: Figure, grid: np.ndarray, norm: Normalize) -> None:
    top, bottom = grid[0, -1].get_position(), grid[-1, -1].get_position()
    inches = figure.get_figheight() * (top.y1 - bottom.y0)
    height = min(inches, 2.2) / figure.get_figheight()
    middle = (top.y1 + bottom.y0) / 2
    axes = figure.add_axes((top.x1 + 0.06 / PAGE, middle - height / 2, 0.08 / PAGE, height))
    bar = figure.colorbar(ScalarMappable(norm, colormaps[DISPARITY_MAP]), cax=axes, extend="max")
    bar.set_label("Disparity (px)", fontsize=SMALL, labelpad=2)
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)


def _class_legend(figure: Figure, classes: list[tuple[int, str]]) -> None:
    figure.legend(
        handles=[
            Patch(facecolor=PALETTE[id] / 255, edgecolor="0.5", linewidth=0.3, label=name)
            for id, name in classes
        ],
        loc="lower center",
        bbox_to_anchor=(0.5, 0),
        borderpad=0.3,
        ncols=CLASSES_IN_A_ROW,
        fontsize=SMALL,
        handlelength=1.0,
        handleheight=0.9,
        columnspacing=1.0,
        handletextpad=0.4,
    )


def to_rgb(field: str, array: np.ndarray, norm: Normalize | None, *, true: bool) -> np.ndarray:
    """One field of a `View` as colours, (H, W, 3) uint8; `norm` scales disparities."""
    if field == "label_HW":
        return PALETTE[np.asarray(array, np.uint8)]
    if field == "disparity_HW":
        colours = colormaps[DISPARITY_MAP](norm(array) if norm else array, bytes=True)[..., :3]
        return np.where(true & (array <= 0)[..., None], INVALID, colours)
    if array.dtype == np.uint8:
        return array
    return np.rint(255 * np.clip(array, 0, 1)).astype(np.uint8)


def disparity_scale(maps: Sequence[np.ndarray]) -> Normalize | None:
    """0 to the 99.5th percentile of what is valid in these maps; None without any map."""
    if not maps:
        return None
    values = np.concatenate([array[array > 0] for array in maps])
    return Normalize(0, float(np.percentile(values, 99.5)) if values.size else 1.0, clip=True)


def _classes_shown(held: list[Held]) -> list[tuple[int, str]]:
    labels = [array for field, array, _ in held if field == "label_HW"]
    present = sorted({int(id) for label_HW in labels for id in np.unique(label_HW)})
    return [(id, "void" if id == VOID else CLASSES[id]) for id in present]
