"""Interactive charts of single models: how they were trained, what their rate loss measures."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pipeline.report.found.models import Measured
from pipeline.report.page.traces import DASH, SYMBOL, Chart
from pipeline.report.text.names import encoder_title, print_of, task_title, with_unit
from pipeline.scoring.metrics import Score


def rate_loss_chart(encoder: str, models: Sequence[Measured], rate_loss: pd.DataFrame) -> Chart:
    """Bytes of each image over its rate loss; `meta.y` goes by codec."""
    figure = go.Figure()
    keys = ["encoder", "arm", "seed", "codec"]
    pearson = rate_loss.set_index(keys)["pearson"]
    for model in models:
        if model.encoder != encoder or model.rate_loss_N is None:
            continue
        size = {codec: at.bytes_N / 1000 for codec, at in model.codecs.items()}
        r = {c: pearson[encoder, model.arm, model.seed, c] for c in size}
        figure.add_scatter(
            x=model.rate_loss_N.astype(float),
            y=next(iter(size.values())),
            mode="markers",
            marker={"symbol": SYMBOL[model.arm], "size": 6},
            hovertemplate=f"<b>{model.arm}</b><br>rate loss %{{x:.4g}}<br>%{{y:.2f}} kB"
            "<extra></extra>",
            meta={
                "role": model.arm,
                "y": {codec: values.round(4).tolist() for codec, values in size.items()},
                "note": {
                    codec: f"{model.arm}: r = {value:.2f}" if np.isfinite(value) else ""
                    for codec, value in r.items()
                },
            },
        )
    # The arms differ by an order of magnitude.
    figure.update_layout(
        xaxis_title="Rate loss of the image", xaxis_type="log", yaxis_title="kB per image"
    )
    return Chart(encoder_title(encoder), figure)


def history_charts(
    histories: Mapping[str, pd.DataFrame], scores: Mapping[str, Score]
) -> list[Chart]:
    """Losses and weights by part, and each validation score, by epoch; histories go by arm."""
    charts = []
    for kind, title in (("loss", "Losses"), ("weight", "Weights of the tasks")):
        figure = go.Figure()
        for arm, history in histories.items():
            for name in map(str, history.columns):
                if not name.startswith(f"{kind}/") or name == "loss/total":
                    continue
                part = name.split("/")[1]
                _add_history(figure, history, name, f"part-{part}", arm, f"{part}, {arm}")
        figure.update_layout(yaxis_title=title, yaxis_type="log")
        values = np.concatenate([[1.0], *(trace.y for trace in figure.data)])
        if values.max() > 100 * values.min() > 0:
            figure.update_yaxes(dtick=1)
        charts.append(Chart(title, figure))
    for task, score in scores.items():
        figure = go.Figure()
        unit, scale, _ = print_of(score)
        for arm, history in histories.items():
            if f"val/{score.name}" in history:
                scaled = history.assign(shown=scale * history[f"val/{score.name}"])
                _add_history(figure, scaled, "shown", arm, arm, arm)
        figure.update_layout(yaxis_title=with_unit(score.label, unit))
        charts.append(Chart(f"Validation: {task_title(task).lower()}", figure))
    last = max(int(history["epoch"].max()) for history in histories.values())
    for chart in charts:
        # One range for all, though validation may begin late; an epoch is a whole number.
        chart.figure.update_xaxes(
            title="Epoch", range=[-0.05 * last - 0.1, 1.05 * last + 0.1], dtick=-(-last // 6) or 1
        )
    return [chart for chart in charts if chart.figure.data]


def _add_history(
    figure: go.Figure, history: pd.DataFrame, column: str, role: str, arm: str, name: str
) -> None:
    known = history[["epoch", column]].dropna()
    figure.add_scatter(
        x=known["epoch"].tolist(),
        y=known[column].tolist(),
        mode="lines+markers" if len(known) < 12 else "lines",
        line={"dash": DASH.get(arm, "dot"), "width": 2},
        marker={"symbol": SYMBOL.get(arm, "diamond"), "size": 6},
        hovertemplate=f"<b>{name}</b><br>epoch %{{x}}<br>%{{y:.4g}}<extra></extra>",
        meta={"role": role},
    )
