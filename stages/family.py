"""Draw experiments that differ in the rate term as curves of one figure: a family.

    python -m stages.family NAME NAME ...
    python -m stages.family "weight 1=NAME" "weight 3=NAME" ...

NAME is a DVC experiment, a branch or a commit; what stands before the equals sign is its label.
Writes `reports/family/`: the figure, and a table as Markdown, LaTeX and CSV. It reads what git
holds of each experiment, so it needs no models.
"""

import io
from typing import Annotated

import dvc.api
import pandas as pd
import typer
from dvc.exceptions import DvcException
from scmrepo.exceptions import SCMError

from pipeline.artifacts import FAMILY_FOLDER, POINTS_FILE
from pipeline.files import write_csv, write_text
from pipeline.report.charts.family import family_chart
from pipeline.report.found.family import FamilyError, family, family_table
from pipeline.report.paper.draw import draw
from pipeline.report.paper.style import save
from pipeline.report.tables.family import family_grid
from pipeline.report.tables.grid import to_latex, to_markdown
from pipeline.scoring.metrics import SCORES
from stages.settings import load, run


def main(names: Annotated[list[str], typer.Argument(help="DVC experiments.")]) -> None:
    """Compare experiments that have the same benchmark."""
    # Without an equals sign the label is the name.
    labelled = {name.partition("=")[0]: name.rpartition("=")[2] for name in names}
    if len(labelled) < len(names):
        raise FamilyError('two experiments have the same label; write "another label=NAME"')
    hull_loss = load().report.hull_loss
    found = family({label: points_of(name) for label, name in labelled.items()}, SCORES)
    table = family_table(found, hull_loss=hull_loss)
    grid = family_grid(table, found.scores, hull_loss=hull_loss)
    write_csv(FAMILY_FOLDER / "family.csv", table)
    write_text(FAMILY_FOLDER / "family.tex", to_latex(grid))
    write_text(FAMILY_FOLDER / "family.md", to_markdown([grid]))
    save(draw(family_chart(found)), FAMILY_FOLDER / "family")
    print(to_markdown([grid]))
    print(f"The figure is {FAMILY_FOLDER / 'family.png'}")


def points_of(name: str) -> pd.DataFrame:
    """Return the table of points that git holds of an experiment.

    Raises FamilyError if there is no such experiment, or it has no report.
    """
    try:
        text = dvc.api.read(POINTS_FILE.as_posix(), repo=".", rev=name)
    except (SCMError, DvcException, OSError) as error:
        raise FamilyError(
            f"{name} has no {POINTS_FILE}: {error}; `uv run dvc exp list` names the experiments"
        ) from error
    return pd.read_csv(io.StringIO(text))


if __name__ == "__main__":
    run(main)
