"""The ways to make a BD-rate of two curves."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pipeline.scoring.bdrate import BDRate, bd_rate, hull_rate
from pipeline.scoring.metrics import Score
from pipeline.scoring.obstacles import FEWEST_POINTS

KINDS = ("hull_bd_rate", "depth_bd_rate", "bd_rate")
"""Names of the ways to make a BD-rate (see `kinds_of`)."""


NEAR_TOP = 0.2
"""Share of the range of scores, from the anchor's best down, over which a hull's number is given
once more. Most of the range lies where more is lost than many a user would accept."""


@dataclass(frozen=True)
class Kind:
    """One way to make a BD-rate: of which points, by which rule."""

    points: tuple[str, ...]
    """Codec points of the curve, in the order of `codecs`."""
    method: str | None
    """Of interpolation between the points; None for their hulls, which need none."""
    loss_percent: float = 100.0
    """For hulls: how far below the anchor's best score a score still counts, in per cent of it."""

    def rate(self, score: Score) -> Callable[..., BDRate]:
        """Return how the number is made of two curves: rates and scores of either."""
        if self.method is None:
            return partial(hull_rate, averaged=score.averaged, loss_percent=self.loss_percent)
        return partial(bd_rate, method=self.method)

    def near_top(self, score: Score) -> Callable[..., BDRate] | None:
        """Return how the number over the best scores alone is made; None for a BD-rate."""
        if self.method is not None:
            return None
        return replace(self, loss_percent=NEAR_TOP * self.loss_percent).rate(score)


def kinds_of(
    points: Sequence[str],
    *,
    fixed: Collection[str],
    lossless: Collection[str],
    method: str = "cubic",
    hull_loss: float = 100.0,
) -> dict[str, Kind]:
    """Return the ways to make a BD-rate of these codec points, by their names in `KINDS`.

    - `hull_bd_rate`: between the hulls of all points, over scores that lie at most `hull_loss` per
      cent below the benchmark's best. It compares the best that codec and quantiser do for each
      arm.
    - `depth_bd_rate`: the same of the lossless points alone, the quantiser's depth being all that
      differs. It is left out if there are fewer than four of them.
    - `bd_rate`: the paper's, of the points in `fixed`, by `method`. It exists only if the score of
      each curve rises with its rate.
    """
    over_depth = tuple(name for name in points if name in lossless)
    kinds = {"hull_bd_rate": Kind(tuple(points), None, hull_loss)}
    if len(over_depth) >= FEWEST_POINTS:
        kinds["depth_bd_rate"] = Kind(over_depth, None, hull_loss)
    paper = tuple(name for name in points if name in fixed)
    kinds["bd_rate"] = Kind(paper, method)
    return kinds
