"""What the numbers say, in sentences."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pipeline.arms import ARMS
from pipeline.report.found.table import MEAN
from pipeline.report.text.names import Row, codec_title, encoder_title, print_of, signed
from pipeline.scoring.bdrate import METHODS
from pipeline.scoring.metrics import Score
from pipeline.scoring.trust import both_signs

OUTCOMES = {
    "saves": "saves bits",
    "costs": "costs bits",
    "none": "shows no difference",
    "contested": "saves or costs bits depending on the method of interpolation",
    "unsure": "gives a number without an interval",
    "unknown": "gives no number",
}
"""How a comparison at equal score can come out, in words."""
CHANGES = ("saves", "costs")
"""The outcomes that are given with a number."""
WITHOUT_FIGURE = {
    "none": "no difference is shown",
    "contested": "some methods of interpolation find bits saved and others find bits lost",
    "unsure": "the number has no interval to judge it by",
    "unknown": "the curves cannot be compared",
}
"""What is said of the others, after the scores they are at."""


def in_two_sentences(
    trust: pd.DataFrame, compared: pd.DataFrame, scores: Mapping[str, Score]
) -> str:
    """Return the result of the whole report.

    First bits at the same codec, then how the comparisons at equal score came out and how many of
    their numbers can be quoted.
    """
    change = compared.groupby(["encoder", "codec"])["bits_percent"].mean()
    encoders = list(dict.fromkeys(trust["encoder"]))
    found = []
    for encoder in encoders:
        rows = _final(trust[trust["encoder"] == encoder])
        found += [_best_kind(rows[rows["task"] == task]) for task in scores]
    outcomes = [_outcome(row) for row in found]
    each = f"{_count(len(encoders), 'encoder')}, {_count(len(scores), 'task')}"
    of = f" of {_count(len(found), 'comparison')} ({each})"
    parts: list[str] = []
    for outcome, words in OUTCOMES.items():
        if outcome in outcomes:
            parts.append(f"{words} in {outcomes.count(outcome)}{'' if parts else of}")
    text = f"At equal score it {_listed(parts)}"
    firm = [not row["objections"] for row, x in zip(found, outcomes, strict=True) if x in CHANGES]
    if firm:
        text += f"; {_firmness(firm)}"
    return f"{_at_any_codec(change)} {text}.".strip()


def at_equal_score(trust: pd.DataFrame, scores: Mapping[str, Score], encoder: str) -> str:
    """Per task the BD-rate, or where it has none the envelope's: what it shows, if anything."""
    rows = _final(trust[trust["encoder"] == encoder])
    found_rows = {task: _best_kind(rows[rows["task"] == task]) for task in scores}
    outcomes = {task: _outcome(row) for task, row in found_rows.items()}
    # Small, but not nothing: an interval clear of 0 and wider than the effect, say.
    loose = {x for x, row in found_rows.items() if outcomes[x] in CHANGES and row["objections"]}
    all_loose = bool(loose) and loose == {x for x in scores if outcomes[x] in CHANGES}
    by_outcome: dict[str, list[str]] = {}
    for task, score in scores.items():
        row, outcome, text = found_rows[task], outcomes[task], score.label
        if outcome in CHANGES:
            bits = " of the bits" if outcome not in by_outcome else ""
            text = f"{abs(row['percent']):.1f} %{bits} at equal {text}"
            text += " (not firm)" if task in loose and not all_loose else ""
        by_outcome.setdefault(outcome, []).append(text)
    parts = []
    if found := by_outcome.get("saves"):
        parts.append(f"the rate loss saves {_listed(found)}")
    if found := by_outcome.get("costs"):
        parts.append(f"{'it' if parts else 'the rate loss'} costs {_listed(found)}")
    for outcome, words in WITHOUT_FIGURE.items():
        if found := by_outcome.get(outcome):
            parts.append(f"at equal {_listed(found)} {words}")
    by_envelope = any(
        row["kind"] != "bd_rate" and outcomes[task] != "unknown" for task, row in found_rows.items()
    )
    how = ["between the envelopes of the curves"] if by_envelope else []
    how += ["not firm, see the diagnostics"] if all_loose else []
    text = f"{encoder_title(encoder)}: {'; '.join(parts)}"
    return f"{text} ({'; '.join(how)})." if how else f"{text}."


def at_equal_codec(
    compared: pd.DataFrame, uncompressed: pd.DataFrame, scores: Mapping[str, Score], encoder: str
) -> str:
    """Change in bits at the same codec setting, and what the rate loss does to bare scores."""
    mean = compared[compared["encoder"] == encoder].groupby("codec", sort=False)["bits_percent"]
    change = mean.mean().sort_values(key=abs)
    if change.empty:
        return ""
    if (change == 0).all():
        return "At the same codec setting both arms send exactly as many bits."
    ends = change.iloc[[0, -1]]
    words = [f"{_change(value)} ({codec_title(str(codec))})" for codec, value in ends.items()]
    text = f"At the same codec setting its bitstreams are {' to '.join(dict.fromkeys(words))}"
    free = uncompressed[uncompressed["encoder"] == encoder]
    gains = []
    for score in scores.values():
        if score.name in free:
            unit, scale, digits = print_of(score)
            unit = "points" if unit == "%" else unit
            means = [float(free.loc[free["arm"] == arm, score.name].mean()) for arm in ARMS]
            gain = scale * (means[1] - means[0])
            gains.append(f"{score.label} {signed(gain, digits)} {unit}".strip())
    return f"{text}; before any compression it scores {', '.join(gains)}." if gains else f"{text}."


def _firmness(firm: Sequence[bool]) -> str:
    if all(firm):
        return "nothing speaks against quoting these numbers"
    if any(firm):
        verb = "is" if sum(firm) == 1 else "are"
        return f"{sum(firm)} of these numbers {verb} firm enough to quote"
    return "none of these numbers is firm enough to quote"


def _at_any_codec(percent: pd.Series) -> str:
    if percent.empty:
        return ""
    low, high = percent.min(), percent.max()
    if low == high == 0:
        return "With the rate loss and without, features cost exactly as many bits."
    if low < 0 < high:
        change = f"between {-low:.1f} % fewer and {high:.1f} % more"
        return f"With the rate loss, features cost {change} bits at the same codec setting."
    ends = dict.fromkeys(f"{x:.1f}" for x in sorted((abs(low), abs(high))))
    return (
        f"With the rate loss, features cost {' to '.join(ends)} % "
        f"{'fewer' if low < 0 else 'more'} bits at the same codec setting."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _final(rows: pd.DataFrame) -> pd.DataFrame:
    """Of the mean over seeds, where there are several."""
    of_mean = rows["seed"] == MEAN
    return rows[of_mean] if of_mean.any() else rows


def _best_kind(rows: pd.DataFrame) -> Row:
    """Return the row of the paper's kind if it has a number, else that of the envelope."""
    by_kind = {row["kind"]: row for row in rows.to_dict("records")}
    strict = by_kind["bd_rate"]
    return strict if np.isfinite(strict["percent"]) else by_kind["envelope_bd_rate"]


def _outcome(row: Row) -> str:
    if not np.isfinite(row["percent"]):
        return "unknown"
    if both_signs([row[method] for method in METHODS]):
        return "contested"
    if row["no_difference"]:
        return "none"
    if not np.isfinite(row["low"]):
        return "unsure"
    return "saves" if row["percent"] < 0 else "costs"


def _change(percent: float) -> str:
    return f"{abs(percent):.1f} % {'smaller' if percent < 0 else 'larger'}"


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))
