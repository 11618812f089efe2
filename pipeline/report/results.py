"""From evaluations to everything that a report says, as tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.report.comparisons import bd_table, changes_table, kinds
from pipeline.report.measured import Model, measure, sent_table
from pipeline.report.names import MEAN
from pipeline.report.rates import rates_table
from pipeline.scoring.metrics import SCORES, Score


@dataclass(frozen=True)
class Results:
    """The report in numbers. A table that there is nothing for has no rows."""

    arms: tuple[str, ...]
    senders: tuple[str, ...]
    """Arms, then codecs of the picture."""
    scores: Mapping[str, Score]
    """task -> its score, in the order of print."""
    images: int
    confidence: float
    resamples: int
    max_score_drop: float
    points: pd.DataFrame
    """A row per model and point: encoder, arm, seed, codec, rates in three units, scores."""
    sent: pd.DataFrame
    """Points of all senders, means over seeds, see `measured.sent_table`."""
    bd_rate: pd.DataFrame
    """See `comparisons.bd_table`, and likewise for the next."""
    changes: pd.DataFrame
    lowest_rates: pd.DataFrame
    """See `rates.rates_table`."""
    diagnostics: pd.DataFrame
    """encoder, arm, seed, rate_loss, span, deviation, `correlation <codec>` of L_r with bytes."""
    iou: pd.DataFrame
    """encoder, arm, seed, codec (or uncompressed), class, iou (NaN where the class is absent)."""

    @property
    def files(self) -> dict[str, pd.DataFrame]:
        """The tables beside points.csv that have rows, by the name of the file they go to."""
        names = ("sent", "bd_rate", "changes", "lowest_rates", "diagnostics", "iou")
        return {name: table for name in names if len(table := getattr(self, name))}

    @property
    def encoders(self) -> list[str]:
        """In the order of the models."""
        return list(dict.fromkeys(self.points["encoder"]))

    @property
    def final(self) -> pd.DataFrame:
        """The BD-rates that may be quoted: of several seeds the mean alone."""
        of_mean = self.bd_rate["seed"] == MEAN
        return self.bd_rate[of_mean] if of_mean.any() else self.bd_rate


def analyse(
    models: Iterable[Model],
    *,
    rate_form: str,
    bd_points: Sequence[str],
    max_score_drop: float,
    max_task_drops: Sequence[float],
    resamples: int,
    confidence: float,
) -> Results:
    """Return everything from the per-image sums alone; nothing is run again.

    models: read one after the other, so that the sums of one at a time are held. rate_form: of L_r,
    see `coding.forms`. The others are the settings of `report`, see params.yaml.
    Raises ResultsError if models were evaluated on different frames or tasks.
    """
    measured = measure(models, rate_form=rate_form, resamples=resamples)
    first = measured[0]
    ways = kinds(bd_points=bd_points, max_score_drop=max_score_drop)
    arms = tuple(dict.fromkeys(model.name.arm for model in measured))
    senders = dict.fromkeys([*arms, *(sender for model in measured for sender in model.senders)])

    def rows(name: str) -> pd.DataFrame:
        return pd.DataFrame([row for model in measured for row in model.tables[name]])

    return Results(
        arms=arms,
        senders=tuple(senders),
        scores={task: SCORES[task] for task in first.uncompressed},
        images=len(first.names),
        confidence=confidence,
        resamples=resamples,
        max_score_drop=max_score_drop,
        points=rows("points"),
        sent=sent_table(measured, confidence=confidence),
        bd_rate=bd_table(measured, ways, confidence=confidence),
        changes=changes_table(measured, confidence=confidence),
        lowest_rates=rates_table(measured, max_task_drops=max_task_drops, confidence=confidence),
        diagnostics=rows("diagnostics"),
        iou=rows("iou"),
    )


Nested = dict[str, dict[str, dict[str, float | str | None]]]
"""What it is -> model (`encoder2-0`, of several seeds `encoder2-mean`) -> score -> value."""


def nested(bd_rate: pd.DataFrame, column: str) -> Nested:
    """Return one column of a table of BD-rates by kind, model and score; None where it is NaN."""
    found: Nested = {}
    for row in bd_rate.to_dict("records"):
        model = found.setdefault(row["kind"], {}).setdefault(f"{row['encoder']}-{row['seed']}", {})
        value = row[column]
        model[row["score"]] = None if isinstance(value, float) and np.isnan(value) else value
    return found


def headline_scores(results: Results) -> Nested:
    """Return bits per element and scores of every arm at its first point, means over seeds.

    Returns `{"png": {"encoder2-proposed-mean": {"bpfe": 3.98, "miou": 0.16}}}`.
    """
    seeds = results.points["seed"].unique()
    seed = MEAN if len(seeds) > 1 else seeds[0]
    found: Nested = {}
    of_arms = results.sent[results.sent["sender"].isin(results.arms)]
    for row in of_arms.drop_duplicates(["encoder", "sender"]).to_dict("records"):
        names = ["bpfe", *(score.name for score in results.scores.values())]
        values = {name: row[name] if np.isfinite(row[name]) else None for name in names}
        found.setdefault(row["codec"], {})[f"{row['encoder']}-{row['sender']}-{seed}"] = values
    return found
