"""The colours of the charts as CSS variables, and the keys of their legends."""

from markupsafe import Markup

from pipeline.report.charts.inks import INKS
from pipeline.report.charts.record import Key

DASHES = {"solid": "", "dash": "5 3", "dot": "1.5 3", "dashdot": "6 2.5 1.5 2.5"}
LIGHTER = 0.4
"""How far the colours go towards white where the page is dark."""


def variables() -> Markup:
    """Return the style sheet that names every ink: `--benchmark` and so on, for light and dark."""
    light = "".join(f"--{name}:{colour};" for name, colour in INKS.items())
    dark = "".join(f"--{name}:{lighter(colour)};" for name, colour in INKS.items())
    query = "@media screen and (prefers-color-scheme:dark)"
    return Markup(f":root{{{light}}}{query}{{:root{{{dark}}}}}")


def lighter(colour: str) -> str:
    """Return `#rrggbb` mixed with white."""
    channels = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(x + LIGHTER * (255 - x)):02x}" for x in channels)


def swatch(key: Key) -> Markup:
    """Return a key of a legend as a small drawing: what its series looks like."""
    colour = f"var(--{key.look.ink})"
    if key.kind == "band":
        inner = f'<rect y="1" width="26" height="10" rx="3" fill="{colour}" fill-opacity="0.3"/>'
    else:
        inner = "" if key.kind == "dots" else _line(key, colour)
        inner += _mark(key, colour)
    return Markup(f'<svg class="swatch" width="26" height="12" aria-hidden="true">{inner}</svg>')


def _line(key: Key, colour: str) -> str:
    width = 2 if key.kind == "curve" else 1.2
    dash = DASHES[key.look.dash]
    return f'<path d="M0 6H26" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dash}"/>'


def _mark(key: Key, colour: str) -> str:
    shape = {
        "": "",
        "circle": '<circle cx="13" cy="6" r="4"',
        "square": '<rect x="9" y="2" width="8" height="8"',
        "triangle": '<path d="M13 1.5L17.5 10H8.5Z"',
    }[key.look.mark]
    inner = colour if key.look.filled else "var(--bg)"
    return f'{shape} fill="{inner}" stroke="{colour}" stroke-width="1.5"/>' if shape else ""
