"""Interactive charts of score over rate."""

import pandas as pd
import plotly.graph_objects as go

from pipeline.arms import ARMS
from pipeline.report.page.traces import (
    Chart,
    add_band,
    add_curve,
    add_level,
    mean_over_seeds,
    rates,
)
from pipeline.report.text.names import codec_title, encoder_title, print_of, task_title, with_unit
from pipeline.scoring.metrics import Score


def rate_chart(
    encoder: str,
    task: str,
    score: Score,
    *,
    points: pd.DataFrame,
    uncompressed: pd.DataFrame,
    pictures: pd.DataFrame,
    bands: pd.DataFrame,
    published: pd.DataFrame,
    level: float,
) -> Chart:
    """Score over rate of one encoder; every table is the whole report's, or empty."""
    curves, sent, theirs, free = (
        x[x["encoder"] == encoder] if len(x) else x
        for x in (points, pictures, published, uncompressed)
    )
    printed = print_of(score)
    figure = go.Figure()

    def told(value: float) -> str:
        return f"{score.label} {printed.scale * value:.{printed.digits}f} {printed.unit}".strip()

    band_of = bands[(bands["encoder"] == encoder) & (bands["score"] == score.name)]
    for arm in ARMS:
        ends = band_of[band_of["arm"] == arm].set_index("codec")[["low", "high"]]
        _add_arm(figure, arm, curves[curves["arm"] == arm], score, ends, level)
        if score.name in free:
            value = float(free.loc[free["arm"] == arm, score.name].mean())
            everything = pd.concat([curves, sent])
            add_level(figure, arm, everything, printed.scale * value, told(value))
    if len(sent):
        mean = sent.groupby("quality")[["bpp", "kilobytes", score.name]].mean()
        text = [
            f"<b>picture as JPEG-{row['quality']}</b><br>{rates(row)}<br>{told(row[score.name])}"
            for row in mean.reset_index().to_dict("records")
        ]
        add_curve(figure, "picture", mean, printed.scale * mean[score.name], text)
    for arm in ARMS if score.name in theirs else ():
        paper = theirs[theirs["arm"] == arm].sort_values("bpfe")
        text = [f"paper, {arm}, {codec_title(codec)}" for codec in paper["codec"]]
        add_curve(figure, arm, paper, printed.scale * paper[score.name], text, faint=True)
    figure.update_layout(yaxis_title=with_unit(score.label, printed.unit))
    return Chart(task_title(task), figure)


def _add_arm(
    figure: go.Figure,
    arm: str,
    points: pd.DataFrame,
    score: Score,
    ends: pd.DataFrame,
    level: float,
) -> None:
    """The mean curve over seeds with its band, and each seed where there are several."""
    unit, scale, digits = print_of(score)
    mean = mean_over_seeds(points, score.name).join(ends)
    mean[[score.name, "low", "high"]] *= scale
    add_band(figure, arm, mean)
    if points["seed"].nunique() > 1:
        for seed, each in points.groupby("seed"):
            one = each.sort_values("bpfe")
            text = [f"{arm}, seed {seed}, {codec_title(codec)}" for codec in one["codec"]]
            add_curve(figure, arm, one, scale * one[score.name], text, faint=True)
    text = [
        f"<b>{arm}</b>, {codec_title(row['codec'])}<br>{rates(row)}"
        f"<br>{score.label} {row[score.name]:.{digits}f} {unit}"
        f"<br>{100 * level:g} %: {row['low']:.{digits}f} to {row['high']:.{digits}f}"
        for row in mean.reset_index().to_dict("records")
    ]
    add_curve(figure, arm, mean, mean[score.name], text)


def joint_chart(encoder: str, *, points: pd.DataFrame, loss_percent: float) -> Chart:
    """What the worst hit task loses over rate, from `largest_loss`."""
    figure = go.Figure()
    curves = points[points["encoder"] == encoder]
    for arm in ARMS:
        mean = mean_over_seeds(curves[curves["arm"] == arm], "lost")
        text = [
            f"<b>{arm}</b>, {codec_title(row['codec'])}<br>{rates(row)}"
            f"<br>the worst hit task loses {row['lost']:.2f} %"
            for row in mean.reset_index().to_dict("records")
        ]
        add_curve(figure, arm, mean, mean["lost"], text)
    add_level(figure, "muted", curves, loss_percent, f"{loss_percent:g} % allowed")
    figure.update_layout(yaxis_title="Largest loss of any task (%)")
    return Chart(encoder_title(encoder), figure)
