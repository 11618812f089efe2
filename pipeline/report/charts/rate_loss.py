"""The rate loss of each image against its real bytes."""

import math
from dataclasses import replace

from pipeline.report.charts.inks import ARM_LOOKS, UNDER_TO_OVER, arm_keys
from pipeline.report.charts.rates import spans_positive
from pipeline.report.charts.record import Axis, Chart, Key, Panel, Series
from pipeline.report.found.findings import Findings
from pipeline.report.found.models import Measured
from pipeline.report.text.names import codec_title, encoder_title


def rate_loss(findings: Findings, codec: str) -> Chart:
    """Describe bytes over rate loss at one codec: a panel per encoder, a point per image.

    Shows the models of the first seed. The note of a series is Pearson's correlation.
    """
    keys = ["encoder", "arm", "seed", "codec"]
    pearson = findings.rate_loss.set_index(keys)["pearson"]
    shown = [model for model in findings.first_seed if model.rate_loss_N is not None]
    panels = []
    for encoder in dict.fromkeys(model.encoder for model in shown):
        by_arm = {model.arm: model for model in shown if model.encoder == encoder}
        series = tuple(
            _dots(by_arm[arm], codec, float(pearson[encoder, arm, by_arm[arm].seed, codec]))
            for arm in UNDER_TO_OVER
            if arm in by_arm
        )
        # The arms may differ by an order of magnitude.
        log = spans_positive(tuple(x for each in series for x in each.x))
        panels.append(
            Panel(
                encoder_title(encoder),
                codec_title(codec),
                Axis("Rate loss of the image", log=log),
                Axis(f"Size as {codec_title(codec)}", "kB per image"),
                series,
            )
        )
    legend = tuple(Key(key.name, "dots", key.look) for key in arm_keys())
    return Chart(tuple(panels), len(panels), legend)


def stacked(*charts: Chart) -> Chart:
    """Return charts of equally many columns as one, one below the other."""
    return replace(charts[0], panels=tuple(panel for chart in charts for panel in chart.panels))


def _dots(model: Measured, codec: str, pearson: float) -> Series:
    assert model.rate_loss_N is not None
    x = tuple(model.rate_loss_N.astype(float).tolist())
    y = tuple((model.codecs[codec].bytes_N / 1000).tolist())
    return Series(
        "dots",
        ARM_LOOKS[model.arm],
        x,
        y,
        told=tuple(
            f"{model.arm}\nrate loss {loss:.4g}\n{kilobytes:.2f} kB"
            for loss, kilobytes in zip(x, y, strict=True)
        ),
        note=f"{model.arm}: r = {pearson:.2f}" if math.isfinite(pearson) else "",
    )
