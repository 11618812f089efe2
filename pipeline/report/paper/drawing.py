"""All figures of a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.arms import ARMS
from pipeline.report.found.findings import Findings
from pipeline.report.found.joint import largest_loss
from pipeline.report.paper.history import training
from pipeline.report.paper.joint import all_tasks
from pipeline.report.paper.pictures import predictions, predictions_by_codec, tile
from pipeline.report.paper.rate_accuracy import rate_accuracy
from pipeline.report.paper.scatter import rate_loss
from pipeline.scoring.examples import Examples


@dataclass(frozen=True)
class Looks:
    """What there is to see of one encoder, from the models of one seed."""

    histories: Mapping[str, pd.DataFrame]
    """By arm."""
    tiles: Sequence[tuple[str, np.ndarray]]
    """(caption, tile_HW) of each arm's first frame."""
    examples: Mapping[str, Examples]
    """Pictures of the first frames, by arm."""


def draw_all(
    findings: Findings,
    looks: Mapping[str, Looks],
    *,
    published: pd.DataFrame | None,
    joint_loss: float,
) -> dict[str, Figure]:
    """Every figure by the name of its files; `looks` goes by encoder.

    published: the authors' points, where they are a reference for this data set.
    """
    points, scores = findings.points, findings.scores
    beside: dict[str, Any] = {
        "bands": findings.bands,
        "uncompressed": findings.uncompressed,
        "published": published,
    }
    drawn = {"rate-accuracy": rate_accuracy(points, scores, **beside)}
    if len(findings.pictures):
        # A picture has no feature elements: with it the rate is in bytes.
        drawn["rate-accuracy-picture"] = rate_accuracy(
            points, scores, pictures=findings.pictures, rate="kilobytes", **beside
        )
    if len(findings.joint):
        lost = largest_loss(points, findings.uncompressed, scores)
        drawn["joint"] = all_tasks(lost, loss_percent=joint_loss)
    if len(findings.rate_loss):
        drawn["rate-loss"] = rate_loss(findings.first_seed, findings.rate_loss)
    for encoder, seen in looks.items():
        of_encoder = points[points["encoder"] == encoder]
        drawn[f"rate-accuracy-{encoder}"] = rate_accuracy(of_encoder, scores, **beside)
        drawn[f"tiles-{encoder}"] = tile(seen.tiles)
        proposed = seen.examples[ARMS[1]]
        drawn[f"predictions-{encoder}"] = predictions(proposed, next(iter(proposed.predictions)))
        drawn[f"codecs-{encoder}"] = predictions_by_codec(seen.examples)
        drawn[f"training-{encoder}"] = training(seen.histories, scores)
    return drawn
