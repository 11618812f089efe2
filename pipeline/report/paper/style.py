"""Give all figures one look, and write them to files: sizes and fonts of a two-column paper."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import Locator, LogLocator, MaxNLocator, NullLocator

from pipeline.files import whole_file

COLUMN = 3.5
"""Width of one column in inches."""
PAGE = 7.16
"""Width of two columns in inches."""
DPI = 200
"""Of the PNG files, and of pictures inside the SVG files."""

RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    # The first comes with matplotlib; the others stand in for it where an SVG is read.
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica", "sans-serif"],
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.titleweight": "bold",
    "axes.titlepad": 4,
    "axes.labelsize": 7,
    "axes.labelpad": 2.5,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "0.35",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.color": "0.35",
    "ytick.color": "0.35",
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.8,
    "svg.fonttype": "path",  # the fonts travel with the figure
    "svg.hashsalt": "compressible-features",
}


@contextmanager
def styled() -> Iterator[None]:
    """Give this look to figures made within the block (or the decorated function) alone."""
    with matplotlib.rc_context(RC):
        yield


def new_figure(
    width: float, height: float, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    """Return an empty figure of this size in inches, without a window or global state.

    Without a layout, the caller places the axes.
    """
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def log_ticks(axis: Axis, values: np.ndarray) -> None:
    """Set three to six ticks with numbers, whether the values span a part of a decade or several.

    For an axis of logarithmic scale; all values are positive, and not all the same.
    """
    decades = np.log10(values.max() / values.min())
    locator: Locator
    if decades <= 0.5:
        locator = MaxNLocator(4)
    elif decades <= 1.2:
        locator = LogLocator(subs=(1, 2, 5) if decades > 0.7 else (1, 1.5, 2, 3, 4, 6, 8))
    else:
        locator = LogLocator(subs=(1, 3) if decades <= 2 else (1,))
    axis.set_major_locator(locator)
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def settle(figure: Figure) -> None:
    """Lay the figure out once and for all, so that every file and every save shows the same.

    Raises ValueError for a figure without a layout.
    """
    layout = figure.get_layout_engine()
    if layout is None:
        raise ValueError("the figure has no layout: whoever made it has placed its axes")
    layout.execute(figure)
    figure.set_layout_engine("none")


def save(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write `<stem>.png` (`DPI`) and `<stem>.svg` (text as outlines) and return both paths.

    The same figure gives the same bytes.
    """
    png, svg = (stem.with_name(stem.name + suffix) for suffix in (".png", ".svg"))
    with styled():
        # Not `savefig`: it draws each figure twice.
        figure.set_dpi(DPI)
        with whole_file(png) as temporary:
            FigureCanvasAgg(figure).print_png(temporary, metadata={"Software": None})
        with whole_file(svg) as temporary:
            FigureCanvasSVG(figure).print_svg(temporary, metadata={"Date": None})
    return png, svg
