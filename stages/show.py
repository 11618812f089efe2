"""Show the experiments in one small table: what they found, and what was changed.

    python -m stages.show

`dvc exp show` has a column for every setting and file; this table is at most 120 characters wide.
"""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import dvc.api

from pipeline.params import Params, flat
from pipeline.report.text.names import encoder_title, print_of
from pipeline.report.text.verdict import MARKS
from pipeline.scoring.metrics import SCORES
from stages.settings import load, run

WIDTH = 120
NAME, ENCODER, BITS, CELL = 34, 9, 12, 9
"""Widths of columns, in characters."""
INDENT = "    "
Row = Mapping[str, Any]
"""An experiment as `dvc.api.exp_show` gives it."""


def main() -> None:
    """Print a line per experiment and encoder; the first line is the workspace."""
    params = load()
    rows = dvc.api.exp_show()
    print("\n".join(table(rows, params)))


def table(rows: list[dict[str, Any]], params: Params) -> Iterator[str]:
    """Yield the lines of the table."""
    codec = params.codecs[0]
    scores = [SCORES[task] for task in params.tasks]
    labels = [score.label for score in scores]
    yield line("experiment", "encoder", [f"{x} bits" for x in labels], ["BPFE", *labels])
    yield "-" * WIDTH
    settings = list(flat(params))
    # What differs is told against the last commit, which the experiments began from.
    base = next((row for row in rows if row["rev"] != "workspace"), rows[0])
    for row in rows:
        name = row["Experiment"] or row["rev"]
        if row["State"] in ("Queued", "Running", "Failed"):
            name = f"{name} ({row['State'].lower()})"
        changed = ", ".join(f"{k}={shown(row[k])}" for k in settings if differs(row, base, k))
        for encoder in params.encoders:
            bits = [hull_cell(row, encoder, score.name) for score in scores]
            of = f"{codec}.{model(row, codec, encoder)}"
            values = [number(row, f"{of}.bpfe", 1, 3)]
            for score in scores:
                _, scale, digits = print_of(score)
                values.append(number(row, f"{of}.{score.name}", scale, digits))
            yield line(str(name), encoder_title(encoder), bits, values)
            name = ""
        yield from textwrap.wrap(changed, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    yield ""
    words = ", ".join(f"{mark} {word}" for word, mark in MARKS.items())
    yield from textwrap.wrap(
        "bits: change of bits at equal score, on the hull of all points, in per cent; below 0 the "
        f"rate loss saves bits. {words}. The other numbers are the proposed arm's with "
        f"{codec.upper()}; BPFE is bits per feature element. Means over seeds.",
        WIDTH,
    )


def line(name: str, encoder: str, bits: list[str], values: list[str]) -> str:
    """Return one line of the table."""
    cells = [f"{x:>{BITS}}" for x in bits] + [f"{x:>{CELL}}" for x in values]
    return f"{name[:NAME]:<{NAME}} {encoder:<{ENCODER}}{''.join(cells)}"


def hull_cell(row: Row, encoder: str, score: str) -> str:
    """Return a BD-rate of the hull, never without the mark of its verdict."""
    for of in mean_or_seed(row, f"hull_bd_rate.{encoder}-", f".{score}"):
        mark = MARKS.get(row.get(f"verdict.hull_bd_rate.{of}.{score}", ""), "?")
        return f"{row[f'hull_bd_rate.{of}.{score}']:+.1f} {mark}"
    return "-"


def model(row: Row, codec: str, encoder: str) -> str:
    """Return the name of the proposed model of an encoder in the metrics, or ""."""
    return next(iter(mean_or_seed(row, f"{codec}.{encoder}-proposed-", ".bpfe")), "")


def mean_or_seed(row: Row, before: str, after: str) -> Iterator[str]:
    """Yield the models whose metric `<before><seed><after>` the row holds."""
    for key, value in row.items():
        if key.startswith(before) and key.endswith(after) and isinstance(value, float):
            yield key.removesuffix(after).partition(".")[2]


def number(row: Row, key: str, scale: float, digits: int) -> str:
    value = row.get(key)
    return f"{scale * value:.{digits}f}" if isinstance(value, float) else "-"


def differs(row: Row, base: Row, key: str) -> bool:
    return row.get(key) is not None and row.get(key) != base.get(key)


def shown(value: object) -> str:
    # DVC gives every number as a float.
    return f"{value:g}" if isinstance(value, float) else str(value).replace("'", "")


if __name__ == "__main__":
    run(main)
