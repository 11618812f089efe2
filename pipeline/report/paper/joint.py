"""What the worst hit task loses over rate, as a figure."""

import pandas as pd
from matplotlib.figure import Figure

from pipeline.report.paper.rate_accuracy import LEVEL
from pipeline.report.paper.style import ARM_LINES, COLUMN, PAGE, new_figure, settle, styled
from pipeline.report.text.names import encoder_title


@styled()
def all_tasks(points: pd.DataFrame, *, loss_percent: float) -> Figure:
    """Both arms of each encoder in a panel; takes the table of `largest_loss`.

    `loss_percent` is the loss allowed, a level. Of several seeds the mean is shown.
    """
    encoders = list(dict.fromkeys(points["encoder"]))
    width = COLUMN if len(encoders) == 1 else PAGE / 2 * len(encoders)
    figure = new_figure(width, 2.4)
    grid = figure.subplots(1, len(encoders), squeeze=False)
    for axes, encoder in zip(grid[0], encoders, strict=True):
        for arm, line in ARM_LINES.items():
            of_arm = points[(points["encoder"] == encoder) & (points["arm"] == arm)]
            mean = of_arm.groupby("codec")[["bpfe", "lost"]].mean().sort_values("bpfe")
            axes.plot(mean["bpfe"], mean["lost"], label=arm, **line._asdict())
        allowed = f"{loss_percent:g} % allowed"
        axes.axhline(loss_percent, color="0.5", label=allowed, **LEVEL)
        axes.set_title(encoder_title(encoder))
        axes.set_xlabel("Rate (bits per feature element)")
        axes.set_ylabel("Largest loss of any task (%)")
    figure.legend(handles=grid[0, 0].get_lines(), loc="outside upper center", ncols=3)
    settle(figure)
    return figure
