"""How each sender looks in every chart: colours of Okabe and Ito, safe for colour-blind readers.

An arm has its colour, a picture a grey. Dash and mark tell coders apart, also in grey print.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.artifacts import ARM_COLOURS, ARMS
from pipeline.report.names import PAPER, Sender


class Style(NamedTuple):
    """One sender's line and mark."""

    colour: str
    dash: tuple[float, ...]
    """Lengths of strokes and gaps in pixels; a solid line is (1, 0)."""
    mark: str
    """A shape by Vega's name."""


GREYS = {"jpeg": "#999999", "webp": "#666666"}
"""Of pictures by codec; black for any other."""
BARE = (1, 2.5)
"""Dash of a picture without its container."""
CODERS = {
    PAPER: ((5, 3), "circle"),
    "klt": ((1, 0), "square"),
    "table": ((1, 0), "diamond"),
    "jpeg": ((6, 2.5, 1.5, 2.5), "triangle-up"),
    "webp": ((8, 3), "triangle-down"),
    "avif": ((1, 0), "cross"),
}
"""Dash and mark of a coder."""
OTHERS = (
    Style("#CC79A7", (1, 0), "diamond"),
    Style("#56B4E9", (2, 2), "triangle-down"),
    Style("#E69F00", (8, 3), "cross"),
    Style("#009E73", (3, 1), "triangle-right"),
)
"""For curves that are no senders."""
MARKS = ("triangle-right", "triangle-left", "wedge", "arrow")
"""Of coders that `CODERS` does not name, whose dashes are those of `OTHERS`."""


def styles(senders: Mapping[str, Sender]) -> dict[str, Style]:
    """Return the style of each sender, by its title."""
    unknown = list(dict.fromkeys(x.coder for x in senders.values() if x.coder not in CODERS))
    looks = {
        coder: (OTHERS[i // len(MARKS) % len(OTHERS)].dash, MARKS[i % len(MARKS)])
        for i, coder in enumerate(unknown)
    }
    found = {}
    for title, sender in senders.items():
        dash, mark = {**CODERS, **looks}[sender.coder]
        grey = sender.picture and sender.arm == ARMS[0]
        colour = GREYS.get(sender.coder, "#000000") if grey else ARM_COLOURS[sender.arm]
        found[title] = Style(colour, BARE if sender.bare else dash, mark)
    return found


def numbered(names: Sequence[str]) -> dict[str, Style]:
    """Return a style for each of some curves; the first is the benchmark's own."""
    found = {names[0]: Style(ARM_COLOURS[ARMS[0]], *CODERS[PAPER])}
    for place, name in enumerate(names[1:]):
        colour, line = OTHERS[place % len(OTHERS)], OTHERS[(place + place // len(OTHERS)) % 4]
        found[name] = Style(colour.colour, line.dash, line.mark)
    return found
