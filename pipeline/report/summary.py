"""What the numbers say, in sentences. Only what nothing speaks against is said to be found."""

import numpy as np
import pandas as pd

from pipeline.report.comparisons import HULL
from pipeline.report.names import encoder_title, listed, sender_title
from pipeline.report.rates import ALL
from pipeline.report.results import Results
from pipeline.report.tables import change_text, changes_table
from pipeline.scoring.verdict import DO_NOT_QUOTE, NO_DIFFERENCE, NOT_AVAILABLE, QUOTABLE


def in_short(results: Results) -> str:
    """Return the result of the whole report as a few sentences for each encoder."""
    several = len(results.encoders) > 1
    texts = []
    for encoder in results.encoders:
        name = f"{encoder_title(encoder)}: " if several else ""
        sentences = what_to_send(results, encoder), at_equal_score(results, encoder)
        texts.append(name + " ".join([*filter(None, sentences), at_first_point(results, encoder)]))
    return "\n".join(text.strip() for text in texts)


def what_to_send(results: Results, encoder: str) -> str:
    """Return which sender needs the lowest rate at which no task loses too much.

    The loss allowed is the middle one of those asked for that some sender reaches.
    """
    table = results.lowest_rates
    table = table[(table["encoder"] == encoder) & (table["task"] == ALL)]
    drops = list(dict.fromkeys(table["max_task_drop"]))
    for allowed in sorted(drops, key=lambda x: abs(drops.index(x) - len(drops) // 2)):
        of_drop = table[table["max_task_drop"] == allowed]
        means = of_drop.groupby("sender", sort=False)["kilobytes"].agg("mean", skipna=False)
        reached = means.dropna().sort_values()
        if len(reached):
            titles = [sender_title(str(sender), results.arms) for sender in reached.index]
            rates = [f"{kilobytes:.2f} kB" for kilobytes in reached]
            text = (
                f"Where no task may lose more than {allowed:g} %, the lowest rate is {rates[0]} a "
            )
            text += f"frame, with the {titles[0]}"
            others = [
                f"{rate} with {title}" for rate, title in zip(rates[1:], titles[1:], strict=True)
            ]
            text += f"; it is {listed(others)}" if others else ""
            return f"{text}{_against_benchmark(of_drop[of_drop['sender'] == reached.index[0]])}."
    return ""


def _against_benchmark(of_seeds: pd.DataFrame) -> str:
    """Return how sure it is that this sender needs less than the benchmark's features."""
    low, high = of_seeds[["low", "high"]].iloc[0]
    change = change_text(of_seeds)
    if not np.isfinite(low) or not change:
        return ""
    text = f"; against benchmark features that is {change}"
    if len(of_seeds) == 1:
        return f"{text}, of one seed"
    return f"{text}, no difference shown" if low <= 0 <= high else text


def at_equal_score(results: Results, encoder: str) -> str:
    """Return what the hulls of both arms show at equal score, task by task."""
    final = results.final
    rows = final[(final["encoder"] == encoder) & (final["kind"] == HULL)].to_dict("records")
    labels: dict[str, list[str]] = {}
    for row in rows:
        label = results.scores[row["task"]].label
        outcome = row["verdict"]
        if outcome == QUOTABLE:
            outcome = "saves" if row["percent"] < 0 else "costs"
            label = f"{abs(row['percent']):.1f} % of the bits at equal {label}"
        labels.setdefault(outcome, []).append(label)
    parts = [f"the rate loss {x} {listed(labels[x])}" for x in ("saves", "costs") if x in labels]
    if NO_DIFFERENCE in labels:
        parts.append(f"at equal {listed(labels[NO_DIFFERENCE])} no difference is shown")
    if DO_NOT_QUOTE in labels:
        one = any(row["seeds"] == 1 for row in rows)
        why = "one seed supports none" if one else "the table says why"
        parts.append(f"at equal {listed(labels[DO_NOT_QUOTE])} nothing can be claimed ({why})")
    if NOT_AVAILABLE in labels:
        parts.append(f"at equal {listed(labels[NOT_AVAILABLE])} there is no comparison")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def at_first_point(results: Results, encoder: str) -> str:
    """Return the change at the first point: bits and scores together, never one alone."""
    frame = changes_table(results).frame
    rows = frame[frame["Encoder"] == encoder_title(encoder)] if len(frame) else frame
    if rows.empty:
        return ""
    cells = rows.iloc[0].drop("Encoder").to_dict()
    point = cells.pop("Point")
    changes = listed([f"{what} {change}" for what, change in cells.items()])
    return f"In {point}, proposed minus benchmark: {changes}."
