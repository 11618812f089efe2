"""Compare the arms: BD-rates, the tables, the figures and the page."""

from collections.abc import Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Annotated

import typer

from pipeline.artifacts import ARMS
from pipeline.artifacts import (
    BD_RATE_FILE,
    DRAWINGS_FOLDER,
    PAGE_FILE,
    POINTS_FILE,
    REPORT_FOLDER,
    SCORES_FILE,
    STREETS_FOLDER,
    TABLES_FOLDER,
    ModelName,
    evaluation_folder,
    model_description,
    model_folder,
    read_run_id,
    write_run_id,
)
from pipeline.files import write_csv, write_json, write_text
from pipeline.params import Params, flat
from pipeline.report.charts.book import describe
from pipeline.report.found.findings import Findings, find
from pipeline.report.found.kinds import KINDS, kinds_of
from pipeline.report.found.table import headline_rates, headline_scores, to_metrics
from pipeline.report.page.facts import facts, versions
from pipeline.report.page.render import RunLink, Shown, render
from pipeline.report.paper.drawing import draw_all
from pipeline.report.paper.style import save
from pipeline.report.tables.grid import to_latex, to_markdown
from pipeline.report.text.names import encoder_title
from pipeline.report.text.verdict import in_short, verdicts
from pipeline.scoring.metrics import SCORES
from pipeline.tracking import face as tracking
from pipeline.workspace import main_root
from stages.gather import classes, looks, measured, weights
from stages.kept import frame_facts, lossless
from stages.leftovers import remove_leftovers
from stages.settings import load, run


def main(folder: Annotated[str, typer.Option("--from")] = ".") -> None:
    """Compare the arms of every encoder and seed; `--from` names another machine's results."""
    with chdir(folder):
        compare()


def compare() -> None:
    """Compare, track and say in short what was found."""
    params = load(trains=False)
    names = [ModelName(e, a, s) for e in params.encoders for s in params.seeds for a in ARMS]
    if left := remove_leftovers(names):
        print(f"removed what earlier settings left: {', '.join(map(str, left))}")
    evaluated = {name: read_run_id(evaluation_folder(name)) for name in names}
    runs = {f"train {name}": read_run_id(model_folder(name)) for name in names}
    runs |= {f"evaluate {name}": run_id for name, run_id in evaluated.items()}
    views = saved_views(params)
    with tracking.start(
        enabled=params.tracking.enabled,
        experiment=params.tracking.experiment,
        name="report",
        params={"encoders": params.encoders, "seeds": params.seeds, "codecs": params.codecs},
        tags={"stage": "report", **{f"run.{name}": id for name, id in evaluated.items() if id}},
    ) as tracked:
        for view in views:
            tracked.view(view)
        links = tracking.view_links(views, tracked.experiment_id)
        findings = report(params, names, runs | {"report": tracked.id}, links)
        track(findings, evaluated, tracked)
        name_models(params, runs, tracked)
        write_run_id(REPORT_FOLDER, tracked.id)
    print(in_short(findings.trust, findings.bounds, findings.scores))
    print(f"More in {PAGE_FILE} and {TABLES_FOLDER / 'table.md'}")
    if links:
        command = tracking.server().command
        print(f"In MLflow{f', once `{command}` is running' if command else ''}:")
    for title, url in links.items():
        print(f"  {title}: {url}")


def saved_views(params: Params) -> list[tracking.SavedView]:
    """Return what MLflow's page of the experiment offers under *Views*."""
    scores = [SCORES[task].name for task in params.tasks]
    return tracking.experiment_views(
        {encoder: encoder_title(encoder) for encoder in params.encoders},
        scores=scores,
        rates=[f"{kind}/{score}" for kind in KINDS for score in scores],
    )


def report(
    params: Params,
    names: Sequence[ModelName],
    runs: Mapping[str, str | None],
    views: Mapping[str, str],
) -> Findings:
    """Compare, and write the tables, the figures and the page, with links to MLflow's views.

    This function is long on purpose: the page's content is gathered in one place.
    """
    frames = frame_facts(params.tasks)
    keeping = lossless(params.codecs, params.quantizer.bits)
    findings = find(
        measured(names, params, frames.pixels),
        {task: SCORES[task] for task in params.tasks},
        kinds=kinds_of(
            params.codecs,
            fixed=params.report.bd_points,
            lossless=keeping,
            method=params.report.bd_method,
            hull_loss=params.report.hull_loss,
        ),
        resamples=params.report.resamples,
        level=params.report.level,
        joint_loss=params.report.joint_loss,
        lossless=keeping,
        trivial=frames.trivial,
    )
    write_tables(findings, first_codec=params.codecs[0])
    toy = Path(params.data.root) == STREETS_FOLDER
    first = [name for name in names if name.seed == params.seeds[0]]
    seen = {e: looks([n for n in first if n.encoder == e], params) for e in params.encoders}
    charts = describe(
        findings,
        {encoder: of.histories for encoder, of in seen.items()},
        toy=toy,
        joint_loss=params.report.joint_loss,
    )
    drawn = draw_all(findings, charts, seen)
    stills = {stem: save(figure, DRAWINGS_FOLDER / stem)[0] for stem, figure in drawn.items()}
    page = Shown(
        facts=facts(
            data="built-in streets" if toy else Path(params.data.root).name,
            size=(params.data.width, params.data.height),
            trained=frames.trained,
            tested=frames.tested,
            tuning=params.data.tuning,
            epochs=params.train.epochs,
            batch=params.train.batch,
            weights=weights(params),
            seeds=params.seeds,
            bits=params.quantizer.bits,
            classes=classes(findings),
        ),
        toy=toy,
        looks=seen,
        stills={stem: path.read_bytes() for stem, path in stills.items()},
        settings={k: v for k, v in flat(params).items() if not k.startswith("tracking.")},
        versions=versions(
            model_description(names[0])["versions"],
            {coder for model in findings.models for coder in model.coders.values()},
            tracking.lineage(),
        ),
        runs=[RunLink(k, runs[k] or "", url) for k, url in tracking.run_links(runs).items()],
        views=views,
        mlflow=tracking.server().command,
        joint_loss=params.report.joint_loss,
    )
    write_text(PAGE_FILE, render(findings, charts, page))
    return findings


def write_tables(findings: Findings, first_codec: str) -> None:
    """Write the tables as CSV, Markdown and LaTeX, and the numbers that experiments compare."""
    write_csv(POINTS_FILE, findings.points)
    rates, words = headline_rates(to_metrics(findings.trust)), verdicts(findings.trust)
    said = {kind: {x: words[kind][x] for x in models} for kind, models in rates.items()}
    write_json(BD_RATE_FILE, {**rates, "verdict": said})
    write_json(SCORES_FILE, headline_scores(findings.points, first_codec, findings.scores))
    for name, table in findings.tables.items():
        write_csv(TABLES_FOLDER / f"{name}.csv", table)
    for grid in findings.grids:
        write_text(TABLES_FOLDER / f"{grid.key}.tex", to_latex(grid))
    write_text(TABLES_FOLDER / "table.md", to_markdown(findings.grids))


def track(
    findings: Findings,
    evaluated: Mapping[ModelName, str | None],
    tracked: tracking.Run | tracking.NullRun,
) -> None:
    """Log the BD-rates, the tables and the figures to the report's run.

    The BD-rates of a model are logged to its evaluation too, so that a row of MLflow's table of
    runs shows them beside the scores.
    """
    metrics, words = to_metrics(findings.trust), verdicts(findings.trust)
    for kind, models in metrics.items():
        for model, by_score in models.items():
            known = {score: x for score, x in by_score.items() if x is not None}
            tracked.log({f"{kind}/{model}/{score}": x for score, x in known.items()})
    for name, run_id in evaluated.items():
        values = {
            f"{kind}/{score}": round(percent, 2)
            for kind, models in metrics.items()
            for score, percent in models[f"{name.encoder}-{name.seed}"].items()
            if percent is not None
        }
        if name.arm == ARMS[1] and run_id and values:
            model = f"{name.encoder}-{name.seed}"
            said = {
                f"verdict.{kind}.{score}": text
                for kind, models in words.items()
                for score, text in models[model].items()
            }
            tracked.log_to(run_id, values, tags=said)
    for path in (PAGE_FILE, TABLES_FOLDER / "table.md", TABLES_FOLDER / "bd_rate.csv"):
        tracked.file(path)
    for path in sorted(DRAWINGS_FOLDER.glob("*.png")):
        tracked.file(path, DRAWINGS_FOLDER.name)
    tracked.table(findings.points, "points")


def name_models(
    params: Params,
    runs: Mapping[str, str | None],
    tracked: tracking.Run | tracking.NullRun,
) -> None:
    """Let the registry's aliases `benchmark` and `proposed` name the first seed's models.

    Only the workspace moves them: a queued or temporary experiment is not the result until it is
    applied.
    """
    if main_root() != Path.cwd().resolve():
        return
    for encoder in params.encoders:
        registered = tracking.registered_name(params.tracking.experiment, encoder)
        for arm in ARMS:
            run_id = runs[f"train {ModelName(encoder, arm, params.seeds[0])}"]
            if run_id:
                tracked.alias(registered, arm, run_id)


if __name__ == "__main__":
    run(main)
