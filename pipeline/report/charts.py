"""Charts by Altair: one description gives the page's interactive chart and the paper's figure.

Each chart here has a width of its own only in print; the page gives it the width that there is.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from pipeline.artifacts import ARM_COLOURS
from pipeline.files import whole_file
from pipeline.report.colours import Style, styles
from pipeline.report.delays import faster_ranges, rivals, sendings
from pipeline.report.measured import RATES
from pipeline.report.names import MISSING, UNCOMPRESSED, codec_title, encoder_title, score_title
from pipeline.report.results import Results
from pipeline.scoring.hull import pareto_front
from pipeline.scoring.metrics import SCORES, Score

PRINT_WIDTH, HEIGHT = 280, 250
"""Pixels of a panel."""
PRINT_SCALE = 2
"""Pixels of a PNG file for each pixel of a figure."""
VALUES = ("value", "value_low", "value_high")
"""Columns of a score and its interval."""
UNIT = "unit"
"""Signal that chooses the unit of the rate: a column of `RATES`."""
LINK_RATES = np.geomspace(0.1, 100, 61)
"""Mbit/s of a link, of which every tenth gets a mark."""
TICKS = [digit * 10.0**power for power in range(-1, 6) for digit in (1, 2, 5)]
"""Of the axes of a chart over the link's rate: Vega itself leaves out a 100 beside a 90."""

alt.data_transformers.disable_max_rows()


def rate_table(sent: pd.DataFrame, score: Score) -> pd.DataFrame:
    """Return the points of one score, in its unit of print; sent: see `rate_charts`.

    Returns the columns sender, codec, those of `RATES` and of `VALUES`, `front` (false for a point
    that another of the same sender dominates) and `title`, which names the point. Sorted by rate.
    """
    names = {name.replace("value", score.name): name for name in VALUES}
    table = sent.reindex(columns=["sender", "codec", *RATES, *names]).rename(columns=names)
    table[[*VALUES]] *= score.printed.scale
    front: set[object] = set()
    for _, of_sender in table[table["codec"] != UNCOMPRESSED].groupby("sender"):
        front |= set(of_sender.index[pareto_front(of_sender["kilobytes"], of_sender["value"])])
    return table.assign(
        front=table.index.isin(front), title=table["codec"].map(codec_title)
    ).sort_values("kilobytes")


def rate_chart(
    table: pd.DataFrame,
    score: Score,
    looks: Mapping[str, Style],
    *,
    confidence: float | None,
    legend: bool,
) -> Any:
    """Return score over rate of one task: lines through the best points, and marks.

    table: see `rate_table`. The unit of the rate is the signal `UNIT`.
    """
    if not table["value"].notna().any():
        empty = alt.Chart(pd.DataFrame({"text": [f"{score.label}: {MISSING}"]}))
        return empty.mark_text(fontSize=13).encode(text="text:N")
    colour, dash, mark = channels(looks, legend)
    title = score_title(score)
    axis = alt.Axis(format="~g", labelOverlap="greedy")
    x = alt.X("rate:Q", title=None, scale=alt.Scale(type="log", nice=False, padding=8), axis=axis)
    y = alt.Y("value:Q", title=title, scale=alt.Scale(zero=False))
    digits = f".{score.printed.digits}f"
    value = alt.Tooltip("value:Q", title=title, format=digits)
    rates = [alt.Tooltip(f"{name}:Q", title=x, format=".3~f") for name, x in RATES.items()]
    named = [alt.Tooltip("sender:N", title="send"), alt.Tooltip("title:N", title="point")]
    tooltip = [*named, *rates, value]
    if confidence is not None:
        for end, words in (("value_low", "from"), ("value_high", "to")):
            said = f"{100 * confidence:g} % interval, {words}"
            tooltip.append(alt.Tooltip(f"{end}:Q", title=said, format=digits))
    free = table["codec"] == UNCOMPRESSED
    points = alt.Chart(table[~free]).transform_calculate(rate=f"datum[{UNIT}]")
    best = points.transform_filter("datum.front")
    layers: list[Any] = []
    levels = table.loc[free & np.isfinite(table["value"]), ["sender", "value"]]
    if len(levels):
        rule = alt.Chart(levels).mark_rule(strokeDash=[1, 3], strokeWidth=1.5, color="#777")
        shown = [alt.Tooltip("sender:N", title="uncompressed"), value]
        layers.append(rule.encode(y=y, tooltip=shown))
    layers.append(best.mark_line(strokeWidth=2).encode(x, y, color=colour, strokeDash=dash))
    size = alt.condition("datum.front", alt.value(60), alt.value(12))
    marks = points.mark_point(filled=True, opacity=1)
    layers.append(marks.encode(x, y, color=colour, shape=mark, size=size, tooltip=tooltip))
    # An axis takes no expression as its title; the title of the chart does.
    heading = alt.Title(alt.expr(f"'Rate in ' + {json.dumps(RATES)}[{UNIT}]"), orient="bottom")
    unit = alt.param(name=UNIT, value=next(iter(RATES)))
    return alt.layer(*layers).add_params(unit).properties(height=HEIGHT, title=heading)


def channels(looks: Mapping[str, Style], legend: bool, columns: int = 4) -> list[Any]:
    """Return colour, dash and shape by sender, with one legend for the three of them."""
    key = None
    if legend:
        key = alt.Legend(
            title=None,
            orient="bottom",
            symbolOpacity=1,
            columns=columns,
            labelLimit=300,
            symbolSize=100,
        )
    shown = list(looks)
    return [
        channel("sender:N", scale=alt.Scale(domain=shown, range=values), legend=key, sort=shown)
        for channel, values in (
            (alt.Color, [look.colour for look in looks.values()]),
            (alt.StrokeDash, [list(look.dash) for look in looks.values()]),
            (alt.Shape, [look.mark for look in looks.values()]),
        )
    ]


def rate_charts(
    sent: pd.DataFrame,
    scores: Mapping[str, Score],
    looks: Mapping[str, Style],
    *,
    confidence: float | None = None,
    legend: bool = False,
) -> dict[str, Any]:
    """Return task -> score over rate of some senders of one encoder.

    sent: rows of one encoder as `measured.sent_table` gives them; it may lack the intervals.
    looks: of the senders to draw, by their titles. confidence: of the intervals, None for none.
    """
    drawn = sent[sent["sender"].isin(list(looks))]
    return {
        task: rate_chart(
            rate_table(drawn, score), score, looks, confidence=confidence, legend=legend
        )
        for task, score in scores.items()
    }


def charts_of(results: Results, encoder: str, *, legend: bool = False) -> dict[str, Any]:
    """Return the charts over rate of one encoder of a report: the senders of the answer.

    Only the first sender, the benchmark as in the paper, shows its uncompressed features.
    """
    sent = results.sent[results.sent["encoder"] == encoder]
    looks = styles(results.answer)
    sent = sent[(sent["codec"] != UNCOMPRESSED) | (sent["sender"] == next(iter(looks)))]
    return rate_charts(sent, results.scores, looks, confidence=results.confidence, legend=legend)


def delay_chart(results: Results, encoder: str, *, legend: bool = False) -> Any:
    """Return the time from picture to prediction over the rate of the link, or None.

    A curve for each of `delays.sendings`, a level rule for the fastest of their networks on the
    device alone, an upright one at each break-even. None if no sender has times.
    """
    sent = sendings(results, encoder)
    if not sent:
        return None
    looks = {title: look for title, look in styles(results.answer).items() if title in sent}
    table = pd.DataFrame(
        {"sender": title, "rate": x, "value": of.delay(x), "mark": i % 10 == 0}
        for title, of in sent.items()
        for i, x in enumerate(LINK_RATES.tolist())
    )
    device = min(of.times.network for of in sent.values())
    words = f"all on the device, {device:.1f} ms"
    alone = pd.DataFrame([{"value": device, "rate": LINK_RATES[0], "text": words}])
    ends = [end for both in faster_ranges(*rivals(results, encoder)) for end in both]
    even = [end for end in ends if LINK_RATES[0] <= end <= LINK_RATES[-1]]
    colour, dash, mark = channels(looks, legend, columns=2)
    axis = alt.Axis(format="~g", labelOverlap="greedy", values=TICKS)
    rate, time = "Rate of the link (Mbit/s)", "Picture to prediction (ms)"
    # Below the level rule there is room for its words.
    scale_x, scale_y = (alt.Scale(type="log", nice=False, padding=pixels) for pixels in (8, 18))
    x = alt.X("rate:Q", title=rate, scale=scale_x, axis=axis)
    y = alt.Y("value:Q", title=time, scale=scale_y, axis=axis)
    numbers = {"rate:Q": rate, "value:Q": time}
    shown = [alt.Tooltip(field, title=title, format=".3~g") for field, title in numbers.items()]
    shown.insert(0, alt.Tooltip("sender:N", title="send"))
    rule: dict[str, Any] = {"strokeDash": [1, 3], "strokeWidth": 1.5, "color": "#777"}
    text: dict[str, Any] = {"align": "left", "baseline": "top", "color": "#555"}
    level, curves = alt.Chart(alone), alt.Chart(table)
    layers: list[Any] = [
        level.mark_rule(**rule).encode(y=y),
        level.mark_text(**text, dy=4).encode(x, y, text="text:N"),
    ]
    if even:  # Vega warns of a layer without rows
        upright = alt.Chart(pd.DataFrame({"rate": even, "text": "break-even"}))
        layers.append(upright.mark_rule(**rule).encode(x=x))
        layers.append(upright.mark_text(**text, dx=4).encode(x, y=alt.value(0), text="text:N"))
    layers.append(curves.mark_line(strokeWidth=2).encode(x, y, color=colour, strokeDash=dash))
    marks = curves.transform_filter("datum.mark").mark_point(filled=True, opacity=1, size=60)
    layers.append(marks.encode(x, y, color=colour, shape=mark, tooltip=shown))
    return alt.layer(*layers).properties(height=HEIGHT)


def training_charts(histories: Mapping[str, pd.DataFrame]) -> dict[str, alt.Chart]:
    """Return a chart over epochs for each column of the histories, which go by arm.

    The columns are `lr`, `loss/<part>`, `weight/<part>`, `share/<part>` (of the weighted losses)
    and `val/<score>`, which is empty in epochs without validation.
    """
    table = pd.concat([x.assign(sender=arm) for arm, x in histories.items()], ignore_index=True)
    return {
        training_title(name): _over_epochs(table[["sender", "epoch", name]].dropna(), name)
        for name in map(str, table)
        if name not in ("sender", "epoch") and table[name].notna().any()
    }


def training_title(column: str) -> str:
    """Return a column of a history in words: `loss/disparity` as "Disparity: loss"."""
    kind, _, part = column.partition("/")
    if kind == "val":
        label = next((score.label for score in SCORES.values() if score.name == part), part)
        return f"{label} of the validation frames"
    return f"{part.capitalize()}: {kind}" if part else "Learning rate"


WHOLE = "datum.value % 1 ? '' : datum.label"
"""Label of an axis that counts: of a few epochs Vega marks halves too."""


def _over_epochs(table: pd.DataFrame, name: str) -> alt.Chart:
    shown = list(dict.fromkeys(table["sender"]))
    log = name.startswith(("loss/", "weight/", "lr")) and 0 < table[name].min() < table[name].max()
    scale = alt.Scale(type="log", nice=False) if log else alt.Scale(zero=False)
    colours = alt.Scale(domain=shown, range=[ARM_COLOURS[arm] for arm in shown])
    return (
        alt.Chart(table.rename(columns={name: "value"}))
        # Marks show a training of one epoch, and scores that are not taken in every epoch.
        .mark_line(point=alt.OverlayMarkDef(size=20))
        .encode(
            x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(format="d", labelExpr=WHOLE)),
            y=alt.Y("value:Q", title=None, scale=scale),
            color=alt.Color("sender:N", scale=colours, legend=None),
            tooltip=[
                alt.Tooltip("sender:N", title="arm"),
                alt.Tooltip("epoch:Q"),
                alt.Tooltip("value:Q", title=training_title(name), format=".4~g"),
            ],
        )
        .properties(height=150)
    )


CONFIG: dict[str, Any] = {
    "font": "Helvetica, Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {"gridColor": "#e6e6e6", "domainColor": "#888", "titleFontWeight": "normal"},
    "title": {"fontSize": 11, "fontWeight": "normal"},
}
"""One weight of one font: vl-convert numbers several fonts of a PDF in random order."""


def for_page(chart: Any) -> dict[str, Any]:
    """Return a chart as the page draws it: as wide as its place."""
    spec = chart.properties(width="container").to_dict(validate=False)
    return {**spec, "config": CONFIG, "autosize": {"type": "fit-x", "contains": "padding"}}


def for_print(
    charts: Mapping[str, Any], title: str, *, unit: str = next(iter(RATES))
) -> dict[str, Any]:
    """Return charts side by side as one figure; unit: of the rate, one of `RATES`."""
    panels = [chart.properties(width=PRINT_WIDTH) for chart in charts.values()]
    heading = alt.Title(title, anchor="start", fontSize=13)
    spec = alt.hconcat(*panels, title=heading).to_dict(validate=False)
    for param in spec.get("params", []):
        param["value"] = unit
    return {**spec, "config": CONFIG}


def figures(results: Results, encoder: str) -> dict[str, dict[str, Any]]:
    """Return the figures for print, by the name of their files."""
    charts = charts_of(results, encoder, legend=True)
    title = f"{encoder_title(encoder)}: score over rate"
    found = {
        f"rate-accuracy-{encoder}": for_print(charts, title),
        f"rate-accuracy-{encoder}-bpfe": for_print(charts, title, unit="bpfe"),
    }
    if delay := delay_chart(results, encoder, legend=True):
        title = f"{encoder_title(encoder)}: time over the rate of the link"
        found[f"break-even-{encoder}"] = for_print({"delay": delay}, title)
    return found


def write_figure(spec: Mapping[str, Any], stem: Path) -> None:
    """Write a figure as SVG, PNG and PDF: `stem` with each ending. The network is never used."""
    svg = vl_convert.vegalite_to_svg(dict(spec), allowed_base_urls=[])
    contents = {
        ".svg": svg.encode(),
        ".png": vl_convert.svg_to_png(svg, scale=PRINT_SCALE),
        ".pdf": _ordered(vl_convert.svg_to_pdf(svg)),
    }
    for ending, content in contents.items():
        with whole_file(stem.with_name(stem.name + ending)) as part:
            part.write_bytes(content)


def _ordered(pdf: bytes) -> bytes:
    """Return a PDF with the names of its resources in order: vl-convert's is another each time."""

    def in_order(names: re.Match[bytes]) -> bytes:
        return b"".join(sorted(names[0].splitlines(keepends=True)))

    return re.sub(rb"(?: +/\w+ \d+ 0 R\n)+", in_order, pdf)
