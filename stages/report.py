"""Compare the arms: BD-rates, the tables, the figures and the page."""

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.arms import ARMS
from pipeline.artifacts import (
    REPORT_FOLDER,
    STREETS_FOLDER,
    ModelName,
    evaluation_folder,
    features_file,
    model_folder,
    prepared_folder,
    read_evaluation,
    read_examples,
    read_json,
    read_rate_loss,
    read_streams,
    streams_file,
)
from pipeline.coding.bitstream import decode_levels
from pipeline.coding.tiling import tile
from pipeline.data.frames import Frames, open_frames
from pipeline.files import write_csv, write_json, write_text
from pipeline.params import Params, flat
from pipeline.report.charts.book import describe
from pipeline.report.found.findings import Findings, find
from pipeline.report.found.models import Measured
from pipeline.report.found.table import FIGURES, headline_rates, headline_scores, to_metrics
from pipeline.report.looks import Looks, Tile
from pipeline.report.page.render import RunLink, Shown, render
from pipeline.report.paper import style
from pipeline.report.paper.drawing import draw_all
from pipeline.report.tables.grid import to_latex, to_markdown
from pipeline.report.text.names import codec_title, encoder_title
from pipeline.report.text.verdict import at_equal_score
from pipeline.scoring.coded import Coded
from pipeline.scoring.metrics import SCORES
from pipeline.tracking import start as tracking
from pipeline.tracking.views import SavedView, column, curves_view, table_view
from stages.settings import load, run

LOCAL_SERVER = "http://127.0.0.1:5000"
SERVE = "uv run mlflow ui --backend-store-uri"
LIBRARIES = ("numpy", "pandas", "scipy", "bjontegaard", "pillow", "matplotlib", "plotly", "dvc")


def main() -> None:
    """Compare the arms of every encoder and seed."""
    params = load()
    names = [ModelName(e, a, s) for e in params.encoders for s in params.seeds for a in ARMS]
    runs = run_ids(names)
    with tracking.start(
        enabled=params.tracking.enabled,
        experiment=params.tracking.experiment,
        name="report",
        params={"encoders": params.encoders, "seeds": params.seeds, "codecs": params.codecs},
        tags={"stage": "report"}
        | {f"run.{name}": id for name in names if (id := runs[f"evaluate {name}"])},
    ) as tracked:
        views = saved_views(params)
        for view in views:
            tracked.view(view)
        links = view_links(views, tracked.experiment_id)
        findings = report(params, names, runs | {"report": tracked.id}, links)
        metrics = to_metrics(findings.trust)
        write_json(REPORT_FOLDER / "bd_rate.json", headline_rates(metrics))
        scores = headline_scores(findings.points, params.codecs[0], SCORES)
        write_json(REPORT_FOLDER / "scores.json", scores)
        for figure, models in metrics.items():
            for model, by_score in models.items():
                known = {s: x for s, x in by_score.items() if x is not None}
                tracked.log({f"{figure}/{model}/{s}": x for s, x in known.items()})
        # Beside the scores of the proposed arm, so that a row of the runs table holds both.
        for name in names:
            evaluated, values = runs[f"evaluate {name}"], bd_rates(metrics, name)
            if name.arm == ARMS[1] and evaluated and values:
                tracked.log_to(evaluated, values)
        for kept in ("index.html", "tables/table.md", "tables/bd_rate.csv"):
            tracked.file(REPORT_FOLDER / kept)
        for path in sorted((REPORT_FOLDER / "figures").glob("*.png")):
            tracked.file(path, "figures")
        tracked.table(findings.points, "points")
        write_json(REPORT_FOLDER / "run.json", {"run_id": tracked.id})
    for encoder in params.encoders:
        print(at_equal_score(findings.trust, findings.scores, encoder))
    print(f"More in {REPORT_FOLDER / 'index.html'} and {REPORT_FOLDER / 'tables' / 'table.md'}")
    if links:
        command = server()[1]
        print(f"In MLflow{f', once `{command}` is running' if command else ''}:")
    for title, url in links.items():
        print(f"  {title}: {url}")


def report(
    params: Params,
    names: Sequence[ModelName],
    runs: Mapping[str, str | None],
    views: Mapping[str, str],
) -> Findings:
    """Find out, and write the tables, the figures and the page, with links to MLflow's views."""
    frames = open_frames(prepared_folder("val"))
    findings = find(
        [measured(name, params.codecs, frames) for name in names],
        {task: SCORES[task] for task in params.tasks},
        method=params.report.bd_method,
        resamples=params.report.resamples,
        level=params.report.level,
        joint_loss=params.report.joint_loss,
    )
    write_tables(findings)
    first = [name for name in names if name.seed == params.seeds[0]]
    seen = {e: looks([n for n in first if n.encoder == e], params.codecs) for e in params.encoders}
    toy = Path(params.data.root) == STREETS_FOLDER
    charts = describe(
        findings,
        {encoder: of.histories for encoder, of in seen.items()},
        toy=toy,
        joint_loss=params.report.joint_loss,
    )
    folder = REPORT_FOLDER / "figures"
    drawn = {
        stem: style.save(figure, folder / stem)[0]
        for stem, figure in draw_all(findings, charts, seen).items()
    }
    links, command = run_links(runs)
    page = Shown(
        facts=facts(params, frames),
        toy=toy,
        looks=seen,
        stills={stem: path.read_bytes() for stem, path in drawn.items()},
        settings={k: v for k, v in flat(params).items() if not k.startswith("tracking.")},
        versions=versions(names[0]),
        runs=links,
        views=views,
        mlflow=command,
        joint_loss=params.report.joint_loss,
    )
    write_text(REPORT_FOLDER / "index.html", render(findings, charts, page))
    return findings


def measured(name: ModelName, codecs: Sequence[str], frames: Frames) -> Measured:
    """What the stages before have left of one model."""
    found = read_evaluation(evaluation_folder(name) / "sums.safetensors")
    payload = found.payload_bytes
    return Measured(
        **name._asdict(),
        elements=found.elements,
        pixels=frames.label_NHW[0].size,
        codecs={
            codec: Coded(found.header_bytes[codec], payload[codec], sums)
            for codec, sums in ((codec, found.sums[codec]) for codec in codecs)
        },
        uncompressed=found.uncompressed,
        pictures={
            quality: Coded(
                np.zeros_like(found.picture_bytes[quality]), found.picture_bytes[quality], sums
            )
            for quality, sums in found.picture_sums.items()
        },
        rate_loss_N=read_rate_loss(features_file(name)),
    )


def write_tables(findings: Findings) -> None:
    """As CSV, Markdown and LaTeX."""
    folder = REPORT_FOLDER / "tables"
    write_csv(REPORT_FOLDER / "points.csv", findings.points)
    for name, table in findings.tables.items():
        write_csv(folder / f"{name}.csv", table)
    for grid in findings.grids:
        write_text(folder / f"{grid.key}.tex", to_latex(grid))
    write_text(folder / "table.md", to_markdown(findings.grids))


def looks(names: Sequence[ModelName], codecs: Sequence[str]) -> Looks:
    """What there is to see of the two arms of one encoder."""
    return Looks(
        histories={n.arm: pd.read_csv(model_folder(n) / "history.csv") for n in names},
        tiles={n.arm: first_tile(n, codecs) for n in names},
        examples={
            n.arm: read_examples(evaluation_folder(n) / "examples.safetensors") for n in names
        },
    )


def first_tile(name: ModelName, codecs: Sequence[str]) -> Tile:
    """The first frame's features as the codecs see them, with what each makes of them."""
    streams = {codec: read_streams(streams_file(name, codec))[0][0] for codec in codecs}
    ends = dict.fromkeys([codecs[0], codecs[-1]])
    sizes = ", ".join(f"{len(streams[x]):,} bytes as {codec_title(x)}" for x in ends)
    levels = decode_levels(streams[codecs[0]]).levels_Chw
    return Tile(f"{name.arm}: {sizes}", tile(levels))


def facts(params: Params, frames: Frames) -> dict[str, str]:
    """What a reader must know before any number."""
    data, train = params.data, params.train
    trained = len(open_frames(prepared_folder("train")).names)
    name = "built-in streets" if Path(data.root) == STREETS_FOLDER else Path(data.root).name
    return {
        "Data": f"{name}, {data.width} × {data.height}",
        "Frames": f"{trained:,} to train on, {len(frames.names):,} to test on",
        "Training": f"{train.epochs} epoch{'s' * (train.epochs != 1)} of batch {train.batch}",
        "Encoder weights": "from scratch"
        if params.model.weights == "none"
        else params.model.weights,
        "Seeds": ", ".join(map(str, params.seeds)),
        "Quantiser": f"{params.quantizer.bits} bits",
    }


def versions(name: ModelName) -> dict[str, str]:
    """Of the code and the libraries, those of the training as its model noted them."""
    tags = tracking.lineage()
    commit = tags.get("mlflow.source.git.commit", "none")
    found = {"git commit": commit + (", changed" if tags.get("git.dirty") == "true" else "")}
    if "dvc.experiment" in tags:
        found["DVC experiment"] = tags["dvc.experiment"]
    found |= read_json(model_folder(name) / "model.json")["versions"]
    return found | {library: version(library) for library in LIBRARIES}


def run_ids(names: Sequence[ModelName]) -> dict[str, str | None]:
    """MLflow ids of every model's training and evaluation, by what they are."""
    found: dict[str, str | None] = {}
    for name in names:
        for kind, folder in (("train", model_folder(name)), ("evaluate", evaluation_folder(name))):
            found[f"{kind} {name}"] = read_json(folder / "run.json")["run_id"]
    return found


def bd_rates(metrics: Mapping[str, Mapping[str, Any]], name: ModelName) -> dict[str, float]:
    """BD-rates in per cent of one model against its benchmark, as the tables print them."""
    return {
        f"{figure}/{score}": round(percent, 2)
        for figure, models in metrics.items()
        for score, percent in models[f"{name.encoder}-{name.seed}"].items()
        if percent is not None
    }


def saved_views(params: Params) -> list[SavedView]:
    """What someone wants to see first in MLflow: the table of all models, an encoder's curves."""
    scores = [SCORES[task] for task in params.tasks]
    figures = [f"{figure}/{score.name}" for figure in FIGURES for score in scores]
    columns = {
        column("params", "encoder"): 85,
        column("params", "arm"): 95,
        column("params", "seed"): 60,
        column("params", "scale"): 80,
        column("attributes", "Dataset"): 125,
        **{column("metrics", name): 75 for name in ("bpfe", *(x.name for x in scores))},
        **{column("metrics", name): 160 for name in figures},
        column("tags", "dvc.experiment"): 150,
    }
    runs, order = "tags.stage = 'evaluate'", column("params", "arm")
    table = table_view(
        "scores",
        "Rates, scores and BD-rates",
        runs=runs,
        order=column("params", "encoder"),
        columns=columns,
    )
    curves = [
        curves_view(
            f"curves-{encoder}",
            f"{encoder_title(encoder)}, scores over rate",
            runs=f"{runs} and params.encoder = '{encoder}'",
            order=order,
            x="bpfe",
            metrics=[score.name for score in scores],
        )
        for encoder in params.encoders
    ]
    return [table, *curves]


def server() -> tuple[str, str]:
    """Where MLflow is looked at, and the command that serves it there if no server does."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if uri and uri.startswith(("http:", "https:")):
        return uri.rstrip("/"), ""
    # By its name, since it may hold a password.
    return LOCAL_SERVER, f"{SERVE} {'$MLFLOW_TRACKING_URI' if uri else 'sqlite:///mlflow.db'}"


def view_links(views: Sequence[SavedView], experiment_id: str | None) -> dict[str, str]:
    """Where MLflow shows each view, by its name; none if nothing is tracked."""
    return {view.name: view.url(server()[0], experiment_id) for view in views if experiment_id}


def run_links(runs: Mapping[str, str | None]) -> tuple[list[RunLink], str]:
    """Where to look the runs up, and the command that serves them if no server does."""
    base, command = server()
    links = [RunLink(name, id, f"{base}/#/runs/{id}") for name, id in runs.items() if id]
    return links, command


if __name__ == "__main__":
    run(main)
