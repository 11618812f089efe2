"""Table 1 and its diagnostics in words: digits, intervals, and what needs a note."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pipeline.arms import ARMS
from pipeline.report.found.table import MEAN
from pipeline.report.tables.grid import Footnotes, Grid
from pipeline.report.text.names import (
    Row,
    codec_title,
    model_title,
    percent,
    print_of,
    signed,
)
from pipeline.report.text.why import missing, no_interval, objection
from pipeline.scoring.bdrate import METHODS, NotMonotone
from pipeline.scoring.metrics import Score
from pipeline.scoring.trust import QUOTABLE_OVERLAP

FIGURE_TITLES = {"bd_rate": "BD-rate", "envelope_bd_rate": "Envelope BD-rate"}


def bd_grid(
    trust: pd.DataFrame,
    scores: Mapping[str, Score],
    published: pd.DataFrame,
    *,
    resamples: int,
    level: float,
    images: int,
) -> Grid:
    """Table 1 from `trust_table`: a row per encoder and score, its two figures side by side.

    `published` is the paper's own table, as `bd_table` gives it.
    """
    notes = Footnotes()
    rows = []
    keys = ["encoder", "seed", "task"]
    theirs = published.set_index(["encoder", "score"])["percent"]
    for (encoder, _, task), group in trust.groupby(keys, sort=False):
        by_figure = {row["figure"]: row for row in group.to_dict("records")}
        first = by_figure["bd_rate"]
        cells = [model_title(first, trust), f"{scores[str(task)].label} ({task})"]
        cells += [_bd_cell(by_figure[figure], notes) for figure in FIGURE_TITLES]
        paper = theirs.get((encoder, first["score"]), np.nan)
        rows.append((*cells, percent(paper) if np.isfinite(paper) else "–"))
    over = "images and seeds" if (trust["seed"] == MEAN).any() else "images"
    title = (
        "Change of bits at equal score, proposed against benchmark; negative saves bits. "
        f"In brackets the {100 * level:g} % interval of a paired bootstrap over {over} "
        f"({resamples:,} resamples of {images:,}). BD-rate is the paper's figure and needs curves "
        "whose score rises with the rate. The envelope BD-rate leaves out of each curve the points "
        "that another point of the same curve beats (it costs no more and scores no less): what "
        "someone who picks good points would see. Points being left out after a look at their "
        "scores, it flatters noisy curves, and is not to be set against the paper's. "
        "The paper's own BD-rates are of Cityscapes at 512x256."
    )
    heads = ("Encoder", "Score", *FIGURE_TITLES.values(), "Paper")
    return Grid("bd-rate", title, heads, tuple(rows), notes.all(), words=2)


def _bd_cell(row: Row, notes: Footnotes) -> str:
    if not np.isfinite(row["percent"]):
        return f"n/a {notes.mark(_reason(row))}"
    text = signed(row["percent"], 2)
    if np.isfinite(row["deviation"]):
        text += f" ± {row['deviation']:.2f}"
    text += " %"
    if np.isfinite(row["low"]):
        text += f" [{signed(row['low'], 2)}, {signed(row['high'], 2)}]"
    if row["no_difference"]:
        text += ", no difference shown"
    if row["no_interval"]:
        text += " " + notes.mark(f"no interval: {no_interval(row['no_interval'])}")
    if row["overlap"] < QUOTABLE_OVERLAP:
        share = f"{100 * row['overlap']:.0f} %"
        text += " " + notes.mark(f"the two curves share only {share} of their score range")
    return text


def _reason(row: Row) -> str:
    """Return why there is no number; points out of order go by their codec."""
    # A mean over seeds has no points of its own.
    beaten = {arm: x for arm in ARMS if isinstance(x := row.get(f"beaten_{arm}"), tuple)}
    if not (isinstance(row["obstacle"], NotMonotone) and beaten):
        return missing(row["obstacle"])
    named = [f"{arm} at {_codecs(codecs)}" for arm, codecs in beaten.items() if codecs]
    return "not monotone: " + "; ".join(named)


def _codecs(codecs: Sequence[str]) -> str:
    return ", ".join(map(codec_title, codecs))


def diagnostics_grid(trust: pd.DataFrame, scores: Mapping[str, Score]) -> Grid:
    """What stands behind each figure of Table 1, per seed."""
    notes = Footnotes()
    rows = []
    for row in trust[trust["seed"] != MEAN].to_dict("records"):
        score = scores[row["task"]]
        _, scale, digits = print_of(score)
        strict = row["figure"] == "bd_rate"
        beaten = "; ".join(
            f"{x}: {_codecs(row[f'beaten_{x}'])}" for x in ARMS if row[f"beaten_{x}"]
        )
        low, high = (signed(row[f"left_out_{end}"], 1) for end in ("low", "high"))
        rows.append(
            (
                model_title(row, trust),
                score.label,
                FIGURE_TITLES[row["figure"]],
                _verdict(row, notes),
                (beaten if strict else beaten and "left out") or "none",
                f"{100 * row['overlap']:.0f}",
                *(signed(row[method], 1) for method in METHODS),
                signed(row["without_png"], 1),
                f"{low} to {high}" if np.isfinite(row["left_out_low"]) else "n/a",
                signed(scale * row["bd_score"], digits) if strict else "–",
            )
        )
    heads = (
        *("Encoder", "Score", "Figure", "Verdict", "Points out of order", "Overlap"),
        *(name.upper() if name == "pchip" else name.capitalize() for name in METHODS),
        *("No PNG", "One left out", "BD-score"),
    )
    title = (
        "How far each figure can be trusted: points that another point of the same curve beats; "
        "then, in per cent, the part of the score range that both curves share, the figure by "
        "other methods of interpolation, without the PNG point, and its range when any one point "
        "is left out of both curves; last the average change of score at equal rate (BD-score, in "
        "the score's unit)."
    )
    return Grid("diagnostics", title, heads, tuple(rows), notes.all(), words=5)


def _verdict(row: Row, notes: Footnotes) -> str:
    if row["obstacle"]:
        return f"not available {notes.mark(_reason(row))}"
    if row["objections"]:
        return f"do not quote {notes.mark('; '.join(map(objection, row['objections'])))}"
    return "can be quoted"
