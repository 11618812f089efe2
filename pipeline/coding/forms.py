"""The forms of the rate loss by name; `rate` computes them, this starts without torch."""

from itertools import product
from typing import NamedTuple

UNITS = ("levels", "features", "deviation")
"""The unit that L_r measures features in.

`levels`: the quantiser's range; a network can lower it by stretching the range, which saves what a
coarser quantiser saves too. `features`: none, the raw features, as in the paper; shrinking them
lowers it and saves nothing. `deviation`: the standard deviation of the features of an image; no
change of range or scale lowers it.
"""


class RateForm(NamedTuple):
    """A form of the rate loss; as text, for example, `levels-prediction-transform`."""

    unit: str
    """One of `UNITS`."""
    prediction: bool
    """Each feature is predicted from its left and upper neighbour (equations 1 to 3)."""
    transform: bool
    """The residual is transformed (equation 4)."""

    def __str__(self) -> str:
        parts = [name for name in ("prediction", "transform") if getattr(self, name)]
        return "-".join([self.unit, *parts])


FORMS = tuple(RateForm(*x) for x in product(UNITS, (True, False), (True, False)))
"""Every form there is."""
