"""What the numbers say, in sentences. Only what nothing speaks against is said to be found."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from pipeline.report.comparisons import CUBIC
from pipeline.report.delays import Sending, faster_ranges, fastest, rivals
from pipeline.report.names import UNCOMPRESSED, encoder_title, listed
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
        sentences = [what_to_send(results, encoder), break_even(results, encoder)]
        sentences += at_equal_score(results, encoder)
        texts.append(name + "\n".join(filter(None, [*sentences, at_first_point(results, encoder)])))
    return "\n".join(text.strip() for text in texts)


def what_to_send(results: Results, encoder: str) -> str:
    """Return the sender of the answer that needs the lowest rate, for each loss a task may have."""
    # Nobody can send a picture without its container.
    titles = [title for title, sender in results.answer.items() if not sender.bare]
    table = results.lowest_rates
    table = table[(table["encoder"] == encoder) & (table["task"] == ALL)]
    table = table[table["sender"].isin(titles)]
    found, changes = [], []
    for allowed, of_drop in table.groupby("max_task_drop"):
        means = of_drop.groupby("sender", sort=False)["kilobytes"].agg("mean", skipna=False)
        reached = means.dropna()
        if reached.empty:
            continue
        best = str(reached.idxmin())
        change = _against_first(of_drop[of_drop["sender"] == best])
        changes.append(change)
        behind = f" ({change})" if change else ""
        found.append(f"{allowed:g} %: {best}, {reached[best]:.2f} kB{behind}")
    if not found:
        return ""
    text = f"The fewest bytes a frame, if no task may lose more than {'; '.join(found)}."
    return f"{text} Changes are against the benchmark as in the paper." if any(changes) else text


def _against_first(of_seeds: pd.DataFrame) -> str:
    """Return the change against the benchmark as in the paper, and how sure it is."""
    low, high = of_seeds[["low", "high"]].iloc[0]
    change = change_text(of_seeds)
    if not np.isfinite(low) or not change:
        return ""
    if len(of_seeds) == 1:
        return f"{change} (one seed)"
    return f"{change} (no difference shown)" if low <= 0 <= high else change


def break_even(results: Results, encoder: str) -> str:
    """Return the rates of the link at which a split network is faster than a picture."""
    splits, pictures = rivals(results, encoder)
    if not splits or not pictures:
        return ""
    networks = [x.times.network for x in [*splits.values(), *pictures.values()]]
    low, high = min(networks), max(networks)
    noise = f" The networks, nearly alike, took {low:.1f} to {high:.1f} ms: differences as small "
    return (
        "From picture to prediction, a split network is faster than a sent picture "
        f"{_link_rates(splits, pictures, cloud=1)}, if the cloud is as fast as the device. If the "
        f"cloud needs no time, it is faster {_link_rates(splits, pictures, cloud=0)}."
    ) + (f"{noise}say nothing." if low < high else "")


def _link_rates(
    splits: Mapping[str, Sending], pictures: Mapping[str, Sending], *, cloud: float
) -> str:
    """Return where splits are faster in words, and the two that meet at each break-even."""

    def end(rate: float) -> str:
        pair = [fastest(x, rate, cloud=cloud) for x in (splits, pictures)]
        return f"{float(f'{rate:.2g}'):g} Mbit/s ({pair[0]} against {pair[1]})"

    ranges = faster_ranges(splits, pictures, cloud=cloud)
    if ranges == [(0, math.inf)]:
        return "at every link rate"
    parts = []
    for low, high in ranges:
        above = [f"above {end(low)}"] if low else []
        parts.append(" and ".join(above + ([f"below {end(high)}"] if high < math.inf else [])))
    return " or ".join(parts) or "at no link rate"


def reconstruction(results: Results, encoder: str) -> str:
    """Return who should send the picture itself: who needs the picture."""
    sent = results.sent[results.sent["encoder"] == encoder]
    pictures = sent[[results.senders[x].picture for x in sent["sender"]]]
    if "reconstruction" not in results.scores or pictures.empty:
        return ""
    free = sent.loc[sent["codec"] == UNCOMPRESSED, "psnr"].iloc[0]
    return (
        f"If you need the picture, send the picture: it arrives with {pictures['psnr'].min():.0f} "
        f"to {pictures['psnr'].max():.0f} dB. A network rebuilds it with {free:.0f} dB at best."
    )


def at_equal_score(results: Results, encoder: str) -> list[str]:
    """Return what the hulls of each pair of senders show at equal score: a sentence a pair."""
    final = results.final
    if final.empty:
        return []
    final = final[(final["encoder"] == encoder) & (final["kind"] != CUBIC)]
    return [
        f"{test}, against {anchor}: {_outcomes(results, rows)}."
        for (test, anchor), rows in final.groupby(["test", "anchor"], sort=False)
    ]


def _outcomes(results: Results, rows: pd.DataFrame) -> str:
    labels: dict[str, list[str]] = {}
    for row in rows.to_dict("records"):
        label = results.scores[row["task"]].label
        outcome = row["verdict"]
        if outcome == QUOTABLE:
            outcome = "saves" if row["percent"] < 0 else "costs"
            label = f"{abs(row['percent']):.1f} % of the bits at equal {label}"
        labels.setdefault(outcome, []).append(label)
    parts = [f"it {x} {listed(labels[x])}" for x in ("saves", "costs") if x in labels]
    if NO_DIFFERENCE in labels:
        parts.append(f"at equal {listed(labels[NO_DIFFERENCE])} no difference is shown")
    if DO_NOT_QUOTE in labels:
        why = "one seed supports none" if (rows["seeds"] == 1).any() else "the table says why"
        parts.append(f"at equal {listed(labels[DO_NOT_QUOTE])} nothing can be claimed ({why})")
    if NOT_AVAILABLE in labels:
        parts.append(f"at equal {listed(labels[NOT_AVAILABLE])} there is no comparison")
    return "; ".join(parts)


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
