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

KIND_TITLES = {"bd_rate": "BD-rate", "envelope_bd_rate": "Envelope BD-rate"}


def bd_grid(
    trust: pd.DataFrame,
    scores: Mapping[str, Score],
    published: pd.DataFrame,
    *,
    resamples: int,
    level: float,
    images: int,
) -> Grid:
    """Table 1 from `trust_table`: a row per encoder and score, both kinds side by side.

    `published` is the paper's own table, as `bd_table` gives it.
    """
    notes = Footnotes()
    rows = []
    keys = ["encoder", "seed", "task"]
    theirs = published.set_index(["encoder", "score"])["percent"]
    for (encoder, _, task), group in trust.groupby(keys, sort=False):
        by_kind = {row["kind"]: row for row in group.to_dict("records")}
        first = by_kind["bd_rate"]
        cells = [model_title(first, trust), f"{scores[str(task)].label} ({task})"]
        cells += [_bd_cell(by_kind[kind], notes) for kind in KIND_TITLES]
        paper = theirs.get((encoder, first["score"]), np.nan)
        rows.append((*cells, percent(paper) if np.isfinite(paper) else "–"))
    over = "images and seeds" if (trust["seed"] == MEAN).any() else "images"
    title = (
        "Change of bits at equal score, proposed arm against benchmark. A negative number saves "
        f"bits. Brackets hold the {100 * level:g} % interval of a paired bootstrap over {over} "
        f"({resamples:,} resamples of {images:,} images). BD-rate is defined as in the paper. It "
        "exists only if the score of each curve rises with its rate. The envelope BD-rate first "
        "leaves out every point that another point of the same curve beats: one that costs no more "
        "and scores no less. It shows what a user gets who picks good points. It looks better "
        "than it is for noisy curves, because it picks points by their scores. Do not compare it "
        "with the paper's BD-rate. The paper's own BD-rates are of Cityscapes at 512x256."
    )
    heads = ("Encoder", "Score", *KIND_TITLES.values(), "Paper")
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
    """Return what stands behind each BD-rate of Table 1, per seed."""
    notes = Footnotes()
    rows = []
    for row in trust[trust["seed"] != MEAN].to_dict("records"):
        score = scores[row["task"]]
        _, scale, digits = print_of(score)
        strict = row["kind"] == "bd_rate"
        beaten = "; ".join(
            f"{x}: {_codecs(row[f'beaten_{x}'])}" for x in ARMS if row[f"beaten_{x}"]
        )
        low, high = (signed(row[f"left_out_{end}"], 1) for end in ("low", "high"))
        rows.append(
            (
                model_title(row, trust),
                score.label,
                KIND_TITLES[row["kind"]],
                _verdict(row, notes),
                (beaten if strict else beaten and "left out") or "none",
                f"{100 * row['overlap']:.0f}",
                *(signed(row[method], 1) for method in METHODS),
                signed(row["without_lossless"], 1),
                f"{low} to {high}" if np.isfinite(row["left_out_low"]) else "n/a",
                signed(scale * row["bd_score"], digits) if strict else "–",
            )
        )
    heads = (
        *("Encoder", "Score", "Kind", "Verdict", "Points out of order", "Overlap"),
        *(name.upper() if name == "pchip" else name.capitalize() for name in METHODS),
        *("Only lossy", "One left out", "BD-score"),
    )
    title = (
        "How far each BD-rate can be trusted. Points out of order are beaten by another point of "
        "their curve. Overlap is the part of the score range that both curves share, in per cent. "
        "Then come BD-rates in per cent: by other methods of interpolation, of the lossy codecs "
        "alone, and the lowest and highest with one point left out of both curves. BD-score is the "
        "average change of score at equal rate, in the unit of the score."
    )
    return Grid("diagnostics", title, heads, tuple(rows), notes.all(), words=5)


def _verdict(row: Row, notes: Footnotes) -> str:
    if row["obstacle"]:
        return f"not available {notes.mark(_reason(row))}"
    if row["objections"]:
        return f"do not quote {notes.mark('; '.join(map(objection, row['objections'])))}"
    return "can be quoted"
