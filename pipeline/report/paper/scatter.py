"""The rate loss of each image against its real bytes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.report.found.models import Measured
from pipeline.report.paper.style import (
    ARM_LINES,
    COLUMN,
    PAGE,
    log_ticks,
    new_figure,
    settle,
    styled,
)
from pipeline.report.text.names import codec_title, encoder_title, signed


@styled()
def rate_loss(models: Sequence[Measured], rate_loss: pd.DataFrame) -> Figure:
    """A row for the first and the last codec, a column per encoder, a point per image.

    Takes the models of one seed, and their correlations from `rate_loss_table`.
    """
    models = [model for model in models if model.rate_loss_N is not None]
    encoders = list(dict.fromkeys(model.encoder for model in models))
    codecs = list(models[0].codecs)
    codecs = list(dict.fromkeys([codecs[0], codecs[-1]]))
    width = COLUMN if len(encoders) == 1 else PAGE / 2 * len(encoders)
    figure = new_figure(width, 0.5 + 2.0 * len(codecs))
    grid = figure.subplots(len(codecs), len(encoders), squeeze=False, sharex="col")
    keys = ["encoder", "arm", "seed", "codec"]
    pearson = rate_loss.set_index(keys)["pearson"]
    for axes, codec in zip(grid, codecs, strict=True):
        for panel, encoder in zip(axes, encoders, strict=True):
            for model in models:
                if model.encoder != encoder:
                    continue
                line = ARM_LINES[model.arm]
                r = pearson[encoder, model.arm, model.seed, codec]
                panel.plot(
                    model.rate_loss_N,
                    model.codecs[codec].bytes_N / 1000,
                    linestyle="",
                    marker=line.marker,
                    markersize=2.5,
                    color=line.color,
                    markerfacecolor=line.markerfacecolor,
                    markeredgewidth=0.6,
                    label=f"{model.arm}, r = {signed(r, 2)}",
                )
            panel.set_title(f"{encoder_title(encoder)}: {codec_title(codec)}")
            panel.set_ylabel("Size (kB per image)")
            panel.margins(0.07)
            # The arms differ by an order of magnitude.
            drawn = np.concatenate([np.asarray(dots.get_xdata()) for dots in panel.get_lines()])
            if 0 < drawn.min() < drawn.max():
                panel.set_xscale("log")
                log_ticks(panel.xaxis, drawn)
            panel.legend(loc="best", fontsize=6, handletextpad=0.2)
    for panel in grid[-1]:
        panel.set_xlabel("Rate loss of the image")
    settle(figure)
    return figure
