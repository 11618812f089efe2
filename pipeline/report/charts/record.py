"""What a chart shows, as plain data that any drawing library can draw."""

from dataclasses import dataclass
from typing import Literal

Values = tuple[float, ...]


@dataclass(frozen=True)
class Look:
    """How a series looks: its line and its mark tell it apart as well as its colour."""

    ink: str
    """A name of `pipeline.report.charts.inks.INKS`."""
    dash: Literal["solid", "dash", "dot", "dashdot"] = "solid"
    mark: Literal["", "circle", "square", "triangle"] = ""
    """"" for a line without marks at its points."""
    filled: bool = True
    """Whether the mark is filled with the ink or with the background."""


Kind = Literal["curve", "thin", "dots", "band"]
"""A line with marks; a thin line that stands behind; marks without a line; a shaded area."""


@dataclass(frozen=True)
class Series:
    """One set of points, in the order in which a line joins them."""

    kind: Kind
    look: Look
    x: Values
    y: Values
    """Of a band the lower ends."""
    high: Values = ()
    """The upper ends of a band; empty for every other kind."""
    tags: tuple[str, ...] = ()
    """A short name for each point, to be written beside it; empty for none."""
    told: tuple[str, ...] = ()
    """What a reader who points at a point is told, in lines; empty for nothing."""
    note: str = ""
    """A few words on the series, shown in its panel."""


@dataclass(frozen=True)
class Axis:
    """One axis of a panel."""

    label: str
    unit: str = ""
    log: bool = False
    whole: bool = False
    """Only whole numbers are marked."""
    ends: tuple[float, float] | None = None
    """First and last value shown; None leaves both to the values."""

    @property
    def title(self) -> str:
        """Return the label with its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


@dataclass(frozen=True)
class Panel:
    """One pair of axes with its series; a later series lies over an earlier one."""

    group: str
    """What the panel is about, shared with its neighbours: an encoder, or ""."""
    title: str
    """What the panel shows of its group; "" where the chart has one panel per group."""
    x: Axis
    y: Axis
    series: tuple[Series, ...]

    @property
    def heading(self) -> str:
        """Return group and title as one text that begins with a capital letter."""
        text = ": ".join(filter(None, (self.group, self.title)))
        return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class Key:
    """One line of a legend."""

    name: str
    kind: Kind
    look: Look


@dataclass(frozen=True)
class Chart:
    """Panels that belong together, with the legend that they share."""

    panels: tuple[Panel, ...]
    """Row by row."""
    columns: int
    legend: tuple[Key, ...]

    def of(self, group: str) -> "Chart":
        """Return the panels of one group as a chart of one column."""
        panels = tuple(panel for panel in self.panels if panel.group == group)
        return Chart(panels, 1, self.legend)
