"""Rate against accuracy: the panels of the paper's Figure 4."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.arms import ARMS
from pipeline.report.found.table import check_points
from pipeline.report.paper.labels import PointLabel, place_labels
from pipeline.report.paper.style import ARM_LINES, COLUMN, LINES, PAGE, new_figure, settle, styled
from pipeline.report.text.names import encoder_title, task_title, with_unit
from pipeline.scoring.metrics import Score

SHADE = 0.13
THIN: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.45, "zorder": 1.5}
PAPER: dict[str, Any] = {**THIN, "marker": ".", "markersize": 3}
PICTURE: dict[str, Any] = {**LINES[2]._asdict(), "markersize": 3}
AXES = {"bpfe": "bits per feature element", "kilobytes": "kB per image"}
"""Rate axes by column of a table of points."""
LEVEL: dict[str, Any] = {"linestyle": (0, (1, 2)), "linewidth": 0.9, "zorder": 1.4}


@styled()
def rate_accuracy(
    points: pd.DataFrame,
    scores: Mapping[str, Score],
    *,
    bands: pd.DataFrame | None = None,
    uncompressed: pd.DataFrame | None = None,
    published: pd.DataFrame | None = None,
    pictures: pd.DataFrame | None = None,
    rate: str = "bpfe",
) -> Figure:
    """Score over rate: a row per score, a column per encoder.

    Takes a table of points (see `found.table`) and the column that holds the rate, one of `AXES`.
    With several seeds the marked curve is the mean over seeds at each codec point, and each seed is
    a thin line. `bands` (of `band_table`) are drawn as shades, `uncompressed` (of
    `uncompressed_table`) as dotted levels, `published` (a table of points) as faint curves,
    `pictures` (of `picture_table`, which knows no feature elements) as a curve of its own.
    Raises ValueError for a table of points that is none.
    """
    present = list(check_points(points, scores).items())
    encoders = list(dict.fromkeys(points["encoder"]))
    width = COLUMN if len(encoders) == 1 else PAGE / 2 * len(encoders)
    figure = new_figure(width, 0.55 + 1.75 * len(present))
    grid = figure.subplots(len(present), len(encoders), squeeze=False, sharex="col")
    given = ((uncompressed, _levels), (published, _faint), (pictures, _sent))
    references = [(table, draw) for table, draw in given if table is not None]
    wanted: list[tuple[Axes, list[PointLabel]]] = []
    for row, (task, score) in enumerate(present):
        for column, encoder in enumerate(encoders):
            axes = grid[row, column]
            of_encoder = points[points["encoder"] == encoder]
            wanted.append((axes, _curves(axes, of_encoder, score.name, rate)))
            if bands is not None:
                shown = bands[(bands["encoder"] == encoder) & (bands["score"] == score.name)]
                _shades(axes, of_encoder, shown, rate)
            for table, draw in references:
                draw(axes, table[table["encoder"] == encoder], score.name, rate)
            axes.set_title(f"{encoder_title(encoder)}: {task_title(task).lower()}")
            axes.set_ylabel(with_unit(score.label, score.unit))
            axes.margins(x=0.07, y=0.12)
    for axes in grid[-1]:
        axes.set_xlabel(f"Rate ({AXES[rate]})")
    arms = [arm for arm in ARMS if arm in set(points["arm"])]
    handles: list[Artist] = [Line2D([], [], label=arm, **ARM_LINES[arm]._asdict()) for arm in arms]
    if points["seed"].nunique() > 1:
        handles.append(Line2D([], [], color="0.5", linewidth=0.6, label="single seeds"))
    if bands is not None:
        handles.append(
            Patch(color="0.5", alpha=2 * SHADE, linewidth=0, label="interval over images")
        )
    handles += [Line2D([], [], **HANDLES[draw]) for _, draw in references]
    # Two fit beside each other in a column of the page.
    rows = -(-len(handles) // (2 * len(encoders)))
    columns = -(-len(handles) // rows)
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)
    settle(figure)
    for axes, labels in wanted:
        place_labels(axes, labels)
    return figure


def _levels(axes: Axes, uncompressed: pd.DataFrame, score: str, rate: str) -> None:
    for arm, level in uncompressed.groupby("arm")[score].mean().items():
        axes.axhline(level, color=ARM_LINES[str(arm)].color, **LEVEL)


def _faint(axes: Axes, published: pd.DataFrame, score: str, rate: str) -> None:
    for arm, curve in published.sort_values(rate).groupby("arm"):
        line = ARM_LINES[str(arm)]
        style = {"color": line.color, "linestyle": line.linestyle, **PAPER}
        axes.plot(curve[rate], curve[score], **style)


def _sent(axes: Axes, pictures: pd.DataFrame, score: str, rate: str) -> None:
    mean = pictures.groupby("quality")[[rate, score]].mean()
    axes.plot(mean[rate], mean[score], **PICTURE)


HANDLES: dict[Any, dict[str, Any]] = {
    _levels: {"color": "0.5", "label": "uncompressed", **LEVEL},
    _faint: {"color": "0.5", "label": "the paper", **PAPER},
    _sent: {"label": "picture as JPEG", **PICTURE},
}
"""The legend's line for each kind of reference."""


def _shades(axes: Axes, points: pd.DataFrame, bands: pd.DataFrame, rate: str) -> None:
    mean = points.groupby(["arm", "codec"])[rate].mean()
    for arm, band in bands.join(mean, on=["arm", "codec"]).groupby("arm"):
        ends = band.sort_values(rate)
        colour = ARM_LINES[str(arm)].color
        axes.fill_between(
            ends[rate], ends["low"], ends["high"], color=colour, alpha=SHADE, linewidth=0
        )


def _curves(axes: Axes, points: pd.DataFrame, score: str, rate: str) -> list[PointLabel]:
    """Draws both arms of one panel and returns the codec names to write at their points."""
    means = {}
    for arm, line in ARM_LINES.items():
        of_arm = points[points["arm"] == arm]
        if of_arm.empty:
            continue
        if of_arm["seed"].nunique() > 1:
            for _, of_seed in of_arm.groupby("seed"):
                curve = of_seed.sort_values(rate)
                thin = {"color": line.color, "linestyle": line.linestyle, **THIN}
                axes.plot(curve[rate], curve[score], **thin)
        mean = of_arm.groupby("codec", sort=False)[[rate, score]].mean().sort_values(rate)
        axes.plot(mean[rate], mean[score], label=arm, **line._asdict())
        means[arm] = mean
    upper = _upper_arm(means, score, rate)
    return [
        PointLabel((x, value), codec.removeprefix("jpeg-"), ARM_LINES[arm].color, arm == upper)
        for arm, mean in means.items()
        for codec, x, value in zip(mean.index, mean[rate], mean[score], strict=True)
        if np.isfinite(value)
    ]


def _upper_arm(means: Mapping[str, pd.DataFrame], score: str, rate: str) -> str:
    """The arm whose curve lies higher on the whole, so whose labels go above it."""
    if len(means) == 1:
        return next(iter(means))
    anchor, test = (means[arm] for arm in ARMS)
    shared = test[test[rate].between(anchor[rate].min(), anchor[rate].max())]
    gain = shared[score] - np.interp(shared[rate], anchor[rate], anchor[score])
    return ARMS[0] if gain.mean() < 0 else ARMS[1]
