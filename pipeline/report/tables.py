"""Tables for print: cells as text, written as Markdown, LaTeX and HTML by pandas."""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.artifacts import ARMS
from pipeline.report.comparisons import CUBIC, NEAR_BEST
from pipeline.report.delays import frame_times
from pipeline.report.measured import RATES
from pipeline.report.names import (
    MISSING,
    changed,
    codec_title,
    encoder_title,
    percent,
    printed,
    score_title,
    signed,
)
from pipeline.report.rates import ALL
from pipeline.report.results import Results
from pipeline.scoring.bootstrap import mean_percent
from pipeline.scoring.verdict import MARKS

PUBLISHED = {
    ("encoder1", "miou"): -7.81,
    ("encoder1", "irmse"): -2.12,
    ("encoder1", "psnr"): -4.37,
    ("encoder2", "miou"): -20.68,
    ("encoder2", "irmse"): -5.15,
    ("encoder2", "psnr"): -6.09,
}
"""BD-rates of the paper's Table 1, per cent: Cityscapes at 512x256, one training of each arm."""


@dataclass(frozen=True)
class Table:
    """A table ready for print."""

    key: str
    """Names its file."""
    caption: str
    frame: pd.DataFrame
    """Text alone."""
    words: int = 1
    """How many of the first columns are aligned left."""


def print_tables(results: Results) -> dict[str, Table]:
    """Return the tables of the report by key, in the order of print."""
    makers: Sequence[Callable[[Results], Table]] = (
        send_table,
        *((equal_table, bd_table) if len(results.final) else ()),
        changes_table,
        rates_table,
        points_table,
        diagnostics_table,
    )
    tables = [table for maker in makers if len((table := maker(results)).frame)]
    if len(results.encoders) == 1:  # a column of one value
        tables = [
            replace(x, frame=x.frame.drop(columns="Encoder"), words=x.words - 1) for x in tables
        ]
    return {table.key: table for table in tables}


def send_table(results: Results) -> Table:
    """Return what to send: for each sender the lowest rate at which no task loses too much."""
    loosest = results.lowest_rates["max_task_drop"].max()
    over = "images and seeds" if results.lowest_rates["seed"].nunique() > 1 else "images"
    caption = (
        "What to send: the lowest rate, in kilobytes per frame, at which no task loses more than "
        "so many per cent of the score that the benchmark of the same seed has with uncompressed "
        "features. Behind it the change against the benchmark as in the paper, with the "
        f"{100 * results.confidence:g} % interval over {over}. Means over seeds. Point: the "
        f"cheapest that loses at most {loosest:g} %. Its times are milliseconds of a frame on one "
        "thread: on the edge network + coder, in the cloud coder + network."
    )
    rows = []
    whole = results.lowest_rates[results.lowest_rates["task"] == ALL]
    whole = whole[whole["sender"].isin(list(results.answer))]
    for of, group in whole.groupby(["encoder", "sender"], sort=False):
        encoder, title = map(str, of)
        row = {"Encoder": encoder_title(encoder), "Send": title}
        for allowed, of_drop in group.groupby("max_task_drop", sort=False):
            cells = rate_cell(of_drop, limiting=False), change_text(of_drop)
            row[f"at most {allowed:g} % lost"] = ", ".join(filter(None, cells))
        points = group.loc[group["max_task_drop"] == loosest, "point"]
        row["Point"] = ", ".join(map(codec_title, dict.fromkeys(filter(None, points)))) or "none"
        edge, cloud = _times(results, encoder, title, points.iloc[0])
        rows.append(row | {"Edge, ms": edge, "Cloud, ms": cloud})
    return Table("send", caption, pd.DataFrame(rows), words=2)


def _times(results: Results, encoder: str, title: str, point: str) -> tuple[str, str]:
    """Return the milliseconds of a frame on the edge and in the cloud, in words."""
    times = frame_times(results, encoder, title, point)
    if times is None:
        return MISSING, MISSING
    edge, encode, decode, cloud = (f"{x:.1f}" for x in times)
    return f"{edge} + {encode}", f"{decode} + {cloud}"


def rates_table(results: Results) -> Table:
    """Return the lowest rates of all senders, for each task alone and for all."""
    caption = (
        "The lowest rate of every sender for each task alone and for all, and its change, as in "
        "the table of what to send. In brackets the task that sets the rate. One seed says nothing "
        "of the noise of training."
    )
    rows = []
    by = ["encoder", "task", "sender"]
    for of, group in results.lowest_rates.groupby(by, sort=False):
        encoder, task, title = map(str, of)
        row = {"Encoder": encoder_title(encoder), "Task": task, "Send": title}
        for allowed, of_drop in group.groupby("max_task_drop", sort=False):
            cells = rate_cell(of_drop), change_text(of_drop)
            row[f"at most {allowed:g} % lost"] = "; ".join(filter(None, cells))
        rows.append(row)
    return Table("lowest-rates", caption, pd.DataFrame(rows), words=3)


def rate_cell(of_seeds: pd.DataFrame, *, limiting: bool = True) -> str:
    """Return the mean lowest rate over seeds in words; limiting: with the task that sets it."""
    known = of_seeds["kilobytes"].notna()
    if not known.any():
        return "not reached" if of_seeds["limiting"].any() else MISSING
    if not known.all():
        return f"not reached by {(~known).sum()} of {len(known)} seeds"
    kilobytes = f"{of_seeds['kilobytes'].mean():.2f} kB"
    tasks = list(dict.fromkeys(filter(None, of_seeds["limiting"])))
    if not tasks:
        return f"at most {kilobytes}"
    return f"{kilobytes} ({', '.join(tasks)})" if limiting else kilobytes


def change_text(of_seeds: pd.DataFrame) -> str:
    """Return the mean change against the first sender, with its interval if known."""
    low, high = of_seeds[["low", "high"]].iloc[0]
    changed = of_seeds["bits_percent"]
    if changed.isna().any() or not changed.any():
        return ""
    text = percent(mean_percent(of_seeds["bits_percent"]), 1)
    return f"{text} [{signed(low, 1)}, {signed(high, 1)}]" if np.isfinite(low) else text


def equal_table(results: Results) -> Table:
    """Return the change of bits at equal score in short: a row per pair of senders."""
    rows = []
    for of, group in results.final.groupby(["encoder", "kind", "test", "anchor"], sort=False):
        encoder, kind, test, anchor = map(str, of)
        cells = {"Encoder": encoder_title(encoder), "Send": test, "Instead of": anchor}
        cells["By"] = "BD-rate" if kind == CUBIC else "hull"
        for row in group.to_dict("records"):
            sure = np.isfinite(row["low"])
            ends = f" [{signed(row['low'], 1)}, {signed(row['high'], 1)}]" if sure else ""
            text = f"{percent(row['percent'], 1)}{ends} {MARKS[row['verdict']]}"
            cells[f"Bits at equal {results.scores[row['task']].label}"] = text
        rows.append(cells)
    marks = ", ".join(f"{mark} {words}" for words, mark in MARKS.items())
    caption = (
        "Change of bits at equal score; below 0 bits are saved. Hull: each sender with the best of "
        f"its points, or mixes of two. BD-rate: the paper's cubic fit. {marks}. The details below "
        "say why."
    )
    return Table("equal-score", caption, pd.DataFrame(rows), words=4)


def bd_table(results: Results) -> Table:
    """Return the change of bits at equal score with its verdict: means over seeds."""
    rows = []
    for row in results.final.to_dict("records"):
        score = results.scores[row["task"]]
        hull = row["kind"] != CUBIC
        known, sure = np.isfinite(row["percent"]), np.isfinite(row["low"])
        near = f"{percent(row['near_best'], 1)}" if np.isfinite(row["near_best"]) else "not reached"
        noise = f"{row['noise']:.1f} %" if np.isfinite(row["noise"]) else "not known"
        paper = PUBLISHED.get((row["encoder"], row["score"]))
        rows.append(
            {
                "Encoder": encoder_title(row["encoder"]),
                "Send": row["test"],
                "Instead of": row["anchor"],
                "At equal": score.label,
                "Kind": "hull" if hull else "BD-rate",
                "Bits": percent(row["percent"]),
                "Interval": f"{signed(row['low'], 2)} to {percent(row['high'])}"
                if sure
                else MISSING,
                "Near the best": near if hull and known else "",
                "Noise of training": noise,
                "Paper": "" if hull or paper is None else percent(paper),
                "Verdict": row["verdict"],
                "Why": row["reason"],
            }
        )
    seeds = int(results.final["seeds"].max())
    over = f"images and {seeds} seeds" if seeds > 1 else "images"
    caption = (
        "Change of bits at equal score; below 0 bits are saved. Hull: each sender with the best of "
        "its points, or mixes of two, over scores down to "
        f"{results.max_score_drop:g} % below the best of the other; near the best: down to "
        f"{NEAR_BEST * results.max_score_drop:g} % below it. BD-rate: the paper's cubic fit over "
        f"points fixed in advance. Interval: {100 * results.confidence:g} %, over {over} "
        f"({results.resamples:,} resamples of {results.images:,} images). Noise of training: the "
        "largest change between two networks that differ in their seed alone."
    )
    return Table("bd-rate", caption, pd.DataFrame(rows), words=5)


def changes_table(results: Results) -> Table:
    """Return what changes at each point that both arms have."""
    rows = []
    for row in results.changes.to_dict("records"):
        bits = percent(row["bits_percent"])
        if np.isfinite(row["bits_low"]):
            bits += f" [{signed(row['bits_low'], 1)}, {signed(row['bits_high'], 1)}]"
        cells = {"Encoder": encoder_title(row["encoder"]), "Point": codec_title(row["codec"])}
        cells["Bits"] = bits
        for score in results.scores.values():
            change, bound = row[f"{score.name}_change"], row[f"{score.name}_bound"]
            cells[score_title(score)] = changed(score, change) + (
                f" (above {changed(score, bound)})" if np.isfinite(bound) else ""
            )
        rows.append(cells)
    share = f"{100 * results.confidence:g} %"
    caption = (
        "Change at each point, proposed minus benchmark, mean over seeds, whose arms are paired. "
        f"Square brackets hold the {share} interval over images and seeds. A change lies above the "
        f"value in round brackets with {share} confidence. One seed has neither."
    )
    return Table("changes", caption, pd.DataFrame(rows), words=2)


def points_table(results: Results) -> Table:
    """Return rates and scores of every sender at every point, means over seeds."""
    rows = []
    for row in results.sent.to_dict("records"):
        cells = {"Encoder": encoder_title(row["encoder"])}
        cells["Send"] = row["sender"]
        cells["Point"] = codec_title(row["codec"])
        cells |= {x: f"{row[x]:.3f}" if np.isfinite(row[x]) else "" for x in RATES}
        for score in results.scores.values():
            value, *ends = (printed(score, row[f"{score.name}{x}"]) for x in ("", "_low", "_high"))
            known = np.isfinite(row[score.name])
            cells[score_title(score)] = f"{value} [{', '.join(ends)}]" if known else value
        rows.append(cells)
    units = {"kilobytes": "kB per frame", "bpfe": "BPFE", "bpp": "Bits per pixel"}
    caption = (
        "All points, means over seeds: rates in kilobytes per frame, bits per feature element "
        "(BPFE) and bits per pixel, then scores with the interval of the sender alone. A picture "
        "that was sent is scored itself as its reconstruction; its BPFE are its bits over the "
        "elements of the features. The entropy model's too are over the elements of the encoder's "
        "features. Uncompressed: float features, neither quantised nor coded."
    )
    return Table("points", caption, pd.DataFrame(rows).rename(columns=units), words=3)


def diagnostics_table(results: Results) -> Table:
    """Return what was measured on the features of each model."""
    frame = results.diagnostics.astype({"seed": str})
    frame["encoder"] = frame["encoder"].map(encoder_title)
    numbers = frame.select_dtypes("number")
    frame[numbers.columns] = numbers.map(lambda x: f"{x:#.3g}" if np.isfinite(x) else MISSING)
    caption = (
        "Does the rate loss measure bits? Rate loss: L_r, mean over images. Span (largest minus "
        "smallest) and standard deviation of an image's features, before the quantiser: a rate "
        "loss that only stretches the span lets the deviation fall against it, and a quantiser of "
        "fewer bits would save the same. Then, for each point, the correlation (Pearson) over "
        "images of L_r with bytes; 1 would be a perfect measure."
    )

    def title(column: str) -> str:
        codec = column.removeprefix("correlation ")
        return codec_title(codec) if codec != column else column.replace("_", " ").capitalize()

    return Table("diagnostics", caption, frame.rename(columns=title), words=2)


def classes_html(results: Results, encoder: str) -> dict[str, str]:
    """Return what to show -> IoU of each class at each point as HTML, coloured by value.

    Means over seeds of each arm, then the difference of the two arms of the paper.
    """
    if results.iou.empty:
        return {}
    iou = results.iou[results.iou["encoder"] == encoder]
    wide = {
        str(arm): of_arm.pivot_table("iou", "class", "codec", sort=False, dropna=False)
        for arm, of_arm in iou.groupby("arm", sort=False)
    }
    if set(ARMS[:2]) <= set(wide):
        wide["proposed minus benchmark"] = wide[ARMS[1]] - wide[ARMS[0]]

    def cell(value: float, difference: bool) -> str:
        if not np.isfinite(value):
            return "–"
        text = signed(100 * value, 1) if difference else f"{100 * value:.1f}"
        strength = min(1.0, abs(value) * (5 if difference else 1))
        kind = "less" if value < 0 else "more"
        return f'<span class="{kind}" style="--v:{strength:.2f}">{as_html(text)}</span>'

    return {
        what: table.rename(columns=codec_title)
        .map(lambda value, difference=" minus " in what: cell(value, difference))
        .rename_axis(index=None, columns=None)
        .to_html(border=0, escape=False, classes="heat")
        for what, table in wide.items()
    }


# Formats


def to_markdown(tables: Sequence[Table]) -> str:
    """Return the tables as one text that reads well unrendered too."""
    blocks = []
    for table in tables:
        aligned = ["left" if i < table.words else "right" for i in range(table.frame.shape[1])]
        text = table.frame.to_markdown(index=False, disable_numparse=True, colalign=aligned)
        blocks += [f"**{table.key}.** {table.caption}", text]
    return "\n\n".join(blocks) + "\n"


def to_latex(table: Table) -> str:
    """Return a float for the `booktabs` package, with the label `tab:<key>`."""
    columns = table.frame.shape[1]
    sentences = table.frame.columns[-1] == "Why"
    form = "l" * table.words + "r" * (columns - table.words - sentences) + "p{5cm}" * sentences
    text = table.frame.to_latex(
        index=False,
        escape=True,
        caption=re.sub(r"([%&_#])", r"\\\1", table.caption),
        label=f"tab:{table.key}",
        column_format=form,
    )
    return f"% needs \\usepackage{{booktabs}}\n{text}"


def to_html(table: Table) -> str:
    """Return the table alone; numbers have minus signs, words stand left."""
    frame = table.frame.rename(columns=html.escape).map(as_html)
    text = frame.to_html(index=False, border=0, escape=False, classes=f"words{table.words}")
    return text.replace(' style="text-align: right;"', "")


def as_html(text: str) -> str:
    """Return a cell as HTML: minus signs for hyphens before numbers."""
    escaped = html.escape(text)
    return re.sub(r"(?<![\w.-])-(?=[\d.])", "\N{MINUS SIGN}", escaped)


def runs_table(digests: Mapping[str, tuple[str, str]]) -> Table:
    """Return the digests of each model's files; digests: model -> of its weights, of its sums."""
    rows = [{"Model": model, "Weights": a, "Evaluation": b} for model, (a, b) in digests.items()]
    return Table("runs", "", pd.DataFrame(rows), words=3)
