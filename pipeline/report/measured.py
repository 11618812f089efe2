"""From the evaluation of each model to its points, and to what comparisons need of it.

A sender (see `names.Sender`) is what sends a frame: an arm with a family of coders, or the codec of
the input picture, on which a whole network then runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pipeline.artifacts import ARMS, Coded, Diagnostics, Evaluation, ModelName
from pipeline.report.names import PAPER, PAPER_FAMILIES, UNCOMPRESSED, Sender, family
from pipeline.scoring.bootstrap import Curve, image_counts, resampled_curve, resampled_scores
from pipeline.scoring.metrics import SCORES, bits_per_element

DRAW = 0
"""Seed of every bootstrap here: all intervals of a report come from the same resamples."""
RATES = {
    "kilobytes": "kilobytes per frame",
    "bpfe": "bits per feature element",
    "bpp": "bits per pixel",
}
"""Unit of a rate by the column of a table. Of a picture BPFE are its bits over the elements of the
features that would be sent in its place."""


class ResultsError(ValueError):
    """Evaluations that cannot be compared."""


@dataclass(frozen=True)
class Model:
    """What a report reads of one model."""

    name: ModelName
    evaluation: Evaluation
    diagnostics: Diagnostics | None
    """None of a network that sends no features."""


@dataclass(frozen=True)
class Measured:
    """One model without its per-image sums: rates and scores of all images and of R resamples."""

    name: ModelName
    names: tuple[str, ...]
    """Of the frames."""
    elements: int
    pixels: int
    senders: Mapping[Sender, Curve]
    """Sender -> its curve: first the features, by family of coders, then the pictures."""
    uncompressed: Mapping[str, np.ndarray]
    """task -> scores of the float features, (1 + R,)."""
    tables: Mapping[str, list[dict[str, Any]]]
    """Rows of this model for the tables `points`, `iou` and `diagnostics` of `results`."""
    runtime: Mapping[str, object]
    coders: Mapping[str, str]
    floor: Mapping[str, float]


Sent = tuple[Measured, Curve]
"""A model, and the curve of one sender whose network it is."""


def measure(models: Iterable[Model], *, rate_form: str, resamples: int) -> list[Measured]:
    """Return what there is to say of each model; only one model's sums are held at a time.

    rate_form: the form of L_r whose correlation with bytes is wanted (see `coding.forms`).
    Raises ResultsError if the models were evaluated on different frames or tasks.
    """
    found: list[Measured] = []
    counts_RN = np.empty((0, 0))
    for model in models:
        names = model.evaluation.names
        if not found:
            counts_RN = image_counts(len(names), resamples=resamples, seed=DRAW)
        elif names != found[0].names or set(model.evaluation.uncompressed) != set(
            found[0].uncompressed
        ):
            raise ResultsError(
                f"{model.name} was evaluated on other frames or tasks than {found[0].name}: "
                "evaluate both again"
            )
        found.append(_measure(model, rate_form, counts_RN))
    return found


def _measure(model: Model, rate_form: str, counts_RN: np.ndarray) -> Measured:
    name, evaluation = model.name, model.evaluation
    return Measured(
        name=name,
        names=evaluation.names,
        elements=evaluation.elements,
        pixels=evaluation.pixels,
        senders={
            sender: resampled_curve(points, elements=evaluation.elements, counts_RN=counts_RN)
            for sender, points in _by_coder(name.arm, evaluation).items()
        },
        uncompressed=resampled_scores(evaluation.uncompressed, counts_RN),
        tables={
            "points": [_point_row(model, *point) for point in evaluation.points.items()],
            "iou": _iou_rows(model),
            "diagnostics": _diagnostics_rows(model, rate_form),
        },
        runtime=evaluation.runtime,
        coders=evaluation.coders,
        floor=evaluation.floor,
    )


def _by_coder(arm: str, evaluation: Evaluation) -> dict[Sender, dict[str, Coded]]:
    """Return the points of each sender; those of the paper's coders are one sender, the first."""
    found: dict[Sender, dict[str, Coded]] = {}
    for point, coded in evaluation.points.items():
        coder = family(point)
        sender = Sender(arm, PAPER if coder in PAPER_FAMILIES else coder)
        found.setdefault(sender, {})[point] = coded
    found = dict(sorted(found.items(), key=lambda x: x[0].coder != PAPER))
    for codec, coded in evaluation.pictures.items():
        sender = Sender(arm, family(codec), picture=True)
        found.setdefault(sender, {})[codec] = coded
        if coded.header_N.any():
            bare = replace(coded, header_N=np.zeros_like(coded.header_N))
            found.setdefault(sender._replace(bare=True), {})[codec] = bare
    return found


def _point_row(model: Model, codec: str, coded: Coded) -> dict[str, Any]:
    """Return rates and scores of all images, and what is said beside the scores."""
    mean, elements = float(coded.bytes_N.mean()), model.evaluation.elements
    row: dict[str, Any] = {
        **model.name._asdict(),
        "codec": codec,
        "bpfe": bits_per_element(coded.bytes_N, elements=elements),
        "bpfe_payload": bits_per_element(coded.payload_N, elements=elements),
        "bpp": 8 * mean / model.evaluation.pixels,
        "kilobytes": mean / 1000,
        **{SCORES[task].name: SCORES[task].compute(sums) for task, sums in coded.sums.items()},
    }
    for task, sums in coded.sums.items():
        row |= (SCORES[task].facts or (lambda sums: {}))(sums)
    return row


def _iou_rows(model: Model) -> list[dict[str, Any]]:
    """Return what each score is made of, a class a row; scores of one part have no rows."""
    sums_at = {codec: coded.sums for codec, coded in model.evaluation.points.items()}
    return [
        {**model.name._asdict(), "codec": codec, "class": part, "iou": value}
        for codec, sums_of in {**sums_at, UNCOMPRESSED: model.evaluation.uncompressed}.items()
        for task, sums in sums_of.items()
        for part, value in (SCORES[task].parts or (lambda sums: {}))(sums).items()
    ]


def _diagnostics_rows(model: Model, rate_form: str) -> list[dict[str, Any]]:
    """Return what was measured on the features, and how L_r of an image foretells its bytes.

    There is a correlation for the first point of each family of coders.
    """
    found = model.diagnostics
    if found is None:
        return []
    loss_N = found.rate_loss_N_of.get(rate_form, np.full(len(found.span_N), np.nan))
    row = {
        **model.name._asdict(),
        "rate_loss": float(loss_N.mean()),
        "span": float(found.span_N.mean()),
        "deviation": float(found.deviation_N.mean()),
    }
    firsts = {family(codec): codec for codec in reversed(list(model.evaluation.points))}
    for codec in reversed(list(firsts.values())):
        both = pd.DataFrame({"loss": loss_N, "bytes": model.evaluation.points[codec].bytes_N})
        varied = len(both) > 1 and (both.nunique() > 1).all()
        row[f"correlation {codec}"] = both.corr()["loss"]["bytes"] if varied else np.nan
    return [row]


def by_sender(models: Iterable[Measured]) -> dict[str, dict[Sender, list[Sent]]]:
    """Return encoder -> sender -> model and curve of each seed; features come before pictures."""
    found: dict[str, dict[Sender, list[Sent]]] = {}
    for model in models:
        for sender, curve in model.senders.items():
            of_encoder = found.setdefault(model.name.encoder, {})
            of_encoder.setdefault(sender, []).append((model, curve))
    return {
        encoder: dict(sorted(senders.items(), key=lambda x: (x[0].picture, x[0].arm != ARMS[0])))
        for encoder, senders in found.items()
    }


def sent_table(models: Sequence[Measured], *, confidence: float) -> pd.DataFrame:
    """Return rates and scores of each sender at each point, means over seeds, with intervals.

    Returns the columns encoder, sender, codec, those of `RATES`, and for each score `<name>`,
    `<name>_low` and `<name>_high`; NaN for a score that does not exist. `UNCOMPRESSED` is a point
    of each arm's first sender, without rates.
    The intervals are over images and seeds, of each sender alone: how hard the images happen to be
    is in them, which paired intervals of BD-rates leave out.
    """
    rows = []
    for encoder, of_encoder in by_sender(models).items():
        firsts = {sender.arm: sender for sender in reversed(of_encoder) if not sender.picture}
        for sender, seeds in of_encoder.items():
            first, curve = seeds[0]
            head = {"encoder": encoder, "sender": sender.title}
            for point, codec in enumerate(curve.points):
                bpfe = float(np.mean([x.rate_PR[point, 0] for _, x in seeds]))
                bits = bpfe * first.elements
                rates = {"kilobytes": bits / 8000, "bpfe": bpfe, "bpp": bits / first.pixels}
                scores = [
                    {task: x_PR[point] for task, x_PR in x.score_PR_of.items()} for _, x in seeds
                ]
                known = _means_and_intervals(scores, confidence)
                rows.append({**head, "codec": codec, **rates, **known})
            if sender == firsts.get(sender.arm):
                known = _means_and_intervals([x.uncompressed for x, _ in seeds], confidence)
                rows.append({**head, "codec": UNCOMPRESSED, **known})
    return pd.DataFrame(rows)


def _means_and_intervals(
    score_R_of: Sequence[Mapping[str, np.ndarray]], confidence: float
) -> dict[str, float]:
    """Return the mean of each score over seeds and its interval; score_R_of: of each seed."""
    seeds, found = len(score_R_of), dict[str, float]()
    for task in score_R_of[0]:
        score_SR = np.stack([of_seed[task] for of_seed in score_R_of])
        shape = seeds, score_SR.shape[1] - 1
        drawn_SR = np.random.default_rng([DRAW, 1]).integers(seeds, size=shape)
        mean_R = np.take_along_axis(score_SR[:, 1:], drawn_SR, axis=0).mean(0)
        known_R = mean_R[~np.isnan(mean_R)]
        ends = [(1 - confidence) / 2, (1 + confidence) / 2]
        # Between two infinite scores there is none to interpolate.
        with np.errstate(invalid="ignore"):
            low, high = np.quantile(known_R, ends) if len(known_R) else (np.nan, np.nan)
        name = SCORES[task].name
        # Not the mean of the seeds that happen to have a score.
        found |= {name: score_SR[:, 0].mean(), f"{name}_low": low, f"{name}_high": high}
    return found
