"""The tables as Markdown that reads well as plain text too."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.report.names import (
    codec_title,
    encoder_title,
    print_of,
    signed,
    task_title,
    with_unit,
)
from pipeline.report.table import seed_means
from pipeline.scoring.bdrate import QUOTABLE_OVERLAP
from pipeline.scoring.metrics import Score

SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Footnotes:
    """Numbers notes in the order they are first used; the same note keeps its number."""

    def __init__(self) -> None:
        self._notes: list[str] = []

    def mark(self, note: str) -> str:
        """The superscript number that stands for a note."""
        if note not in self._notes:
            self._notes.append(note)
        return str(self._notes.index(note) + 1).translate(SUPERSCRIPT)

    def lines(self) -> list[str]:
        return [f"{self.mark(note)} {note}  " for note in self._notes]


def to_markdown(bd: pd.DataFrame, compared: pd.DataFrame, scores: Mapping[str, Score]) -> str:
    """The report's tables as one Markdown text.

    Takes the results of `bd_table` and `point_table`. Gives the paper's Table 1 (rows encoders,
    and seeds with their mean when there are several; columns tasks), a BD-rate that cannot be
    computed as `n/a` with the reason in a footnote, then one table of codec points per encoder.
    """
    present = {task: score for task, score in scores.items() if task in set(bd["task"])}
    lines = [
        "**Table 1.** BD-rate of the proposed arm against the benchmark: the change of bits at "
        "equal score. Negative saves bits.",
        "",
        *_bd_lines(bd, present),
    ]
    for number, (encoder, group) in enumerate(compared.groupby("encoder", sort=False), start=2):
        lines += [
            "",
            f"**Table {number}.** {encoder_title(str(encoder))} at each codec point: bits per "
            "feature element (BPFE) of both arms, then the proposed arm's scores and, in brackets, "
            "their change against the benchmark.",
            "",
            *_point_lines(group, present),
        ]
    return "\n".join(lines) + "\n"


def _bd_lines(bd: pd.DataFrame, scores: Mapping[str, Score]) -> list[str]:
    notes = Footnotes()
    several = bd["seed"].nunique() > 1
    heads = [f"{task_title(task)} ({score.label})" for task, score in scores.items()]
    rows = []
    for encoder, of_encoder in bd.groupby("encoder", sort=False):
        title = encoder_title(str(encoder))
        for seed, of_seed in of_encoder.groupby("seed", sort=False):
            name = f"{title}, seed {seed}" if several else title
            rows.append([name, *_bd_cells(of_seed, scores, notes)])
        if several:
            mean = seed_means(of_encoder)
            count = int(mean["seeds"].max())
            rows.append([f"**{title}, mean of {count}**", *_bd_cells(mean, scores, notes)])
    lines = _grid(["Encoder", *heads], rows)
    if notes.lines():
        lines += ["", *notes.lines(), "", "(Anchor: the benchmark arm. Test: the proposed arm.)"]
    return lines


def _bd_cells(rows: pd.DataFrame, scores: Mapping[str, Score], notes: Footnotes) -> list[str]:
    by_task = {row["task"]: row for row in rows.to_dict("records")}
    cells = []
    for task in scores:
        row = by_task[task]
        if not np.isfinite(row["percent"]):
            cells.append(f"n/a {notes.mark(row['reason'])}")
            continue
        text = signed(row["percent"], 2)
        if np.isfinite(row.get("deviation", np.nan)):
            text += f" ± {row['deviation']:.2f}"
        text += " %"
        if row["overlap"] < QUOTABLE_OVERLAP:
            share = f"{100 * row['overlap']:.0f} %"
            text += " " + notes.mark(f"the two curves share only {share} of their score range")
        cells.append(text)
    return cells


def _point_lines(compared: pd.DataFrame, scores: Mapping[str, Score]) -> list[str]:
    several = compared["seed"].nunique() > 1
    heads = ["Codec", *(["Seed"] if several else [])]
    heads += ["BPFE benchmark", "BPFE proposed", "Bits"]
    heads += [with_unit(score.label, print_of(score).unit) for score in scores.values()]
    rows = []
    # Seeds of one codec stand together: that is what one compares.
    for codec, group in compared.groupby("codec", sort=False):
        for row in group.to_dict("records"):
            cells = [codec_title(str(codec)), *([str(row["seed"])] if several else [])]
            cells += [f"{row['bpfe_benchmark']:.3f}", f"{row['bpfe_proposed']:.3f}"]
            cells.append(f"{signed(row['bits_percent'], 2)} %")
            cells += [_score_cell(row, score) for score in scores.values()]
            rows.append(cells)
    return _grid(heads, rows)


def _score_cell(row: Mapping[Hashable, Any], score: Score) -> str:
    value, change = row[f"{score.name}_proposed"], row[f"{score.name}_change"]
    if not np.isfinite(value):
        return "n/a"
    _, scale, digits = print_of(score)
    return f"{scale * value:.{digits}f} ({signed(scale * change, digits)})"


def _grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table padded to equal widths: the first column left, the others right."""
    cells = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]

    def line(row: Sequence[str]) -> str:
        padded = [row[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        return f"| {' | '.join(padded)} |"

    return [line(cells[0]), line(rule), *(line(row) for row in cells[1:])]
