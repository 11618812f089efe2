"""Small labels at the points of curves, placed where they cover nothing."""

from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D
from matplotlib.path import Path as Outline
from matplotlib.transforms import Bbox

from pipeline.report.charts.inks import INKS
from pipeline.report.charts.record import Series


class PointLabel(NamedTuple):
    """What is written at a point of a curve."""

    xy: tuple[float, float]
    """In data coordinates."""
    text: str
    colour: str
    above: bool
    """Which side of the curve is tried first."""


# (horizontal, vertical) shift in points of the label's anchor; signs also set its alignment.
ABOVE = ((-3.0, 2.0), (0.0, 4.0), (-4.5, 0.0), (3.0, 3.0))
BELOW = ((3.0, -2.0), (0.0, -4.0), (4.5, 0.0), (-3.0, -3.0))


def place_tags(axes: Axes, series: Sequence[Series]) -> None:
    """Write the tags of a panel's series beside their points; the figure's layout must be final."""
    tagged = [each for each in series if each.tags]
    upper = _upper(tagged)
    labels = [
        PointLabel((x, y), tag, INKS[each.look.ink], each is upper)
        for each in tagged
        for x, y, tag in zip(each.x, each.y, each.tags, strict=True)
        if isfinite(y)
    ]
    _place(axes, labels)


def _upper(series: Sequence[Series]) -> Series | None:
    """Return the series that lies highest on the whole, so whose labels go above it."""
    if len(series) < 2:
        return next(iter(series), None)

    def height(each: Series) -> float:
        """Return the mean over x that all of them have."""
        first, last = max(min(s.x) for s in series), min(max(s.x) for s in series)
        return float(np.interp(np.linspace(first, last, 50), each.x, each.y).mean())

    return max(series, key=height)


def _place(axes: Axes, labels: Sequence[PointLabel], size: float = 5.5) -> None:
    """Write each label where it meets no curve, no marker and no other label, or not at all."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    renderer = canvas.get_renderer()
    per_point = figure.dpi / 72
    curves = [_on_screen(line) for line in axes.get_lines()]
    marks = np.concatenate([curve.vertices for curve in curves]) if curves else np.empty((0, 2))
    radius = 2.2 * per_point
    taken = [Bbox.from_extents(x - radius, y - radius, x + radius, y + radius) for x, y in marks]
    for label in labels:
        for dx, dy in (*ABOVE, *BELOW) if label.above else (*BELOW, *ABOVE):
            text = axes.annotate(
                label.text,
                label.xy,
                xytext=(dx, dy),
                textcoords="offset points",
                horizontalalignment="center" if dx == 0 else "left" if dx > 0 else "right",
                verticalalignment="center" if dy == 0 else "bottom" if dy > 0 else "top",
                fontsize=size,
                color=label.colour,
            )
            text.set_in_layout(False)
            box = text.get_window_extent(renderer)
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 + 4 * per_point
            inside = inside and axes.bbox.y0 <= box.y0 and box.y1 <= axes.bbox.y1 + 4 * per_point
            crossed = any(curve.intersects_bbox(box, filled=False) for curve in curves)
            if inside and not crossed and not box.count_overlaps(taken):
                taken.append(box)
                break
            text.remove()


def _on_screen(line: Line2D) -> Outline:
    return Outline(line.get_transform().transform(line.get_xydata()))
