"""A table ready for print, and its form as Markdown and as LaTeX."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
PLAIN = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


@dataclass(frozen=True)
class Grid:
    """Cells as text; a superscript number in a cell stands for a note."""

    key: str
    """Names its file and its place in the page."""
    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    """Numbered from 1."""
    words: int = 1
    """How many of the first columns hold words, and so are aligned left."""


class Footnotes:
    """Numbers notes in the order they are first used; the same note keeps its number."""

    def __init__(self) -> None:
        self._notes: list[str] = []

    def mark(self, note: str) -> str:
        """Return the superscript number that stands for a note."""
        if note not in self._notes:
            self._notes.append(note)
        return str(self._notes.index(note) + 1).translate(SUPERSCRIPT)

    def all(self) -> tuple[str, ...]:
        return tuple(self._notes)


def to_markdown(grids: Sequence[Grid]) -> str:
    """Return the tables as one text that reads well unrendered too, numbered from 1."""
    blocks = []
    for number, grid in enumerate(grids, start=1):
        blocks += [f"**Table {number}.** {grid.title}", _markdown(grid)]
        if grid.notes:
            numbered = enumerate(grid.notes, start=1)
            blocks.append("\n".join(f"{str(i).translate(SUPERSCRIPT)} {x}  " for i, x in numbered))
    return "\n\n".join(blocks) + "\n"


def _markdown(grid: Grid) -> str:
    """Return cells padded to equal widths."""
    cells = [grid.heads, *grid.rows]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(grid.heads))]
    rule = [
        "-" * width if i < grid.words else "-" * (width - 1) + ":" for i, width in enumerate(widths)
    ]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if i < grid.words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    return "\n".join([line(grid.heads), line(rule), *(line(row) for row in grid.rows)])


def to_latex(grid: Grid) -> str:
    """Return one float for the `booktabs` package; labelled `tab:<key>`, notes below."""
    columns = "l" * grid.words + "r" * (len(grid.heads) - grid.words)
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        "\\small",
        f"\\caption{{{latex(grid.title)}}}",
        f"\\label{{tab:{grid.key}}}",
        f"\\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        "\\toprule",
        _latex_row(grid.heads),
        "\\midrule",
        *(_latex_row(row) for row in grid.rows),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    if grid.notes:
        lines += ["\\par\\smallskip", "\\begin{minipage}{\\linewidth}\\footnotesize"]
        lines += [
            f"\\textsuperscript{{{i}}} {latex(x)}\\\\" for i, x in enumerate(grid.notes, start=1)
        ]
        lines.append("\\end{minipage}")
    return "\n".join([*lines, "\\end{table}"]) + "\n"


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(latex(cell) for cell in cells) + " \\\\"


LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "%&_#${}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "–": "--",
}


def latex(text: str) -> str:
    """Return plain text for LaTeX: what is special escaped, minus signs and notes as such."""
    text = "".join(LATEX.get(character, character) for character in text)
    # A hyphen before a number that no letter or digit precedes is a minus sign.
    text = re.sub(r"(?<![\w.-])-(?=[\d.])", "$-$", text)
    return re.sub(
        "[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda x: f"\\textsuperscript{{{x.group().translate(PLAIN)}}}", text
    )
