"""What the numbers say, in sentences. Only what nothing speaks against is said to be found."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pipeline.report.found.table import MEAN
from pipeline.report.text.names import Row, codec_title, encoder_title, print_of, signed
from pipeline.scoring.metrics import Score
from pipeline.scoring.objections import NotAlike, NotCodedAlike, NothingLearned, OneSeed

KIND = "hull_bd_rate"
"""The BD-rate that the sentences speak of: both arms with the best of their codec points."""

SAVES, COSTS, NONE, UNSURE, UNKNOWN = "saves", "costs", "none", "unsure", "unknown"


def outcome(row: Row) -> str:
    """Return how a comparison at equal score came out.

    `saves` and `costs`: a change of bits that nothing speaks against. `none`: its interval holds 0,
    and the models can be compared. `unsure`: something speaks against the number. `unknown`: there
    is no number.
    """
    if not np.isfinite(row["percent"]):
        return UNKNOWN
    # Models that cannot be compared show nothing, not even that there is no difference.
    if any(isinstance(x, NotAlike | NotCodedAlike | NothingLearned) for x in row["objections"]):
        return UNSURE
    if row["no_difference"]:
        return NONE
    if row["objections"]:
        return UNSURE
    return SAVES if row["percent"] < 0 else COSTS


VERDICTS = {
    SAVES: "can be quoted",
    COSTS: "can be quoted",
    NONE: "no difference shown",
    UNSURE: "do not quote",
    UNKNOWN: "not available",
}
"""What an outcome is called beside its number, wherever it goes."""

MARKS = {
    "can be quoted": "✓",
    "no difference shown": "≈",
    "do not quote": "✗",
    "not available": "–",
}
"""A verdict as one character, for tight places."""


def verdicts(trust: pd.DataFrame) -> dict[str, dict[str, dict[str, str]]]:
    """Return kind -> model (`encoder2-0`, `encoder2-mean`) -> score -> its verdict."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for row in trust.to_dict("records"):
        models = found.setdefault(row["kind"], {})
        by_score = models.setdefault(f"{row['encoder']}-{row['seed']}", {})
        by_score[row["score"]] = VERDICTS[outcome(row)]
    return found


def in_short(trust: pd.DataFrame, bounds: pd.DataFrame, scores: Mapping[str, Score]) -> str:
    """Return the result of the whole report: at equal score, then at one codec point."""
    encoders = list(dict.fromkeys(trust["encoder"]))
    sentences = []
    for encoder in encoders:
        name = f"{encoder_title(encoder)}: " if len(encoders) > 1 else ""
        text = at_equal_score(trust, scores, encoder)
        sentences.append(name + (text if name else text[:1].upper() + text[1:]))
    return " ".join([*sentences, at_first_codec(bounds, scores)]).strip()


def at_equal_score(trust: pd.DataFrame, scores: Mapping[str, Score], encoder: str) -> str:
    """Return what the hulls of both arms show at equal score, task by task."""
    rows = trust[(trust["encoder"] == encoder) & (trust["kind"] == KIND)]
    of_mean = rows["seed"] == MEAN
    rows = rows[of_mean] if of_mean.any() else rows
    by_task = {row["task"]: row for row in rows.to_dict("records")}
    labels: dict[str, list[str]] = {}
    for task, score in scores.items():
        found = outcome(by_task[task])
        number = f"{abs(by_task[task]['percent']):.1f} % of the bits at equal "
        told = f"{number if found in (SAVES, COSTS) else ''}{score.label}"
        labels.setdefault(found, []).append(told)
    parts = []
    if SAVES in labels:
        parts.append(f"the rate loss saves {_listed(labels[SAVES])}")
    if COSTS in labels:
        parts.append(f"the rate loss costs {_listed(labels[COSTS])}")
    if NONE in labels:
        parts.append(f"at equal {_listed(labels[NONE])} no difference is shown")
    if UNSURE in labels:
        one = any(OneSeed() in row["objections"] for row in by_task.values())
        why = "one seed supports none" if one else "see the diagnostics"
        parts.append(f"at equal {_listed(labels[UNSURE])} nothing can be claimed ({why})")
    if UNKNOWN in labels:
        parts.append(f"at equal {_listed(labels[UNKNOWN])} the curves cannot be compared")
    return f"{'; '.join(parts)}."


def at_first_codec(bounds: pd.DataFrame, scores: Mapping[str, Score]) -> str:
    """Return the change of bits at the first codec point, and what the scores did there."""
    sentences = []
    for encoder, of_encoder in bounds.groupby("encoder", sort=False):
        row = of_encoder.to_dict("records")[0]
        name = f"{encoder_title(str(encoder))}: " if bounds["encoder"].nunique() > 1 else ""
        sentences.append(name + at_codec(row, scores))
    return " ".join(sentences)


def at_codec(row: Row, scores: Mapping[str, Score]) -> str:
    """Return a row of `bounds_table` in words: bits and scores together, never one alone."""
    percent = row["bits_percent"]
    if percent == 0:
        change = "exactly as many bits"
    else:
        change = f"{abs(percent):.1f} % {'fewer' if percent < 0 else 'more'} bits"
    if np.isfinite(row["bits_low"]):
        change += f" [{signed(row['bits_low'], 1)}, {signed(row['bits_high'], 1)}]"
    text = f"Coded as {codec_title(str(row['codec']))}, the proposed features cost {change}; "
    gains = [
        f"{score.label} {_in_unit(row[f'{score.name}_change'], score, sign=True)}"
        for score in scores.values()
    ]
    text += f"the scores there change by: {', '.join(gains)}"
    known = [x for x in scores.values() if np.isfinite(row[f"{x.name}_bound"])]
    if not known:
        return f"{text}. This is one pair of trainings."
    lost = [
        f"{score.label} {_in_unit(max(0.0, -row[f'{score.name}_bound']), score, sign=False)}"
        for score in known
    ]
    return f"{text}. Over images and {row['seeds']} seeds the loss is at most: {', '.join(lost)}."


def _in_unit(value: float, score: Score, *, sign: bool) -> str:
    unit, scale, digits = print_of(score)
    unit = "points" if unit == "%" else unit
    number = signed(scale * value, digits) if sign else f"{scale * value:.{digits}f}"
    return f"{number} {unit}".strip()


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))
