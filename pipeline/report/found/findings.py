"""All that is found out about the models, as tables."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline.report.found.bounds import bounds_table
from pipeline.report.found.joint import joint_table
from pipeline.report.found.kinds import Kind
from pipeline.report.found.models import (
    Measured,
    band_table,
    iou_table,
    levels_table,
    picture_table,
    points_table,
    rate_loss_table,
    remembered,
    uncompressed_table,
)
from pipeline.report.found.noise import noise_table
from pipeline.report.found.published import published_rates
from pipeline.report.found.table import bd_table, point_table
from pipeline.report.found.trust import trust_table
from pipeline.report.tables.bd import Drawn, bd_grid, diagnostics_grid, hull_grid
from pipeline.report.tables.grid import Grid
from pipeline.report.tables.points import (
    bounds_grid,
    joint_grid,
    levels_grid,
    picture_grid,
    point_grids,
    rate_loss_grid,
)
from pipeline.report.text.why import with_sentences, without_records
from pipeline.scoring.metrics import Score


@dataclass(frozen=True)
class Findings:
    """The report in numbers; what there is nothing of is an empty table."""

    models: Sequence[Measured]
    scores: Mapping[str, Score]
    """task -> its score, in the order of print."""
    level: float
    """Of the intervals."""
    points: pd.DataFrame
    """See `points_table`, and likewise for the others."""
    uncompressed: pd.DataFrame
    pictures: pd.DataFrame
    trust: pd.DataFrame
    noise: pd.DataFrame
    compared: pd.DataFrame
    """See `point_table`."""
    bounds: pd.DataFrame
    bands: pd.DataFrame
    joint: pd.DataFrame
    rate_loss: pd.DataFrame
    levels: pd.DataFrame
    iou: pd.DataFrame
    grids: tuple[Grid, ...]
    """For print, in the order of the page, which numbers them alike."""

    @property
    def first_seed(self) -> list[Measured]:
        """The models that pictures are of."""
        return [model for model in self.models if model.seed == self.models[0].seed]

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """By the name of the file they go to."""
        return {
            "bd_rate": with_sentences(self.trust),
            "noise": self.noise,
            "points": self.compared,
            "bounds": self.bounds,
            "uncompressed": self.uncompressed,
            "pictures": self.pictures,
            "joint": without_records(self.joint),
            "rate_loss": self.rate_loss,
            "levels": self.levels,
            "iou": self.iou,
        }


def find(
    models: Sequence[Measured],
    scores: Mapping[str, Score],
    *,
    kinds: Mapping[str, Kind],
    resamples: int,
    level: float,
    joint_loss: float,
    lossless: Collection[str] = (),
    trivial: Mapping[str, float] | None = None,
) -> Findings:
    """Return everything from the per-image sums alone; nothing is run again.

    kinds: the ways to make a BD-rate. lossless: names of the lossless points among those measured.
    trivial: task -> score of a prediction that knows the training set alone.

    This function is long on purpose: it is the list of what a report holds.
    """
    points = points_table(models, scores)
    uncompressed = uncompressed_table(models, scores)
    pictures = picture_table(models, scores)
    noise = noise_table(models, scores, kinds)
    drawn_scores = {task: remembered(score) for task, score in scores.items()}
    trust = trust_table(
        *(bd_table(points, scores, kinds), models, drawn_scores),
        kinds=kinds,
        resamples=resamples,
        level=level,
        lossless=lossless,
        noise=noise,
        trivial=trivial or {},
    )
    bounds = bounds_table(models, drawn_scores, resamples=resamples, level=level)
    compared = point_table(points, scores)
    joint = joint_table(
        models, drawn_scores, loss_percent=joint_loss, resamples=resamples, level=level
    )
    rate_loss = rate_loss_table(models)
    levels = levels_table(models)
    drawn = Drawn(resamples, level, models[0].images)
    grids = [
        hull_grid(trust, scores, drawn, loss_percent=kinds["hull_bd_rate"].loss_percent),
        *([bounds_grid(bounds, scores, level=level)] if len(bounds) else []),
        bd_grid(trust, scores, published_rates(), drawn, points=kinds["bd_rate"].points),
        *point_grids(compared, uncompressed, scores),
        *([picture_grid(pictures, scores)] if len(pictures) else []),
        *([joint_grid(joint, loss_percent=joint_loss, level=level)] if len(joint) else []),
        diagnostics_grid(trust, scores),
        *([rate_loss_grid(rate_loss)] if len(rate_loss) else []),
        *([levels_grid(levels)] if len(levels) else []),
    ]
    return Findings(
        models=models,
        scores=scores,
        level=level,
        points=points,
        uncompressed=uncompressed,
        pictures=pictures,
        trust=trust,
        noise=noise,
        compared=compared,
        bounds=bounds,
        bands=band_table(models, drawn_scores, resamples=resamples, level=level),
        joint=joint,
        rate_loss=rate_loss,
        levels=levels,
        iou=iou_table(models, scores),
        grids=tuple(grids),
    )
