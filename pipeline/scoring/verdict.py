"""Whether a BD-rate may be quoted: one code and one sentence."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.scoring.bootstrap import Interval

QUOTABLE, NO_DIFFERENCE = "quotable", "no difference shown"
DO_NOT_QUOTE, NOT_AVAILABLE = "do not quote", "not available"
MARKS = {QUOTABLE: "✓", NO_DIFFERENCE: "≈", DO_NOT_QUOTE: "✗", NOT_AVAILABLE: "–"}
"""Each code as one character, for tight places."""

QUOTABLE_OVERLAP = 0.5
"""Of the curves, from which on a BD-rate may be quoted."""


class Verdict(NamedTuple):
    """What to do with a number, and why."""

    code: str
    """One of `MARKS`."""
    sentence: str


class Evidence(NamedTuple):
    """What speaks for and against one BD-rate; all numbers are in per cent but the overlap."""

    percent: float
    """The BD-rate; NaN if there is none."""
    why: str
    """Why there is none."""
    overlap: float
    """Of the curves, 0 to 1."""
    left_out: Sequence[float]
    """The number with one point left out of both curves, where there is one."""
    interval: Interval | None
    """None if none was asked for."""
    seeds: int
    """How many trainings the number is a mean of."""
    noise: float
    """How far two benchmarks of other seeds lie apart, without a sign; NaN if not known."""
    near_best: float | None
    """The number over the best scores alone, NaN if the test does not reach them; None where there
    is none by its kind."""
    incomparable: Sequence[str]
    """Why the models themselves cannot be compared."""


def judge(found: Evidence) -> Verdict:
    """Return whether the number may be quoted.

    Models that cannot be compared show nothing, not even that there is no difference.
    """
    if not np.isfinite(found.percent):
        return Verdict(NOT_AVAILABLE, _sentence([found.why]))
    against = [*_objections(found), *found.incomparable]
    if found.incomparable:
        return Verdict(DO_NOT_QUOTE, _sentence(against))
    if found.interval is not None and found.interval.holds_zero:
        return Verdict(NO_DIFFERENCE, "The interval holds 0.")
    if against:
        return Verdict(DO_NOT_QUOTE, _sentence(against))
    return Verdict(QUOTABLE, "Nothing that is checked speaks against it.")


def _objections(found: Evidence) -> list[str]:
    """Return what the number itself says against being quoted."""
    percent, interval = found.percent, found.interval
    against = ["one seed says nothing of the noise of training"] if found.seeds == 1 else []
    if size_of(percent) <= found.noise:
        against.append(
            "it is inside the noise of training: two benchmarks of other seeds differ by up to "
            f"{found.noise:.1f} %"
        )
    if found.overlap < QUOTABLE_OVERLAP:
        against.append(f"the curves share only {100 * found.overlap:.0f} % of their score range")
    if _both_signs([percent, *found.left_out]):
        against.append("its sign changes when one point is left out")
    if found.near_best is not None and np.isnan(found.near_best):
        against.append("it does not reach the scores near the best of the other")
    elif found.near_best is not None and _both_signs([percent, found.near_best]):
        against.append(f"near the best scores it has the other sign, {found.near_best:+.1f} %")
    if interval is not None and interval.why:
        against.append(f"it has no interval: {interval.why}")
    elif interval is not None and interval.high - interval.low > abs(percent):
        against.append(
            f"its interval, {interval.low:+.2f} to {interval.high:+.2f} %, is wider than the value "
            "is large"
        )
    return against


def size_of(percent: float) -> float:
    """Return a change of bits without its direction: -50 % and +100 % are both 100 %."""
    return float(100 * np.expm1(abs(np.log1p(percent / 100))))


def _both_signs(values: Sequence[float]) -> bool:
    """Return whether some of the values are above 0 and some below; a NaN is neither."""
    return {-1.0, 1.0} <= {float(np.sign(value)) for value in values}


def _sentence(parts: Sequence[str]) -> str:
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."
