"""The colours of all charts, and how each arm looks."""

from pipeline.arms import ARM_COLOURS, ARMS
from pipeline.report.charts.record import Key, Look

INKS = {
    **ARM_COLOURS,
    "picture": "#009E73",
    "neutral": "#808080",
    "sky": "#56B4E9",
    "orange": "#E69F00",
    "purple": "#CC79A7",
}
"""Name of an ink -> its colour; all but the neutral one are of Okabe and Ito's set."""

ARM_LOOKS = {
    ARMS[0]: Look(ARMS[0], dash="dash", mark="circle", filled=False),
    ARMS[1]: Look(ARMS[1], dash="solid", mark="square"),
}

UNDER_TO_OVER = tuple(reversed(ARMS))
"""The order in which arms are drawn: the broken line over the solid one, so that both show."""


def arm_keys() -> tuple[Key, ...]:
    """Return the legend of the two arms."""
    return tuple(Key(arm, "curve", look) for arm, look in ARM_LOOKS.items())
