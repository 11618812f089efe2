"""From evaluations to everything that a report says, as tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.artifacts import ARMS
from pipeline.report.comparisons import bd_table, changes_table
from pipeline.report.measured import Model, by_sender, measure, sent_table
from pipeline.report.names import MEAN, Sender, preferred
from pipeline.report.rates import first_sender, rates_table
from pipeline.scoring.metrics import SCORES, Score


@dataclass(frozen=True)
class Results:
    """The report in numbers. A table that there is nothing for has no rows."""

    arms: tuple[str, ...]
    """Those that send features."""
    senders: Mapping[str, Sender]
    """Each by its title: features by arm and family of coders, then pictures."""
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
    times: Mapping[tuple[str, str], Mapping[str, Any]]
    """(encoder, arm) -> how long a frame takes, as `stages.timing` writes it; may be empty."""

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
    def answer(self) -> dict[str, Sender]:
        """The senders that answer what to send: each arm with its best coder, and the pictures.

        The benchmark as in the paper leads. The best picture is there without its container too.
        """
        found = [first_sender(self.senders.values())]
        pictures = [x for x in self.senders.values() if x.picture and not x.bare]
        for arm in self.arms:
            of_arm = [x for x in self.senders.values() if x.arm == arm and not x.picture]
            found.append(preferred(of_arm))
        found += [x for x in pictures if x.arm == ARMS[0]]
        for arm in dict.fromkeys(x.arm for x in pictures):
            best = preferred(x for x in pictures if x.arm == arm)
            found += [best, best._replace(bare=True)]
        wanted = {sender.title for sender in found}
        return {title: sender for title, sender in self.senders.items() if title in wanted}

    @property
    def final(self) -> pd.DataFrame:
        """The BD-rates that may be quoted: of several seeds the mean alone."""
        if self.bd_rate.empty or not (of_mean := self.bd_rate["seed"] == MEAN).any():
            return self.bd_rate
        return self.bd_rate[of_mean]


def analyse(
    models: Iterable[Model],
    *,
    rate_form: str,
    bd_points: Sequence[str],
    max_score_drop: float,
    max_task_drops: Sequence[float],
    resamples: int,
    confidence: float,
    times: Mapping[tuple[str, str], Mapping[str, Any]],
) -> Results:
    """Return everything from the per-image sums alone; nothing is run again.

    models: read one after the other, so that the sums of one at a time are held. rate_form: of L_r,
    see `coding.forms`. times: see `Results`. The others are the settings of `report`, see
    params.yaml.
    Raises ResultsError if models were evaluated on different frames or tasks.
    """
    measured = measure(models, rate_form=rate_form, resamples=resamples)
    first = measured[0]
    senders = dict.fromkeys(x for of_encoder in by_sender(measured).values() for x in of_encoder)

    def rows(name: str) -> pd.DataFrame:
        return pd.DataFrame([row for model in measured for row in model.tables[name]])

    return Results(
        arms=tuple(dict.fromkeys(x.arm for x in senders if not x.picture)),
        senders={sender.title: sender for sender in senders},
        scores={task: SCORES[task] for task in first.uncompressed},
        images=len(first.names),
        confidence=confidence,
        resamples=resamples,
        max_score_drop=max_score_drop,
        points=rows("points"),
        sent=sent_table(measured, confidence=confidence),
        bd_rate=bd_table(
            measured, bd_points=bd_points, max_score_drop=max_score_drop, confidence=confidence
        ),
        changes=changes_table(measured, confidence=confidence),
        lowest_rates=rates_table(measured, max_task_drops=max_task_drops, confidence=confidence),
        diagnostics=rows("diagnostics"),
        iou=rows("iou"),
        times=times,
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
    names = ["bpfe", *(score.name for score in results.scores.values())]
    for (encoder, arm), of_arm in results.points.groupby(["encoder", "arm"], sort=False):
        codec = of_arm["codec"].iloc[0]
        mean = of_arm.loc[of_arm["codec"] == codec, names].mean(skipna=False)
        values: dict[str, float | str | None] = {}
        values |= {x: float(mean[x]) if np.isfinite(mean[x]) else None for x in names}
        found.setdefault(codec, {})[f"{encoder}-{arm}-{seed}"] = values
    return found
