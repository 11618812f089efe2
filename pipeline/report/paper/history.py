"""How training went: losses, weights and validation scores over epochs."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pipeline.report.paper.style import COLUMN, LINES, PAGE, log_ticks, new_figure, settle, styled
from pipeline.report.text.names import part_title, with_unit
from pipeline.scoring.metrics import Score


@styled()
def training(histories: Mapping[str, pd.DataFrame], scores: Mapping[str, Score]) -> Figure:
    """Loss, weight in the total and validation score of each part, by epoch.

    Takes the history of each model to compare by its name in the legend: the two arms of one
    encoder, say, the benchmark first. A history has the column `epoch` and any of `loss/<part>`,
    `loss/total`, `weight/<part>`, `lr`, `val/<score name>` (empty in epochs without validation).
    A row of panels per part; the total and the learning rate make the last row.
    Raises ValueError when no history holds anything to draw, or there are more than four.
    """
    if len(histories) > len(LINES):
        raise ValueError(f"{len(histories)} histories in one figure; at most {len(LINES)}")
    held = {name for history in histories.values() for name in history.columns}
    rows = _rows(histories, scores, held)
    if not rows:
        raise ValueError(f"nothing to draw: the histories have only the columns {sorted(held)}")
    columns = [column for column in range(3) if any(row[column] in held for row in rows)]
    figure = new_figure(COLUMN if len(columns) == 1 else PAGE, 0.6 + 1.15 * len(rows))
    grid = figure.subplots(len(rows), len(columns), squeeze=False, sharex=True)
    labels = {score.name: with_unit(score.label, score.unit) for score in scores.values()}
    for panels, row in zip(grid, rows, strict=True):
        for axes, column in zip(panels, columns, strict=True):
            if row[column] in held:
                _panel(axes, histories, row[column], labels)
            else:
                axes.set_axis_off()
    for column in range(len(columns)):
        shown = [panels[column] for panels in grid if panels[column].axison]
        shown[-1].tick_params(labelbottom=True)
    figure.supxlabel("Epoch", fontsize=7)
    handles = [
        Line2D([], [], label=name, color=line.color, linestyle=line.linestyle)
        for name, line in zip(histories, LINES, strict=False)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    settle(figure)
    return figure


def _rows(
    histories: Mapping[str, pd.DataFrame], scores: Mapping[str, Score], held: set[str]
) -> list[tuple[str, str, str]]:
    """Names of the columns of each row of panels; names not held stay empty panels."""
    names = [name for history in histories.values() for name in history.columns]
    kinds = ("loss/", "weight/")
    parts = dict.fromkeys(
        name.split("/", 1)[1] for name in names if name.startswith(kinds) and name != "loss/total"
    )
    rows = [
        (f"loss/{part}", f"weight/{part}", f"val/{scores[part].name}" if part in scores else "")
        for part in parts
    ]
    rows.append(("loss/total", "lr", ""))
    return [row for row in rows if held.intersection(row)]


def _panel(
    axes: Axes, histories: Mapping[str, pd.DataFrame], name: str, labels: Mapping[str, str]
) -> None:
    kind, _, what = name.partition("/")
    for (model, history), line in zip(histories.items(), LINES, strict=False):
        if name in history.columns:
            known = history[["epoch", name]].dropna()
            # Validation happens at single epochs, and a short run may have only one.
            marker = line.marker if kind == "val" or len(known) < 2 else ""
            style = {**line._asdict(), "marker": marker}
            axes.plot(known["epoch"], known[name], label=model, markersize=3, **style)
    title = {
        "loss": "Total loss" if what == "total" else f"{part_title(what)}: loss",
        "weight": f"{part_title(what)}: weight",
        "val": "Validation",
        "lr": "Learning rate",
    }[kind]
    axes.set_title(title)
    if kind == "val":
        axes.set_ylabel(labels[what])
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
    drawn = np.concatenate([np.asarray(curve.get_ydata()) for curve in axes.get_lines()])
    # The total goes below 0 (its logarithms of the weights do); the others span decades.
    if kind in ("loss", "weight", "lr") and drawn.size and 0 < drawn.min() < drawn.max():
        axes.set_yscale("log")
        log_ticks(axes.yaxis, drawn)
