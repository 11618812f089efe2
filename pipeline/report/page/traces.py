"""Traces of the page's interactive charts, as Plotly has them.

What the reader can switch stands in the `meta` of a trace, and page.js puts it in place: `x` or `y`
by the name of the choice (a trace without the choice made is hidden), and `role`, the style
sheet's name for its colour.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from pipeline.arms import ARMS
from pipeline.report.text.names import Row

RATES = {
    "bpfe": "bits per feature element",
    "bpp": "bits per pixel",
    "kilobytes": "kilobytes per image",
}
"""Rate axes by column of a table of points."""

DASH = {"benchmark": "dash", "proposed": "solid"}
SYMBOL = {"benchmark": "circle-open", "proposed": "square"}


@dataclass(frozen=True)
class Chart:
    """A figure with what stands around it."""

    title: str
    figure: go.Figure

    @property
    def json(self) -> str:
        # The page has colours and fonts of its own.
        return str(self.figure.update_layout(template="none").to_json())


def mean_over_seeds(points: pd.DataFrame, value: str) -> pd.DataFrame:
    """By codec, rising in rate."""
    mean = points.groupby("codec", sort=False)[[*RATES, value]].mean()
    return mean.sort_values("bpfe")


def rates(row: Row) -> str:
    """The rate of a point in every unit it is known in."""
    units = {"bpfe": "bit/element", "bpp": "bit/pixel", "kilobytes": "kB"}
    return ", ".join(f"{row[name]:.3g} {unit}" for name, unit in units.items() if name in row)


def by_rate(table: pd.DataFrame) -> dict[str, list[float]]:
    """The rates of a table by the rate axes it has."""
    return {name: table[name].tolist() for name in RATES if name in table}


def add_curve(
    figure: go.Figure,
    role: str,
    table: pd.DataFrame,
    values: pd.Series,
    text: Sequence[str],
    faint: bool = False,
) -> None:
    """A curve with what is shown at each point; faint for what only stands behind."""
    figure.add_scatter(
        y=values.tolist(),
        text=text,
        mode="lines" if faint else "lines+markers",
        line={"dash": DASH.get(role, "dot"), "width": 1 if faint else 2},
        marker={"symbol": SYMBOL.get(role, "diamond"), "size": 8},
        opacity=0.45 if faint else 1,
        hovertemplate="%{text}<extra></extra>",
        meta={"role": role, "x": by_rate(table)},
    )


def add_band(figure: go.Figure, role: str, table: pd.DataFrame) -> None:
    """A shade from `low` to `high` along the rates."""
    there_and_back = {name: [*x, *x[::-1]] for name, x in by_rate(table).items()}
    figure.add_scatter(
        y=[*table["low"], *table["high"][::-1]],
        mode="lines",
        line={"width": 0},
        fill="toself",
        hoverinfo="skip",
        meta={"role": role, "x": there_and_back, "shade": True},
    )


def add_level(figure: go.Figure, role: str, table: pd.DataFrame, value: float, told: str) -> None:
    """A level across all rates of a table."""
    ends = {name: [table[name].min(), table[name].max()] for name in RATES if name in table}
    figure.add_scatter(
        y=[value, value],
        mode="lines",
        line={"dash": "dot", "width": 1.2},
        text=[f"<b>{role}</b>, uncompressed<br>{told}" if role in ARMS else told] * 2,
        hovertemplate="%{text}<extra></extra>",
        meta={"role": role, "x": ends},
    )
