"""Compare experiments.

    python -m commands.compare                     one line for each experiment and encoder
    python -m commands.compare NAME NAME ...       experiments that share a benchmark
    python -m commands.compare "weight 1=NAME" ... the same, with a label before the equals sign

NAME is a DVC experiment, a branch or a commit. With names it writes `reports/family/`: a figure of
score over rate, and a table as Markdown and LaTeX. It reads what git holds of each experiment,
so it needs no models. `dvc exp show` has a column for every setting and file.
"""

import io
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import dvc.api
import numpy as np
import pandas as pd
import typer
from dvc.exceptions import DvcException
from scmrepo.exceptions import SCMError

from pipeline.artifacts import ARMS, REPORT_FOLDER
from pipeline.files import write_text
from pipeline.params import Params, flat
from pipeline.report.charts import for_print, rate_charts, write_figure
from pipeline.report.colours import numbered
from pipeline.report.comparisons import HULL
from pipeline.report.names import PAPER_FAMILIES, encoder_title, family, percent, printed, signed
from pipeline.report.tables import Table, to_latex, to_markdown
from pipeline.scoring.bdrate import hull_rate
from pipeline.scoring.bootstrap import mean_percent
from pipeline.scoring.metrics import SCORES, Score
from pipeline.scoring.verdict import MARKS
from stages.settings import load, run

FAMILY = REPORT_FOLDER / "family"
NAME = 34
"""Characters of an experiment's name that are shown."""
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
        print(overview(dvc.api.exp_show(), params))
        return
    labelled = {name.partition("=")[0]: name.rpartition("=")[2] for name in names}
    if len(labelled) < len(names):
        raise FamilyError('two experiments have the same label; write "another label=NAME"')
    compare({label: points_of(name) for label, name in labelled.items()}, params)


# All experiments


def overview(rows: Sequence[Row], params: Params) -> str:
    """Return the table of all experiments; the first is the workspace."""
    scores, codec = [SCORES[task] for task in params.tasks], params.codecs[0]
    # What differs is told against the last commit, which the experiments began from.
    base = next((row for row in rows if row["rev"] != "workspace"), rows[0])
    lines = []
    for row in rows:
        name = str(row["Experiment"] or row["rev"])[:NAME]
        if row["State"] in ("Queued", "Running", "Failed"):
            name = f"{name} ({row['State'].lower()})"
        changed = [key for key in flat(params) if row.get(key) not in (None, base.get(key))]
        for encoder in params.encoders:
            of_codec = f"{codec}.{encoder}-{ARMS[1]}-"
            cells = {"experiment": name, "encoder": encoder_title(encoder)}
            cells |= {f"{x.label} bits": bits_cell(row, encoder, x) for x in scores}
            cells["BPFE"] = f"{bpfe:.3f}" if (bpfe := found(row, of_codec, ".bpfe")) else "-"
            for score in scores:
                value = found(row, of_codec, f".{score.name}")
                cells[score.label] = "-" if value is None else printed(score, value)
            cells["changed"] = ", ".join(f"{key}={row[key]}" for key in changed)
            lines.append(cells)
    words = ", ".join(f"{mark} {word}" for word, mark in MARKS.items())
    return (
        f"{pd.DataFrame(lines).to_string(index=False)}\n\n"
        "bits: change of bits at equal score, on the hull of PNG and JPEG, in per cent;\n"
        f"below 0 the rate loss saves bits. {words}.\n"
        f"The other numbers are the proposed arm's with {codec.upper()}; BPFE is bits per feature\n"
        "element. Means over seeds."
    )


def bits_cell(row: Row, encoder: str, score: Score) -> str:
    """Return the change of bits on the hull, never without the mark of its verdict."""
    of = f"{HULL}.{encoder}-", f".{score.name}"
    value, code = found(row, *of), found(row, f"verdict.{of[0]}", of[1])
    return "-" if value is None else f"{value:+.1f} {MARKS.get(code, '?')}"


def found(row: Row, start: str, end: str) -> Any:
    """Return the metric `<start><seed><end>`, or None if the experiment has none.

    There is one at most: the report gives the mean over seeds, or the only seed.
    """
    keys = (key for key in row if key.startswith(start) and key.endswith(end))
    return next((row[key] for key in keys if row[key] is not None), None)


# Experiments that share a benchmark


def points_of(name: str) -> pd.DataFrame:
    """Return the table of points that git holds of an experiment: those of the paper's coders.

    Raises FamilyError if there is no such experiment, or it has no report.
    """
    path = REPORT_FOLDER / "points.csv"
    try:
        text = dvc.api.read(path.as_posix(), repo=".", rev=name)
    except (SCMError, DvcException, OSError) as error:
        raise FamilyError(
            f"{name} has no {path}: {error}; `uv run dvc exp list` names the experiments"
        ) from error
    points = pd.read_csv(io.StringIO(text))
    return points[points["codec"].map(family).isin(PAPER_FAMILIES)]


def compare(experiments: Mapping[str, pd.DataFrame], params: Params) -> None:
    """Write and print the table of these experiments, label -> points, and draw them."""
    check(experiments)
    table = changes_table(experiments, max_score_drop=params.report.max_score_drop)
    write_text(FAMILY / "family.tex", to_latex(table))
    write_text(FAMILY / "family.md", to_markdown([table]))
    first = next(iter(experiments.values()))
    for encoder in first["encoder"].unique():
        sent = means(experiments, encoder)
        looks = numbered(sent["sender"].unique().tolist())
        drawn = rate_charts(sent, scores_in(first), looks, legend=True)
        figure = for_print(drawn, f"{encoder_title(encoder)}: score over rate")
        write_figure(figure, FAMILY / f"family-{encoder}")
    print(to_markdown([table]))
    print(f"The figures are in {FAMILY}")


def check(experiments: Mapping[str, pd.DataFrame]) -> None:
    """Raise FamilyError unless the experiments have the same benchmark models."""
    first, *others = experiments
    benchmark = _of(experiments[first], ARMS[0])
    for name in others:
        if not _of(experiments[name], ARMS[0]).equals(benchmark):
            raise FamilyError(
                f"{name} has other benchmark results than {first}; compare experiments that differ "
                "in settings of the rate term alone"
            )


def changes_table(experiments: Mapping[str, pd.DataFrame], *, max_score_drop: float) -> Table:
    """Return the change of bits at equal score of each experiment, on the hull of its points."""
    rows = []
    for name, points in experiments.items():
        for encoder, of_encoder in points.groupby("encoder", sort=False):
            cells = {"Encoder": encoder_title(str(encoder)), "Experiment": name}
            for score in scores_in(points).values():
                rate = partial(hull_rate, averaged=score.averaged, max_score_drop=max_score_drop)
                found = []
                for _, of_seed in of_encoder.groupby("seed", sort=False):
                    curves = (
                        _of(of_seed, arm)[["bpfe", score.name]].to_numpy().T for arm in ARMS[:2]
                    )
                    found.append(rate(*(x for curve in curves for x in curve)).percent)
                percents = np.array(found, float)
                cells[score.label] = percent(mean_percent(percents))
                if len(percents) > 1 and np.isfinite(percents).all():
                    ends = signed(percents.min(), 2), signed(percents.max(), 2)
                    cells[score.label] += f" [{', '.join(ends)}]"
            rows.append(cells)
    caption = (
        "Change of bits at equal score against the benchmark, on the hull of each experiment's "
        f"points, down to {max_score_drop:g} % below the benchmark's best score; below 0 bits are "
        "saved. Means over seeds; brackets hold the least and the largest of the seeds, which is "
        "no interval. The report of each experiment says whether its number may be quoted. To pick "
        "the best here and quote it from the same images would flatter it."
    )
    return Table("family", caption, pd.DataFrame(rows), words=2)


def means(experiments: Mapping[str, pd.DataFrame], encoder: str) -> pd.DataFrame:
    """Return means over seeds of the benchmark and of each experiment, as charts take them."""
    parts = [_of(next(iter(experiments.values())), ARMS[0]).assign(sender=ARMS[0])]
    parts += [_of(points, ARMS[1]).assign(sender=name) for name, points in experiments.items()]
    table = pd.concat(parts)
    of_encoder = table[table["encoder"] == encoder].drop(columns="seed")
    by_point = of_encoder.groupby(["sender", "codec"], sort=False)
    return by_point.mean(numeric_only=True).reset_index()


def scores_in(points: pd.DataFrame) -> dict[str, Score]:
    """Return the scores that a table of points holds, by task."""
    return {task: score for task, score in SCORES.items() if score.name in points}


def _of(points: pd.DataFrame, arm: str) -> pd.DataFrame:
    return points[points["arm"] == arm].reset_index(drop=True)


if __name__ == "__main__":
    run(main)
