"""One self-contained page of everything: it opens offline and asks the network for nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from pipeline.report.charts.book import Charts
from pipeline.report.charts.rates import RATES
from pipeline.report.found.findings import Findings
from pipeline.report.looks import Looks
from pipeline.report.page.images import Viewer, png_uri, still_uri, stretched, viewer
from pipeline.report.page.inks import swatch, variables
from pipeline.report.page.plot import Plot, plots
from pipeline.report.tables.grid import PLAIN
from pipeline.report.tables.heat import heat_tables
from pipeline.report.text.names import codec_title, encoder_title, signed
from pipeline.report.text.verdict import at_equal_score, at_first_codec

FOLDER = Path(__file__).parent / "template"


@dataclass(frozen=True)
class RunLink:
    """A run in MLflow."""

    name: str
    id: str
    url: str


@dataclass(frozen=True)
class Shown:
    """What a page shows beside the findings and their charts."""

    facts: Mapping[str, str]
    """Data, scale: what a reader must know before any number."""
    toy: bool
    """Whether the data are the built-in streets, whose numbers are of no use in a paper."""
    looks: Mapping[str, Looks]
    """By encoder."""
    stills: Mapping[str, bytes]
    """PNG files by the name of the figure: for print, and where no script runs."""
    settings: Mapping[str, object]
    versions: Mapping[str, str]
    runs: Sequence[RunLink]
    views: Mapping[str, str]
    """Of all runs together, in MLflow: the name of the view -> its address."""
    mlflow: str
    """The command that serves the runs; empty for a server that is up anyway."""
    joint_loss: float
    """Per cent of its score that no task may lose in the joint view."""


def render(findings: Findings, charts: Charts, shown: Shown) -> str:
    """Return the page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"cell": cell, "setting": setting, "swatch": swatch}
    encoders = list(dict.fromkeys(model.encoder for model in findings.models))
    return environment.get_template("page.html").render(
        shown=shown,
        encoders={name: encoder_title(name) for name in encoders},
        verdicts=[
            (
                encoder_title(name),
                at_equal_score(findings.trust, findings.scores, name),
                at_first_codec(
                    findings.bounds[findings.bounds["encoder"] == name], findings.scores
                ),
            )
            for name in encoders
            if len(findings.bounds)
        ],
        grids={grid.key: (i, grid) for i, grid in enumerate(findings.grids, start=1)},
        **_drawn(charts, shown, encoders),
        viewers={name: _viewer(findings, name, seen) for name, seen in shown.looks.items()},
        heat=heat_tables(findings.iou),
        signed=signed,
        style=variables() + Markup(_text("page.css")),
        script=Markup(_text("page.js")),
        plotly=Markup(get_plotlyjs()),
    )


def cell(text: str) -> Markup:
    """Return a table's cell: minus signs for hyphens before numbers, note numbers raised."""
    escaped = str(Markup.escape(text))
    escaped = re.sub(r"(?<![\w.-])-(?=[\d.])", "\N{MINUS SIGN}", escaped)
    # Codec names must not be broken at the end of a line.
    escaped = re.sub(r"(?<=[A-Za-z])-(?=\d)", "\N{NON-BREAKING HYPHEN}", escaped)
    marks = "[⁰¹²³⁴⁵⁶⁷⁸⁹]+"
    escaped = re.sub(f" (?={marks})", "\N{NO-BREAK SPACE}", escaped)
    raised = re.sub(marks, lambda x: f"<sup>{x.group().translate(PLAIN)}</sup>", escaped)
    return Markup(raised)


def setting(value: object) -> str:
    """Return a value as params.yaml has it, lists without their brackets."""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _drawn(charts: Charts, shown: Shown, encoders: Sequence[str]) -> dict[str, Any]:
    """Return the charts, their switches and the figures that stand for them on paper."""
    of_encoder: dict[str, list[Plot]] = {}
    for plot in plots(charts.rate_accuracy):
        of_encoder.setdefault(plot.group, []).append(plot)
    stills = {"rate-accuracy", "rate-accuracy-picture", "joint", "rate-loss"}
    stills |= {f"training-{name}" for name in encoders}
    return {
        "charts": charts,
        "rates": RATES,
        "codecs": {codec: codec_title(codec) for codec in charts.rate_loss},
        "rate_plots": of_encoder,
        "joint_plots": plots(charts.joint),
        "rate_loss_plots": plots(charts.rate_loss),
        "training_plots": {name: plots({"": chart}) for name, chart in charts.training.items()},
        "tiles": {
            name: [
                (tile.caption, png_uri(stretched(tile.levels_HW)), tile.levels_HW.shape)
                for tile in seen.tiles.values()
            ]
            for name, seen in shown.looks.items()
        },
        "stills": {name: still_uri(data) for name, data in shown.stills.items() if name in stills},
    }


def _viewer(findings: Findings, encoder: str, looks: Looks) -> Viewer:
    sizes = {
        model.arm: {codec: at.bytes_N for codec, at in model.codecs.items()}
        for model in findings.first_seed
        if model.encoder == encoder
    }
    return viewer(looks.examples, sizes, tasks=list(findings.scores))


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
