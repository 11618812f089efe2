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

from pipeline.report.labels import PointLabel, place_labels
from pipeline.report.names import encoder_title, task_title, with_unit
from pipeline.report.style import ARM_LINES, COLUMN, PAGE, new_figure, settle, styled
from pipeline.report.table import ARMS, check_points
from pipeline.scoring.metrics import Score

SHADE = 0.13
LEVEL: dict[str, Any] = {"linestyle": (0, (1, 2)), "linewidth": 0.9, "zorder": 1.4}


@styled()
def rate_accuracy(
    points: pd.DataFrame,
    scores: Mapping[str, Score],
    *,
    bands: pd.DataFrame | None = None,
    uncompressed: pd.DataFrame | None = None,
) -> Figure:
    """Score over bits per feature element: a row per score, a column per encoder.

    Takes a table of points (see `pipeline.report.table`). With several seeds the marked curve is
    the mean over seeds at each codec point, and each seed is a thin line. `bands` (of
    `band_table`) are drawn as shades, `uncompressed` (of `uncompressed_table`) as dotted levels.
    Raises ValueError for a table of points that is none.
    """
    present = list(check_points(points, scores).items())
    encoders = list(dict.fromkeys(points["encoder"]))
    width = COLUMN if len(encoders) == 1 else PAGE / 2 * len(encoders)
    figure = new_figure(width, 0.55 + 1.75 * len(present))
    grid = figure.subplots(len(present), len(encoders), squeeze=False, sharex="col")
    wanted: list[tuple[Axes, list[PointLabel]]] = []
    for row, (task, score) in enumerate(present):
        for column, encoder in enumerate(encoders):
            axes = grid[row, column]
            of_encoder = points[points["encoder"] == encoder]
            wanted.append((axes, _curves(axes, of_encoder, score.name)))
            if bands is not None:
                shown = bands[(bands["encoder"] == encoder) & (bands["score"] == score.name)]
                _shades(axes, of_encoder, shown)
            if uncompressed is not None:
                of_floats = uncompressed[uncompressed["encoder"] == encoder]
                for arm, level in of_floats.groupby("arm")[score.name].mean().items():
                    axes.axhline(level, color=ARM_LINES[str(arm)].color, **LEVEL)
            axes.set_title(f"{encoder_title(encoder)}: {task_title(task).lower()}")
            axes.set_ylabel(with_unit(score.label, score.unit))
            axes.margins(x=0.07, y=0.12)
    for axes in grid[-1]:
        axes.set_xlabel("Rate (bits per feature element)")
    arms = [arm for arm in ARMS if arm in set(points["arm"])]
    handles: list[Artist] = [Line2D([], [], label=arm, **ARM_LINES[arm]._asdict()) for arm in arms]
    if points["seed"].nunique() > 1:
        handles.append(Line2D([], [], color="0.5", linewidth=0.6, label="single seeds"))
    if bands is not None:
        handles.append(
            Patch(color="0.5", alpha=2 * SHADE, linewidth=0, label="interval over images")
        )
    if uncompressed is not None:
        handles.append(Line2D([], [], color="0.5", label="uncompressed", **LEVEL))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    settle(figure)
    for axes, labels in wanted:
        place_labels(axes, labels)
    return figure


def _shades(axes: Axes, points: pd.DataFrame, bands: pd.DataFrame) -> None:
    mean = points.groupby(["arm", "codec"])["bpfe"].mean().rename("bpfe")
    for arm, band in bands.join(mean, on=["arm", "codec"]).groupby("arm"):
        ends = band.sort_values("bpfe")
        colour = ARM_LINES[str(arm)].color
        axes.fill_between(
            ends["bpfe"], ends["low"], ends["high"], color=colour, alpha=SHADE, linewidth=0
        )


def _curves(axes: Axes, points: pd.DataFrame, score: str) -> list[PointLabel]:
    """Draws both arms of one panel and returns the codec names to write at their points."""
    means = {}
    for arm, line in ARM_LINES.items():
        of_arm = points[points["arm"] == arm]
        if of_arm.empty:
            continue
        if of_arm["seed"].nunique() > 1:
            for _, of_seed in of_arm.groupby("seed"):
                curve = of_seed.sort_values("bpfe")
                thin = {"color": line.color, "linestyle": line.linestyle, "linewidth": 0.6}
                axes.plot(curve["bpfe"], curve[score], alpha=0.45, zorder=1.5, **thin)
        mean = of_arm.groupby("codec", sort=False)[["bpfe", score]].mean().sort_values("bpfe")
        axes.plot(mean["bpfe"], mean[score], label=arm, **line._asdict())
        means[arm] = mean
    upper = _upper_arm(means, score)
    return [
        PointLabel((bpfe, value), codec.removeprefix("jpeg-"), ARM_LINES[arm].color, arm == upper)
        for arm, mean in means.items()
        for codec, bpfe, value in zip(mean.index, mean["bpfe"], mean[score], strict=True)
        if np.isfinite(value)
    ]


def _upper_arm(means: Mapping[str, pd.DataFrame], score: str) -> str:
    """The arm whose curve lies higher on the whole, so whose labels go above it."""
    if len(means) == 1:
        return next(iter(means))
    anchor, test = (means[arm] for arm in ARMS)
    shared = test[test["bpfe"].between(anchor["bpfe"].min(), anchor["bpfe"].max())]
    gain = shared[score] - np.interp(shared["bpfe"], anchor["bpfe"], anchor[score])
    return ARMS[0] if gain.mean() < 0 else ARMS[1]
