"""One self-contained page of everything: it opens offline and asks the network for nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from pipeline.arms import ARMS
from pipeline.report.found.findings import Findings
from pipeline.report.found.joint import largest_loss
from pipeline.report.found.published import published_points
from pipeline.report.page.images import Frame, frames_at_codecs, png_uri, still_uri, stretched
from pipeline.report.page.model_charts import history_charts, rate_loss_chart
from pipeline.report.page.rate_charts import joint_chart, rate_chart
from pipeline.report.page.traces import RATES, Chart
from pipeline.report.paper.drawing import Looks
from pipeline.report.paper.pictures import legends
from pipeline.report.tables.grid import PLAIN
from pipeline.report.tables.heat import heat_tables
from pipeline.report.text.names import codec_title, encoder_title, signed
from pipeline.report.text.verdict import at_equal_codec, at_equal_score, in_two_sentences
from pipeline.scoring.examples import Legend

FOLDER = Path(__file__).parent / "template"


@dataclass(frozen=True)
class RunLink:
    """A run in MLflow."""

    name: str
    id: str
    url: str


@dataclass(frozen=True)
class Shown:
    """What a page shows beside the findings."""

    facts: Mapping[str, str]
    """Data, scale: what a reader must know before any number."""
    toy: bool
    """The built-in data set: the authors' published curves are no reference for it."""
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
    """Per cent that no task may lose in the joint view."""


def render(findings: Findings, shown: Shown) -> str:
    """The page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"cell": cell, "json": chart_json, "setting": setting}
    encoders = list(dict.fromkeys(model.encoder for model in findings.models))
    stills = {"rate-accuracy", "rate-accuracy-picture", "joint", "rate-loss"}
    stills |= {f"training-{name}" for name in encoders}
    return environment.get_template("page.html").render(
        arms=ARMS,
        shown=shown,
        encoders={name: encoder_title(name) for name in encoders},
        result=in_two_sentences(findings.trust, findings.compared, findings.scores),
        verdicts=[
            (
                at_equal_score(findings.trust, findings.scores, name),
                at_equal_codec(findings.compared, findings.uncompressed, findings.scores, name),
            )
            for name in encoders
        ],
        grids={grid.key: (i, grid) for i, grid in enumerate(findings.grids, start=1)},
        rates=RATES,
        interval=findings.level,
        uncompressed=bool(len(findings.joint)),
        rate_charts=_rate_charts(findings, encoders, shown.toy),
        joint_charts=_joint_charts(findings, encoders, shown.joint_loss),
        rate_loss_charts=_rate_loss_charts(findings, encoders),
        codecs={codec: codec_title(codec) for codec in findings.models[0].codecs},
        history_charts={
            name: history_charts(seen.histories, findings.scores)
            for name, seen in shown.looks.items()
        },
        parts=_parts(shown.looks),
        tiles={
            name: [
                (caption, png_uri(stretched(tile_HW)), tile_HW.shape)
                for caption, tile_HW in seen.tiles
            ]
            for name, seen in shown.looks.items()
        },
        examples=_examples(findings, shown),
        stills={name: still_uri(data) for name, data in shown.stills.items() if name in stills},
        legend=[(words, "rgb({},{},{})".format(*rgb)) for words, rgb in _legend(shown.looks)],
        heat=heat_tables(findings.iou),
        signed=signed,
        style=Markup(_text("page.css")),
        script=Markup(_text("page.js")),
        plotly=Markup(get_plotlyjs()),
    )


def cell(text: str) -> Markup:
    """A table's cell: minus signs for hyphens before numbers, note numbers raised."""
    escaped = str(Markup.escape(text))
    escaped = re.sub(r"(?<![\w.-])-(?=[\d.])", "\N{MINUS SIGN}", escaped)
    # Codec names must not be broken at the end of a line.
    escaped = re.sub(r"(?<=[A-Za-z])-(?=\d)", "\N{NON-BREAKING HYPHEN}", escaped)
    marks = "[⁰¹²³⁴⁵⁶⁷⁸⁹]+"
    escaped = re.sub(f" (?={marks})", "\N{NO-BREAK SPACE}", escaped)
    raised = re.sub(marks, lambda x: f"<sup>{x.group().translate(PLAIN)}</sup>", escaped)
    return Markup(raised)


def setting(value: object) -> str:
    """A value as params.yaml has it, lists without their brackets."""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def chart_json(chart: Chart) -> Markup:
    """A chart as JSON that may stand in a script element."""
    return Markup(chart.json.replace("<", "\\u003c"))


def _rate_charts(findings: Findings, encoders: Sequence[str], toy: bool) -> dict[str, list[Chart]]:
    return {
        encoder: [
            rate_chart(
                encoder,
                task,
                score,
                points=findings.points,
                uncompressed=findings.uncompressed,
                pictures=findings.pictures,
                bands=findings.bands,
                published=pd.DataFrame() if toy else published_points(),
                level=findings.level,
            )
            for task, score in findings.scores.items()
        ]
        for encoder in encoders
    }


def _joint_charts(findings: Findings, encoders: Sequence[str], loss_percent: float) -> list[Chart]:
    if findings.joint.empty:
        return []
    points = largest_loss(findings.points, findings.uncompressed, findings.scores)
    return [joint_chart(name, points=points, loss_percent=loss_percent) for name in encoders]


def _rate_loss_charts(findings: Findings, encoders: Sequence[str]) -> list[Chart]:
    if findings.rate_loss.empty:
        return []
    first = findings.first_seed
    return [rate_loss_chart(name, first, findings.rate_loss) for name in encoders]


def _examples(findings: Findings, shown: Shown) -> dict[str, list[Frame]]:
    bytes_of = {(m.encoder, m.arm): m.codecs for m in findings.first_seed}
    return {
        encoder: frames_at_codecs(
            seen.examples,
            {
                arm: {codec: at.bytes_N for codec, at in bytes_of[encoder, arm].items()}
                for arm in seen.examples
            },
        )
        for encoder, seen in shown.looks.items()
    }


def _legend(looks: Mapping[str, Looks]) -> Legend:
    """Return what the colours of any picture mean, each entry once."""
    examples = [x for seen in looks.values() for x in seen.examples.values()]
    return tuple(dict.fromkeys(entry for each in examples for entry in legends(each)))


def _parts(looks: Mapping[str, Looks]) -> list[str]:
    """Of the loss, without the total."""
    tables = [table for seen in looks.values() for table in seen.histories.values()]
    names = [str(name) for table in tables for name in table.columns]
    parts = [name.split("/")[1] for name in names if name.startswith("loss/")]
    return [part for part in dict.fromkeys(parts) if part != "total"]


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
