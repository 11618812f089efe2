"""Tables as Markdown and LaTeX."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.report.found.findings import find
from pipeline.report.tables.grid import Footnotes, Grid, latex, to_latex, to_markdown

from pipeline.scoring.metrics import SCORES
from tests.support.report_models import KINDS, arms, model

TWO = Grid(
    "a-key",
    "Share of 5 % & more",
    ("Name", "Value"),
    (("one_two", "-1.50 % ¹"), ("JPEG-90", "n/a ²")),
    ("it is {odd}", "100 % of x~y^z\\"),
)


@pytest.fixture(scope="module")
def grids() -> tuple[Grid, ...]:
    models = [*arms(disorder=True), model("benchmark", encoder="encoder1")]
    models.append(model("proposed", encoder="encoder1", rate=1.01, noise_seed=4))
    options = {"resamples": 100, "level": 0.95, "joint_loss": 20.0}
    return find(models, SCORES, kinds=KINDS, **options).grids  # type: ignore[arg-type]


def test_markdown_by_hand() -> None:
    assert to_markdown([TWO]).splitlines() == [
        "**Table 1.** Share of 5 % & more",
        "",
        "| Name    |     Value |",
        "| ------- | --------: |",
        "| one_two | -1.50 % ¹ |",
        "| JPEG-90 |     n/a ² |",
        "",
        "¹ it is {odd}  ",
        "² 100 % of x~y^z\\  ",
    ]


def test_latex_by_hand() -> None:
    lines = to_latex(TWO).splitlines()
    assert r"\caption{Share of 5 \% \& more}" in lines
    assert r"\label{tab:a-key}" in lines
    assert r"\begin{tabular}{@{}lr@{}}" in lines
    assert r"one\_two & $-$1.50 \% \textsuperscript{1} \\" in lines
    assert r"JPEG-90 & n/a \textsuperscript{2} \\" in lines
    assert (
        r"\textsuperscript{2} 100 \% of x\textasciitilde{}y\textasciicircum{}z\textbackslash{}\\"
        in lines
    )


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_escaped_text_has_no_live_specials(text: str) -> None:
    done = latex(text)
    done = re.sub(r"\\textasciitilde\{\}|\\textasciicircum\{\}|\\textbackslash\{\}", "", done)
    done = re.sub(r"\\[%&_#${}]", "", done).replace("$-$", "")
    assert not set(done) & set("\\%&_#${}~^")


def test_every_table_of_a_report_is_sound_latex(grids: tuple[Grid, ...]) -> None:
    assert len(grids) == 9
    for grid in grids:
        text = to_latex(grid)
        assert text.isascii(), sorted({x for x in text if not x.isascii()})
        bare = text.replace("\\\\", "").replace("\\{", "").replace("\\}", "")
        assert bare.count("{") == bare.count("}")
        assert bare.replace("\\$", "").count("$") % 2 == 0
        opened, closed = (re.findall(rf"\\{x}{{(\w+)}}", text) for x in ("begin", "end"))
        assert sorted(opened) == sorted(closed)
        columns = re.search(r"\\begin\{tabular\}\{@\{\}(\w+)@\{\}\}", text)
        assert columns is not None
        body = text.split("\\toprule")[1].split("\\bottomrule")[0].splitlines()
        for line in body:
            if line.endswith("\\\\"):
                assert len(re.findall(r"(?<!\\)&", line)) == len(columns[1]) - 1


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_compiles(grids: tuple[Grid, ...], tmp_path: Path) -> None:
    head = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
    (tmp_path / "all.tex").write_text(
        head + "\n".join(map(to_latex, grids)) + "\\end{document}\n", encoding="utf-8"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_no_table_shows_a_missing_number(grids: tuple[Grid, ...]) -> None:
    cells = [cell for grid in grids for row in grid.rows for cell in row]
    assert not [cell for cell in cells if re.search(r"\b(nan|NaN|inf|None)\b", cell)]
    for grid in grids:
        marks = {mark for row in grid.rows for cell in row for mark in re.findall("[¹²³⁴⁵]", cell)}
        assert len(marks) == len(grid.notes)


def test_a_note_is_numbered_once() -> None:
    notes = Footnotes()
    assert [notes.mark(x) for x in ("a", "b", "a")] == ["¹", "²", "¹"]
    assert notes.all() == ("a", "b")
