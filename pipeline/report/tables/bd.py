"""Table 1 and its diagnostics in words: digits, intervals, and what needs a note."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.artifacts import ARMS
from pipeline.report.found.kinds import NEAR_TOP
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
from pipeline.report.text.verdict import NONE, UNKNOWN, UNSURE, VERDICTS, outcome
from pipeline.report.text.why import missing, objection
from pipeline.scoring.bdrate import (
    METHODS,
)
from pipeline.scoring.metrics import Score
from pipeline.scoring.obstacles import (
    NotMonotone,
)

KIND_TITLES = {
    "hull_bd_rate": "Hull of all points",
    "depth_bd_rate": "Lossless codec over depth",
}
SHORT_TITLES = {"hull_bd_rate": "hull", "depth_bd_rate": "depth", "bd_rate": "paper"}
PAPER = "bd_rate"
"""The kind that is made as in the paper."""


class Drawn(NamedTuple):
    """How the intervals were drawn."""

    resamples: int
    level: float
    """0.95 for 95 %."""
    images: int
    """In each resample."""


def hull_grid(
    trust: pd.DataFrame,
    scores: Mapping[str, Score],
    drawn: Drawn,
    *,
    loss_percent: float,
) -> Grid:
    """Return the BD-rates between hulls from `trust_table`: a row per encoder and score.

    Of several seeds it has their mean; `diagnostics_grid` has each. loss_percent: how far below the
    benchmark's best score a score counts.
    """
    notes = Footnotes()
    kinds = [kind for kind in KIND_TITLES if kind in set(trust["kind"])]
    rows = []
    for (_, task), group in _final(trust).groupby(["encoder", "task"], sort=False):
        by_kind = {row["kind"]: row for row in group.to_dict("records")}
        first = by_kind[kinds[0]]
        cells = [model_title(first, trust), f"{scores[str(task)].label} ({task})"]
        cells += [_bd_cell(first, notes), _near_top(first)]
        cells += [_bd_cell(by_kind[kind], notes) for kind in kinds[1:]]
        cells.append(_noise(first["noise"]))
        rows.append(tuple(cells))
    title = (
        "Change of bits at equal score, proposed arm against benchmark, each with the best of its "
        "codec points. A negative number saves bits. The number is a mean over the scores that "
        f"both arms reach, down to {loss_percent:g} % below the benchmark's best; near the best: "
        f"down to {NEAR_TOP * loss_percent:g} % below it. Between two points the rate is that of a "
        "mix: a part of the images is coded at the one, the rest at the other. A point that costs "
        "more than such a mix of two others of the same arm is left out. "
        f"{_of_brackets(trust, drawn)} Noise of training: the largest change of bits, on the hull, "
        "between two benchmarks that differ in their seed alone. These numbers are not the paper's "
        "BD-rate; do not compare them with it."
    )
    titles = [KIND_TITLES[kind] for kind in kinds]
    titles.insert(1, "Near the best")
    heads = ("Encoder", "Score", *titles, "Noise of training")
    return Grid("hull", title, heads, tuple(rows), notes.all(), words=2)


def _noise(value: float) -> str:
    return f"{value:.1f} %" if np.isfinite(value) else "unknown"


def _near_top(row: Row) -> str:
    """Return the number over the best scores alone; it has no interval, so its noise stands by."""
    if not np.isfinite(row["near_top"]):
        return "not reached"
    return f"{signed(row['near_top'], 1)} % (noise {_noise(row['near_top_noise'])})"


def bd_grid(
    trust: pd.DataFrame,
    scores: Mapping[str, Score],
    published: pd.DataFrame,
    drawn: Drawn,
    *,
    points: Sequence[str],
) -> Grid:
    """Return the paper's BD-rate from `trust_table`: a row per encoder and score.

    Of several seeds it has their mean. `published` is the paper's own table, as `bd_table` gives
    it. `points` are those fixed in advance.
    """
    notes = Footnotes()
    rows = []
    theirs = published.set_index(["encoder", "score"])["percent"]
    for row in _final(trust[trust["kind"] == PAPER]).to_dict("records"):
        paper = theirs.get((row["encoder"], row["score"]), np.nan)
        cells = [model_title(row, trust), f"{scores[row['task']].label} ({row['task']})"]
        cells.append(_bd_cell(row, notes))
        rows.append((*cells, percent(paper) if np.isfinite(paper) else "–"))
    title = (
        f"BD-rate as the paper defines it, over the points {_codecs(points)}. It exists only if "
        "the score of each curve rises with its rate. "
        f"{_of_brackets(trust, drawn)} The paper's own numbers are of "
        "Cityscapes at 512x256."
    )
    heads = ("Encoder", "Score", "BD-rate", "Paper")
    return Grid("bd-rate", title, heads, tuple(rows), notes.all(), words=2)


def _final(trust: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the means over seeds, or of the one seed there is."""
    of_mean = trust["seed"] == MEAN
    return trust[of_mean] if of_mean.any() else trust


def _of_brackets(trust: pd.DataFrame, drawn: Drawn) -> str:
    over = "images and seeds" if (trust["seed"] == MEAN).any() else "images"
    return (
        f"Brackets hold the {100 * drawn.level:g} % interval over {over} ({drawn.resamples:,} "
        f"resamples of {drawn.images:,} images)."
    )


def _bd_cell(row: Row, notes: Footnotes) -> str:
    came_out = outcome(row)
    if came_out == UNKNOWN:
        return f"n/a {notes.mark(_reason(row))}"
    text = signed(row["percent"], 2)
    if np.isfinite(row["deviation"]):
        text += f" ± {row['deviation']:.2f}"
    text += " %"
    if np.isfinite(row["low"]):
        text += f" [{signed(row['low'], 2)}, {signed(row['high'], 2)}]"
    if came_out == NONE:
        return f"{text}, {VERDICTS[came_out]}"
    if came_out == UNSURE:
        return f"{text}, {VERDICTS[came_out]} {notes.mark(_against(row))}"
    return text


def _against(row: Row) -> str:
    return "; ".join(map(objection, row["objections"]))


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
    """Return what stands behind each BD-rate, per seed."""
    notes = Footnotes()
    rows = []
    for row in trust[trust["seed"] != MEAN].to_dict("records"):
        score = scores[row["task"]]
        _, scale, digits = print_of(score)
        strict = row["kind"] == PAPER
        beaten = "; ".join(
            f"{x}: {_codecs(row[f'beaten_{x}'])}" for x in ARMS if row[f"beaten_{x}"]
        )
        low, high = (signed(row[f"left_out_{end}"], 1) for end in ("low", "high"))
        rows.append(
            (
                model_title(row, trust),
                score.label,
                SHORT_TITLES[row["kind"]],
                _verdict(row, notes),
                (beaten if strict else beaten and "left out") or "none",
                signed(row["percent"], 1),
                f"{100 * row['overlap']:.0f}",
                *(signed(row[method], 1) if strict else "–" for method in METHODS),
                signed(row["without_lossless"], 1),
                f"{low} to {high}" if np.isfinite(row["left_out_low"]) else "n/a",
                signed(scale * row["bd_score"], digits) if strict else "–",
            )
        )
    heads = (
        *("Encoder", "Score", "Kind", "Verdict", "Points out of order", "BD-rate", "Overlap"),
        *(name.upper() if name == "pchip" else name.capitalize() for name in METHODS),
        *("Only lossy", "One left out", "BD-score"),
    )
    title = (
        "How far each BD-rate can be trusted: of the hull of all points, of a lossless codec over "
        "depth, and the paper's. Points out of order are beaten by another point of their curve. "
        "BD-rates and overlap are in per cent; overlap is the part of the score range that both "
        "curves share. Then come BD-rates by other methods of interpolation, of the lossy codecs "
        "alone, and the lowest and highest with one point left out of both curves. BD-score is the "
        "average change of score at equal rate, in the unit of the score. Hulls are not "
        "interpolated, and have no BD-score."
    )
    return Grid("diagnostics", title, heads, tuple(rows), notes.all(), words=5)


def _verdict(row: Row, notes: Footnotes) -> str:
    if row["obstacle"]:
        return f"not available {notes.mark(_reason(row))}"
    if row["objections"]:
        return f"do not quote {notes.mark(_against(row))}"
    return "can be quoted"
