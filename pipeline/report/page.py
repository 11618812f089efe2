"""One self-contained page of everything: it opens offline and asks the network for nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import vl_convert
from markupsafe import Markup

from pipeline.artifacts import Examples
from pipeline.report.charts import charts_of, delay_chart, for_page, training_charts
from pipeline.report.colours import styles
from pipeline.report.measured import RATES
from pipeline.report.names import encoder_title
from pipeline.report.pictures import viewer
from pipeline.report.results import Results
from pipeline.report.summary import break_even, reconstruction, what_to_send
from pipeline.report.tables import as_html, classes_html, print_tables, runs_table, to_html

TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Shown:
    """What a page shows beside the results."""

    facts: Mapping[str, str]
    """What a reader must know before any number: data, frames, training."""
    toy: bool
    """Whether the data are the built-in streets, whose numbers are of no use in a paper."""
    examples: Mapping[str, Mapping[str, Examples]]
    """encoder -> arm -> pictures, of the first seed."""
    histories: Mapping[str, Mapping[str, pd.DataFrame]]
    """encoder -> arm -> its training, of the first seed."""
    digests: Mapping[str, tuple[str, str]]
    """model -> digest of its weights and of its sums: the tag `artifact` of its MLflow runs."""
    settings: Mapping[str, object]


def render(results: Results, shown: Shown) -> str:
    """Return the page as HTML; the same for the same arguments, to the byte."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    prose = {"prose": lambda text: Markup(as_html(text))}
    environment.filters |= {"setting": setting, "json": _json, **prose}
    tables = print_tables(results)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        results=results,
        shown=shown,
        encoders=[_encoder(results, shown, encoder) for encoder in results.encoders],
        tables={key: (table.caption, Markup(to_html(table))) for key, table in tables.items()},
        runs=Markup(to_html(runs_table(shown.digests))),
        legend=styles(results.answer),
        rates=RATES,
        machine=", ".join(dict.fromkeys(x["processor"] for x in results.times.values())),
        bundle=Markup(vl_convert.javascript_bundle()),  # type: ignore[call-arg]
    )


def _encoder(results: Results, shown: Shown, encoder: str) -> dict[str, Any]:
    """Return what the page says of one encoder."""
    of_encoder = results.points[results.points["encoder"] == encoder]
    means = of_encoder.groupby(["arm", "codec"])["kilobytes"].mean()
    delay = delay_chart(results, encoder)
    return {
        "title": encoder_title(encoder),
        "found": what_to_send(results, encoder),
        "reconstruction": reconstruction(results, encoder),
        "charts": {
            results.scores[task].title: for_page(chart)
            for task, chart in charts_of(results, encoder).items()
        },
        "delay": for_page(delay) if delay else None,
        "break_even": break_even(results, encoder),
        "viewer": viewer(shown.examples[encoder], means),
        "classes": {what: Markup(table) for what, table in classes_html(results, encoder).items()},
        "training": {
            title: for_page(chart)
            for title, chart in training_charts(shown.histories[encoder]).items()
        },
    }


def _json(value: object) -> Markup:
    """Return JSON that may stand in a script element."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def setting(value: object) -> str:
    """Return a value as params.yaml has it, lists without their brackets."""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
