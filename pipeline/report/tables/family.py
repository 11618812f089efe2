"""The table of a family: what each experiment saves at equal score, and what choosing costs."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pipeline.report.found.family import HULL
from pipeline.report.tables.grid import Footnotes, Grid
from pipeline.report.text.names import encoder_title, signed
from pipeline.scoring.metrics import Score


def family_grid(table: pd.DataFrame, scores: Mapping[str, Score], *, hull_loss: float) -> Grid:
    """Return, from `family_table` with this `hull_loss`: a row per encoder and member."""
    notes = Footnotes()
    rows = []
    for (encoder, member), group in table.groupby(["encoder", "member"], sort=False):
        by_task = {row["task"]: row for row in group.to_dict("records")}
        cells = [_cell(by_task[task]) for task in scores]
        name = str(member) + (notes.mark(_warning(table)) if member == HULL else "")
        rows.append((encoder_title(str(encoder)), name, *cells))
    title = (
        "A family of experiments: change of bits at equal score against the benchmark, on the hull "
        f"of each experiment's points, down to {hull_loss:g} % below the benchmark's best score. A "
        "negative number saves bits. Means over seeds; brackets hold the least and the largest of "
        "the seeds, which is no interval. The report of each experiment says whether its number "
        "may be quoted, if it has the same `report.hull_loss`."
    )
    heads = ("Encoder", "Experiment", *(score.label for score in scores.values()))
    return Grid("family", title, heads, tuple(rows), notes.all(), words=2)


def _cell(row: Mapping[object, float]) -> str:
    if not np.isfinite(row["percent"]):
        return "n/a"
    text = f"{signed(row['percent'], 2)} %"
    if row["seeds"] > 1:
        text += f" [{signed(row['low'], 2)}, {signed(row['high'], 2)}]"
    return text


def _warning(table: pd.DataFrame) -> str:
    text = (
        "Do not quote. It takes the best experiment at each score, chosen on the same images, so "
        "it looks better than it is."
    )
    known = table.loc[table["choosing"].notna(), ["encoder", "score", "choosing"]]
    said = ", ".join(
        f"{encoder_title(row['encoder'])} {row['score']} {signed(row['choosing'], 1)} %"
        for row in known.to_dict("records")
    )
    if said:
        text += (
            " How much choosing alone can save: the best of the benchmarks, which differ in their "
            f"seed alone, against one of them: {said}."
        )
    return text
