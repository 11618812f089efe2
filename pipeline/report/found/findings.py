"""All that is found out about the models, as tables."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline.report.found.joint import joint_table
from pipeline.report.found.models import (
    Measured,
    band_table,
    iou_table,
    picture_table,
    points_table,
    rate_loss_table,
    uncompressed_table,
)
from pipeline.report.found.published import published_rates
from pipeline.report.found.table import bd_table, point_table
from pipeline.report.found.trust import trust_table
from pipeline.report.tables.bd import bd_grid, diagnostics_grid
from pipeline.report.tables.grid import Grid
from pipeline.report.tables.points import joint_grid, picture_grid, point_grids, rate_loss_grid
from pipeline.report.text.why import with_sentences
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
    compared: pd.DataFrame
    """See `point_table`."""
    bands: pd.DataFrame
    joint: pd.DataFrame
    rate_loss: pd.DataFrame
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
            "points": self.compared,
            "uncompressed": self.uncompressed,
            "pictures": self.pictures,
            "joint": self.joint,
            "rate_loss": self.rate_loss,
            "iou": self.iou,
        }


def find(
    models: Sequence[Measured],
    scores: Mapping[str, Score],
    *,
    method: str,
    resamples: int,
    level: float,
    joint_loss: float,
    lossless: Collection[str] = (),
) -> Findings:
    """Return everything from the per-image sums alone; nothing is run again.

    lossless: names of the lossless codecs among those measured.
    """
    points = points_table(models, scores)
    uncompressed = uncompressed_table(models, scores)
    pictures = picture_table(models, scores)
    bd = bd_table(points, scores, method)
    trust = trust_table(
        *(bd, models, scores),
        method=method,
        resamples=resamples,
        level=level,
        lossless=lossless,
    )
    compared = point_table(points, scores)
    joint = joint_table(models, scores, loss_percent=joint_loss)
    rate_loss = rate_loss_table(models)
    images = len(next(iter(models[0].codecs.values())).bytes_N)
    grids = [
        bd_grid(
            *(trust, scores, published_rates()), resamples=resamples, level=level, images=images
        ),
        *point_grids(compared, uncompressed, scores),
    ]
    if len(pictures):
        grids.append(picture_grid(pictures, scores))
    if len(joint):
        grids.append(joint_grid(joint, loss_percent=joint_loss))
    grids.append(diagnostics_grid(trust, scores))
    if len(rate_loss):
        grids.append(rate_loss_grid(rate_loss))
    return Findings(
        models=models,
        scores=scores,
        level=level,
        points=points,
        uncompressed=uncompressed,
        pictures=pictures,
        trust=trust,
        compared=compared,
        bands=band_table(models, scores, resamples=resamples, level=level),
        joint=joint,
        rate_loss=rate_loss,
        iou=iou_table(models, scores),
        grids=tuple(grids),
    )
