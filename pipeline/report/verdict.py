"""What the numbers say of an encoder, in a sentence."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pipeline.report.names import Row, codec_title, encoder_title, print_of, signed
from pipeline.report.table import ARMS, MEAN
from pipeline.scoring.metrics import Score


def at_equal_score(trust: pd.DataFrame, scores: Mapping[str, Score], encoder: str) -> str:
    """Per task the BD-rate, or where it has none the envelope's: what it shows, if anything."""
    rows = trust[trust["encoder"] == encoder]
    if (rows["seed"] == MEAN).any():
        rows = rows[rows["seed"] == MEAN]
    by_outcome: dict[str, list[str]] = {}
    by_envelope = False
    for task, score in scores.items():
        row = _best_figure(rows[rows["task"] == task])
        outcome = _outcome(row)
        text = score.label
        if outcome in ("saves", "costs"):
            bits = " of the bits" if outcome not in by_outcome else ""
            text = f"{abs(row['percent']):.1f} %{bits} at equal {text}"
            # Small, but not nothing: an interval clear of 0 and wider than the effect, say.
            text += " (not firm, see the diagnostics)" if row["verdict"] else ""
        by_outcome.setdefault(outcome, []).append(text)
        by_envelope |= row["figure"] != "bd_rate" and outcome != "unknown"
    parts = []
    if found := by_outcome.get("saves"):
        parts.append(f"the rate loss saves {_listed(found)}")
    if found := by_outcome.get("costs"):
        parts.append(f"{'it' if parts else 'the rate loss'} costs {_listed(found)}")
    if found := by_outcome.get("none"):
        parts.append(f"at equal {_listed(found)} no difference is shown")
    if found := by_outcome.get("unsure"):
        parts.append(f"at equal {_listed(found)} the figure has no interval to judge it by")
    if found := by_outcome.get("unknown"):
        parts.append(f"at equal {_listed(found)} the curves cannot be compared")
    how = " (between the envelopes of the curves)" if by_envelope else ""
    return f"{encoder_title(encoder)}: {'; '.join(parts)}{how}."


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


def _best_figure(rows: pd.DataFrame) -> Row:
    """The row of the paper's figure if it has a number, else that of the envelope."""
    by_figure = {row["figure"]: row for row in rows.to_dict("records")}
    strict = by_figure["bd_rate"]
    return strict if np.isfinite(strict["percent"]) else by_figure["envelope_bd_rate"]


def _outcome(row: Row) -> str:
    if not np.isfinite(row["percent"]):
        return "unknown"
    if row["no_difference"]:
        return "none"
    if not np.isfinite(row["low"]):
        return "unsure"
    return "saves" if row["percent"] < 0 else "costs"


def _change(percent: float) -> str:
    return f"{abs(percent):.1f} % {'smaller' if percent < 0 else 'larger'}"


def _listed(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))
