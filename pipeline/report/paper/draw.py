"""Draw any described chart with Matplotlib, in the sizes of a two-column paper."""

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from pipeline.report.charts.inks import INKS
from pipeline.report.charts.record import Chart, Key, Look, Panel, Series
from pipeline.report.paper.labels import place_tags
from pipeline.report.paper.style import COLUMN, PAGE, log_ticks, new_figure, settle, styled

DASHES = {"solid": "-", "dash": "--", "dot": (0, (1, 2)), "dashdot": "-."}
MARKS = {"": "", "circle": "o", "square": "s", "triangle": "^"}
SHADE = 0.13
THIN: dict[str, Any] = {"linewidth": 0.7, "alpha": 0.6, "marker": ""}
DOTTED: dict[str, Any] = {"linewidth": 0.9, "marker": ""}
DOTS: dict[str, Any] = {"linestyle": "", "markersize": 2.5, "markeredgewidth": 0.6}
BOTTOM = 2.0
"""Depth (zorder) of the first series of a panel; each later one lies a little higher."""


@styled()
def draw(chart: Chart) -> Figure:
    """Draw a chart: one panel twice as wide as high, the legend above all.

    A chart of one column is as wide as a column of the paper, any other as wide as its page.
    """
    rows = -(-len(chart.panels) // chart.columns)
    width = COLUMN if chart.columns == 1 else PAGE
    figure = new_figure(width, 0.6 + rows * width / chart.columns / 1.95)
    grid = figure.subplots(rows, chart.columns, squeeze=False, sharex="col")
    for axes in grid.flat[len(chart.panels) :]:
        axes.set_axis_off()
    for axes, panel in zip(grid.flat, chart.panels, strict=False):
        draw_panel(axes, panel)
    for axes, panel in list(zip(grid.flat, chart.panels, strict=False))[-chart.columns :]:
        axes.set_xlabel(panel.x.title)
        axes.tick_params(labelbottom=True)
    # Two fit beside each other in a column of the page, if their names are short.
    fewest = -(-len(chart.legend) // (2 * chart.columns))
    for lines in range(fewest, len(chart.legend) + 1):
        legend = figure.legend(
            handles=[_handle(key) for key in chart.legend],
            loc="outside upper center",
            ncols=-(-len(chart.legend) // lines),
        )
        if legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()
    settle(figure)
    for axes, panel in zip(grid.flat, chart.panels, strict=False):
        place_tags(axes, panel.series)
    return figure


def draw_panel(axes: Axes, panel: Panel) -> None:
    """Draw one panel without its label of x; tags come later, when the layout is final."""
    for place, series in enumerate(panel.series):
        _draw_series(axes, series, BOTTOM + place / 100)
    axes.set_title(panel.heading)
    axes.set_ylabel(panel.y.title)
    axes.margins(x=0.07, y=0.12)
    for axis, described, set_scale, numbers in (
        (axes.xaxis, panel.x, axes.set_xscale, [x for s in panel.series for x in s.x]),
        (axes.yaxis, panel.y, axes.set_yscale, [y for s in panel.series for y in s.y]),
    ):
        if described.log:
            set_scale("log")
            log_ticks(axis, np.array(numbers))
        if described.whole:
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    if panel.x.ends:
        axes.set_xlim(*panel.x.ends)
    if any(series.note for series in panel.series):
        axes.legend(loc="best", fontsize=6, handletextpad=0.2, reverse=True)


def _draw_series(axes: Axes, series: Series, zorder: float) -> None:
    colour = INKS[series.look.ink]
    if series.kind == "band":
        given: dict[str, Any] = {"color": colour, "alpha": SHADE, "linewidth": 0}
        axes.fill_between(series.x, series.y, series.high, zorder=zorder, **given)
    else:
        label = series.note or "_nolegend_"
        style = _style(series.look, series.kind)
        axes.plot(series.x, series.y, zorder=zorder, label=label, **style)


def _style(look: Look, kind: str) -> dict[str, Any]:
    """Return the properties of a line."""
    colour = INKS[look.ink]
    style = {
        "color": colour,
        "linestyle": DASHES[look.dash],
        "marker": MARKS[look.mark],
        "markerfacecolor": colour if look.filled else "white",
    }
    if kind == "thin":
        return style | (DOTTED if look.dash == "dot" else THIN)
    return style | (DOTS if kind == "dots" else {})


def _handle(key: Key) -> Artist:
    """Return what stands for a key in the legend."""
    if key.kind == "band":
        return Patch(color=INKS[key.look.ink], alpha=2 * SHADE, linewidth=0, label=key.name)
    return Line2D([], [], label=key.name, **_style(key.look, key.kind))
