"""Compare experiments.

    python -m commands.compare                     one line for each experiment and encoder
    python -m commands.compare NAME NAME ...       experiments that share a benchmark
    python -m commands.compare "weight 1=NAME" ... the same, with a label before the equals sign

NAME is a DVC experiment, a branch or a commit. With names it writes `reports/family/`: a figure of
score over rate, and a table as Markdown, LaTeX and CSV. It reads what git holds of each experiment,
so it needs no models. `dvc exp show` has a column for every setting and file; the table here is at
most 120 characters wide.
"""

import io
import textwrap
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any

import dvc.api
import numpy as np
import pandas as pd
import typer
from dvc.exceptions import DvcException
from scmrepo.exceptions import SCMError

from pipeline.artifacts import ARMS, REPORT_FOLDER
from pipeline.files import write_csv, write_text
from pipeline.params import Params, flat
from pipeline.report.comparisons import HULL
from pipeline.report.names import encoder_title, printed, signed
from pipeline.scoring.bdrate import hull_rate
from pipeline.scoring.bootstrap import mean_percent
from pipeline.scoring.metrics import SCORES, Score
from pipeline.scoring.verdict import MARKS
from stages.settings import load, run

FAMILY = REPORT_FOLDER / "family"
WIDTH = 120
NAME, ENCODER, BITS, CELL = 34, 9, 12, 9
"""Widths of columns, in characters."""
Row = Mapping[str, Any]
"""An experiment as `dvc.api.exp_show` gives it."""


class FamilyError(ValueError):
    """Experiments that cannot be compared."""


def main(
    names: Annotated[list[str] | None, typer.Argument(help="DVC experiments.")] = None,
) -> None:
    """Compare all experiments in one table, or those named, which share a benchmark."""
    params = load()
    if not names:
        print("\n".join(overview(dvc.api.exp_show(), params)))
        return
    labelled = {name.partition("=")[0]: name.rpartition("=")[2] for name in names}
    if len(labelled) < len(names):
        raise FamilyError('two experiments have the same label; write "another label=NAME"')
    compare({label: points_of(name) for label, name in labelled.items()}, params)


# All experiments


def overview(rows: list[dict[str, Any]], params: Params) -> Iterator[str]:
    """Yield the lines of the table of all experiments; the first is the workspace."""
    scores = [SCORES[task] for task in params.tasks]
    labels = [score.label for score in scores]
    yield line("experiment", "encoder", [f"{x} bits" for x in labels], ["BPFE", *labels])
    yield "-" * WIDTH
    settings = list(flat(params))
    # What differs is told against the last commit, which the experiments began from.
    base = next((row for row in rows if row["rev"] != "workspace"), rows[0])
    for row in rows:
        name = str(row["Experiment"] or row["rev"])
        if row["State"] in ("Queued", "Running", "Failed"):
            name = f"{name} ({row['State'].lower()})"
        for encoder in params.encoders:
            bits = [bits_cell(row, encoder, score) for score in scores]
            of = found(row, f"{params.codecs[0]}.{encoder}-proposed-", ".bpfe")
            values = [f"{x:.3f}" if (x := number(row, f"{of}.bpfe")) is not None else "-"]
            for score in scores:
                value = number(row, f"{of}.{score.name}")
                values.append("-" if value is None else printed(score, value))
            yield line(name, encoder_title(encoder), bits, values)
            name = ""
        changed = [key for key in settings if row.get(key) not in (None, base.get(key))]
        said = ", ".join(f"{key}={setting(row[key])}" for key in changed)
        yield from textwrap.wrap(said, WIDTH, initial_indent="    ", subsequent_indent="    ")
    words = ", ".join(f"{mark} {word}" for word, mark in MARKS.items())
    yield from (
        "",
        *textwrap.wrap(
            "bits: change of bits at equal score, on the hull of all points, in per cent; below 0 "
            f"the rate loss saves bits. {words}. The other numbers are the proposed arm's with "
            f"{params.codecs[0].upper()}; BPFE is bits per feature element. Means over seeds.",
            WIDTH,
        ),
    )


def line(name: str, encoder: str, bits: list[str], values: list[str]) -> str:
    """Return one line of the table."""
    cells = [f"{x:>{BITS}}" for x in bits] + [f"{x:>{CELL}}" for x in values]
    return f"{name[:NAME]:<{NAME}} {encoder:<{ENCODER}}{''.join(cells)}"


def bits_cell(row: Row, encoder: str, score: Score) -> str:
    """Return the change of bits on the hull, never without the mark of its verdict."""
    of = found(row, f"{HULL}.{encoder}-", f".{score.name}")
    value = number(row, f"{of}.{score.name}")
    if value is None:
        return "-"
    return f"{value:+.1f} {MARKS.get(row.get(f'verdict.{of}.{score.name}', ''), '?')}"


def found(row: Row, start: str, end: str) -> str:
    """Return the key `<start><seed>`, without its end, of a metric that the row holds, or ""."""
    keys = (key for key in row if key.startswith(start) and key.endswith(end))
    return next((key.removesuffix(end) for key in keys if number(row, key) is not None), "")


def number(row: Row, key: str) -> float | None:
    """Return a metric, or None if the experiment has no such number."""
    value = row.get(key)
    return value if isinstance(value, float) else None


def setting(value: object) -> str:
    """Return a setting in a few characters; DVC gives every number as a float."""
    return f"{value:g}" if isinstance(value, float) else str(value).replace("'", "")


# Experiments that share a benchmark


def points_of(name: str) -> pd.DataFrame:
    """Return the table of points that git holds of an experiment.

    Raises FamilyError if there is no such experiment, or it has no report.
    """
    path = REPORT_FOLDER / "points.csv"
    try:
        text = dvc.api.read(path.as_posix(), repo=".", rev=name)
    except (SCMError, DvcException, OSError) as error:
        raise FamilyError(
            f"{name} has no {path}: {error}; `uv run dvc exp list` names the experiments"
        ) from error
    return pd.read_csv(io.StringIO(text))


def compare(experiments: Mapping[str, pd.DataFrame], params: Params) -> None:
    """Write and print the table of these experiments, label -> points, and draw them."""
    from pipeline.report.charts import for_print, write_figure
    from pipeline.report.tables import to_latex, to_markdown

    check(experiments)
    changes = changes_table(experiments, max_score_drop=params.report.max_score_drop)
    table = print_table(changes, params.report.max_score_drop)
    write_csv(FAMILY / "family.csv", changes)
    write_text(FAMILY / "family.tex", to_latex(table))
    write_text(FAMILY / "family.md", to_markdown([table]))
    for encoder in changes["encoder"].unique():
        figure = for_print(
            charts(experiments, encoder), f"{encoder_title(encoder)}: score over rate"
        )
        write_figure(figure, FAMILY / f"family-{encoder}")
    print(to_markdown([table]))
    print(f"The figures are in {FAMILY}")


def check(experiments: Mapping[str, pd.DataFrame]) -> None:
    """Raise FamilyError unless there are several experiments, of the same benchmark models."""
    if len(experiments) < 2:
        raise FamilyError(f"{len(experiments)} experiment given; name two or more")
    first, *others = experiments
    benchmark = _of(experiments[first], ARMS[0])
    for name in others:
        if not _of(experiments[name], ARMS[0]).equals(benchmark):
            raise FamilyError(
                f"{name} has other benchmark results than {first}; compare experiments that differ "
                "in settings of the rate term alone"
            )


def changes_table(
    experiments: Mapping[str, pd.DataFrame], *, max_score_drop: float
) -> pd.DataFrame:
    """Return the change of bits at equal score of each experiment, on the hull of its points.

    Returns the columns encoder, experiment, task, seeds, percent (mean over seeds, NaN if one has
    none), low and high (the least and the largest of the seeds).
    """
    rows = []
    for name, points in experiments.items():
        for encoder, of_encoder in points.groupby("encoder", sort=False):
            for task, score in scores_in(points).items():
                rate = partial(hull_rate, averaged=score.averaged, max_score_drop=max_score_drop)
                percents = []
                for _, of_seed in of_encoder.groupby("seed", sort=False):
                    curves = (_of(of_seed, arm)[["bpfe", score.name]].to_numpy().T for arm in ARMS)
                    percents.append(rate(*(x for curve in curves for x in curve)).percent)
                values = np.array(percents, float)
                rows.append(
                    {
                        **{"encoder": encoder, "experiment": name, "task": task},
                        **{"seeds": len(values), "percent": mean_percent(values)},
                        **{"low": values.min(), "high": values.max()},
                    }
                )
    return pd.DataFrame(rows)


def scores_in(points: pd.DataFrame) -> dict[str, Score]:
    """Return the scores that a table of points holds, by task."""
    return {task: score for task, score in SCORES.items() if score.name in points}


def print_table(changes: pd.DataFrame, max_score_drop: float) -> Any:
    """Return the changes for print: a row per encoder and experiment."""
    from pipeline.report.tables import Table

    rows = []
    for (encoder, name), group in changes.groupby(["encoder", "experiment"], sort=False):
        cells = {"Encoder": encoder_title(str(encoder)), "Experiment": str(name)}
        for row in group.to_dict("records"):
            text = f"{signed(row['percent'], 2)} %" if np.isfinite(row["percent"]) else "n/a"
            if row["seeds"] > 1 and np.isfinite(row["percent"]):
                text += f" [{signed(row['low'], 2)}, {signed(row['high'], 2)}]"
            cells[SCORES[row["task"]].label] = text
        rows.append(cells)
    caption = (
        "Change of bits at equal score against the benchmark, on the hull of each experiment's "
        f"points, down to {max_score_drop:g} % below the benchmark's best score; below 0 bits are "
        "saved. Means over seeds; brackets hold the least and the largest of the seeds, which is "
        "no interval. The report of each experiment says whether its number may be quoted. To pick "
        "the best here and quote it from the same images would flatter it."
    )
    return Table("family", caption, pd.DataFrame(rows), words=2)


def charts(experiments: Mapping[str, pd.DataFrame], encoder: str) -> dict[str, Any]:
    """Return task -> score over rate of the benchmark and of each experiment, means over seeds."""
    from pipeline.report.charts import described, rate_chart
    from pipeline.report.measured import RATES

    first = next(iter(experiments.values()))
    parts = [_of(first, ARMS[0]).assign(sender=ARMS[0])]
    parts += [_of(points, ARMS[1]).assign(sender=name) for name, points in experiments.items()]
    table = pd.concat(parts)
    table = table[table["encoder"] == encoder]
    titles = {name: name for name in table["sender"].unique()}
    drawn = {}
    for task, score in scores_in(first).items():
        columns = [*RATES, score.name]
        means = table.groupby(["sender", "codec"], sort=False)[columns].mean().reset_index()
        means = means.rename(columns={score.name: "value"}).assign(low=np.nan, high=np.nan)
        rows = described(means, score, titles)
        drawn[task] = rate_chart(rows, score, levels={}, senders=titles, legend=True)
    return drawn


def _of(points: pd.DataFrame, arm: str) -> pd.DataFrame:
    return points[points["arm"] == arm].reset_index(drop=True)


if __name__ == "__main__":
    run(main)
