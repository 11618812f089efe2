"""The forms of the rate loss by name; `rate` computes them, this starts without torch."""

from itertools import product
from typing import NamedTuple

UNITS = ("levels", "features")
"""What L_r is taken of: the features in units of the quantiser's range, or the raw features."""


class RateForm(NamedTuple):
    """A form of the rate loss; as text, for example, `levels-prediction-transform`."""

    of: str
    """One of `UNITS`."""
    prediction: bool
    """Each feature is predicted from its left and upper neighbour (equations 1 to 3)."""
    transform: bool
    """The residual is transformed (equation 4)."""

    def __str__(self) -> str:
        parts = [name for name in ("prediction", "transform") if getattr(self, name)]
        return "-".join([self.of, *parts])


FORMS = tuple(RateForm(*x) for x in product(UNITS, (True, False), (True, False)))
"""Every form there is."""
