"""How each sender looks in every chart: colours of Okabe and Ito, safe for colour-blind readers.

Dash and mark tell senders apart as well, also in grey print.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.artifacts import ARM_COLOURS


class Style(NamedTuple):
    """One sender's line and mark."""

    colour: str
    dash: tuple[float, ...]
    """Lengths of strokes and gaps in pixels; a solid line is (1, 0)."""
    mark: str
    """A shape by Vega's name."""


KNOWN = {
    "benchmark": Style(ARM_COLOURS["benchmark"], (5, 3), "circle"),
    "proposed": Style(ARM_COLOURS["proposed"], (1, 0), "square"),
    "jpeg": Style("#009E73", (6, 2.5, 1.5, 2.5), "triangle-up"),
}
OTHERS = (
    Style("#CC79A7", (1, 0), "diamond"),
    Style("#56B4E9", (2, 2), "triangle-down"),
    Style("#E69F00", (8, 3), "cross"),
    Style("#000000", (3, 1), "triangle-right"),
)
"""For senders that have no style of their own, in the order in which they come."""


def styles(senders: Sequence[str]) -> dict[str, Style]:
    """Return the style of each sender; a fifth other one has the first colour with another mark."""
    found = {sender: KNOWN[sender] for sender in senders if sender in KNOWN}
    for place, sender in enumerate(x for x in senders if x not in KNOWN):
        colour, line = OTHERS[place % len(OTHERS)], OTHERS[(place + place // len(OTHERS)) % 4]
        found[sender] = Style(colour.colour, line.dash, line.mark)
    return found
