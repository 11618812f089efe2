"""Turn any described chart into what Plotly draws in the browser.

A panel becomes a `Plot`. What a switch of the page chooses is a chart of its own, so a plot holds
one `data` and `layout` per choice. Colours and fonts stand in page.js, since they follow the
reader's light or dark setting: `meta.ink` names the CSS variable.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from pipeline.report.charts.record import Axis, Chart, Panel, Series, Values

SYMBOLS = {"": "circle", "circle": "circle", "square": "square", "triangle": "triangle-up"}
WIDTHS = {"curve": 2.0, "thin": 1.2, "dots": 0.0, "band": 0.0}
SHADE = 0.13


@dataclass(frozen=True)
class Plot:
    """One panel of the page."""

    group: str
    title: str
    specs: Mapping[str, Any]
    """Choice of the reader -> note, data and layout for Plotly."""

    @property
    def json(self) -> str:
        """Return the specs as JSON that may stand in a script element."""
        return json.dumps(self.specs, allow_nan=False, ensure_ascii=False).replace("<", "\\u003c")


def plots(charts: Mapping[str, Chart]) -> list[Plot]:
    """Return the panels of a chart that the reader can switch, by the name of each choice.

    All choices have the same panels in the same order.
    """
    panels = zip(*(chart.panels for chart in charts.values()), strict=True)
    return [
        Plot(
            group=of_choices[0].group,
            title=of_choices[0].title[:1].upper() + of_choices[0].title[1:],
            specs={name: spec(panel) for name, panel in zip(charts, of_choices, strict=True)},
        )
        for of_choices in panels
    ]


def spec(panel: Panel) -> dict[str, Any]:
    """Return one panel as plain values; the traces are in the order of its series."""
    return {
        "note": ", ".join(series.note for series in reversed(panel.series) if series.note),
        "data": [_trace(series) for series in panel.series],
        "layout": {
            "xaxis": _axis(panel.x, (s.x for s in panel.series)),
            "yaxis": _axis(panel.y, (s.y for s in panel.series)),
        },
    }


def _trace(series: Series) -> dict[str, Any]:
    look = series.look
    told = [_told(text) for text in series.told]
    meta: dict[str, Any] = {"ink": look.ink}
    if series.kind == "band":
        # There along the lower ends, and back along the upper ones.
        x, y = (*series.x, *series.x[::-1]), (*series.y, *series.high[::-1])
        meta["shade"] = SHADE
        extra: dict[str, Any] = {"fill": "toself"}
    else:
        x, y = series.x, series.y
        extra = {"opacity": 0.6} if series.kind == "thin" and look.dash != "dot" else {}
    marked = look.mark and series.kind in ("curve", "dots")
    return {
        "type": "scatter",
        "x": _plain(x),
        "y": _plain(y),
        "mode": "markers" if series.kind == "dots" else "lines+markers" if marked else "lines",
        "line": {"dash": look.dash, "width": WIDTHS[series.kind]},
        "marker": {
            "symbol": SYMBOLS[look.mark] + ("" if look.filled else "-open"),
            "size": 6 if series.kind == "dots" else 8,
        },
        "meta": meta,
        **extra,
        **({"text": told, "hovertemplate": "%{text}<extra></extra>"} if told else {}),
        **({} if told else {"hoverinfo": "skip"}),
    }


def _told(text: str) -> str:
    """Return lines as HTML, the first of them bold."""
    first, *others = (escape(line, quote=False) for line in text.split("\n"))
    return "<br>".join([f"<b>{first}</b>", *others])


def _axis(axis: Axis, values: Iterable[Values]) -> dict[str, Any]:
    known = [x for of_series in values for x in of_series if math.isfinite(x)]
    found: dict[str, Any] = {"title": {"text": axis.title}}
    if axis.ends:
        found["range"] = list(axis.ends)
        if axis.whole and axis.ends[1] - axis.ends[0] < 8:
            # Of few whole numbers each is marked; of many Plotly marks whole ones by itself.
            found["dtick"] = 1
    if axis.log:
        found["type"] = "log"
        found["exponentformat"] = "power"
        # Left to itself Plotly would mark every digit of every decade.
        if max(known) > 100 * min(known):
            found["dtick"] = 1
        elif max(known) > 5 * min(known):
            found["dtick"] = "D2"
    return found


def _plain(values: Iterable[float]) -> list[float | None]:
    """Return numbers as JSON has them, null for what is not known."""
    return [x if math.isfinite(x) else None for x in values]
