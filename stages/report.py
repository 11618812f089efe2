"""Compare the arms: tables, figures, the page, and the numbers that experiments compare."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.artifacts import (
    ARMS,
    FACTS,
    REPORT_FOLDER,
    STREETS_FOLDER,
    Evaluation,
    ModelName,
    diagnostics_file,
    digest,
    evaluation_folder,
    read_diagnostics,
    read_evaluation,
    read_examples,
    read_history,
    read_json,
    sums_file,
    times_file,
)
from pipeline.coding.forms import RateForm
from pipeline.files import whole_file, write_csv, write_json, write_text
from pipeline.params import Params, flat
from pipeline.report.charts import figures, write_figure
from pipeline.report.comparisons import CUBIC, HULL
from pipeline.report.measured import Model
from pipeline.report.names import encoder_title
from pipeline.report.page import Shown, render
from pipeline.report.pictures import predictions_figure, tiles_figure
from pipeline.report.results import Results, analyse, headline_scores, nested
from pipeline.report.summary import in_short
from pipeline.report.tables import print_tables, to_latex, to_markdown
from pipeline.scoring.metrics import SCORES
from pipeline.tracking import api as tracking
from pipeline.workspace import main_root
from stages.settings import load, models, run

POINTS = REPORT_FOLDER / "points.csv"
PAGE = REPORT_FOLDER / "index.html"
TABLES, FIGURES = REPORT_FOLDER / "tables", REPORT_FOLDER / "figures"
Digests = Mapping[ModelName, tuple[str, str]]
"""Model -> digests of its weights and of its sums, by which MLflow's runs are found."""
UNSHOWN = ("machine", "tracking")
"""Sections that change no result, and so must not change the page."""


def main() -> None:
    """Compare, track and say in short what was found."""
    params = load()
    names = models(params)
    digests = {
        n: (read_json(evaluation_folder(n) / FACTS)["weights"], digest(sums_file(n))) for n in names
    }
    settings = {k: v for k, v in flat(params).items() if not k.startswith("tracking.")}
    views = saved_views(params)
    with tracking.start(
        enabled=params.tracking.enabled,
        experiment=params.tracking.experiment,
        name="report",
        params=settings,
        tags={"stage": "report"},
    ) as tracked:
        results = compare(names, params)
        write_tables(results)
        write_pictures(results, digests, params)
        track(results, digests, params, tracked)
        for view in views:
            tracked.view(view)
        links = tracking.view_links(views, tracked.experiment_id)
    print(in_short(results))
    print(f"The page is {PAGE}; tables are in {TABLES}, figures in {FIGURES}")
    if links:
        command = tracking.server().command
        print(f"In MLflow{f', once `{command}` is running' if command else ''}:")
    for title, url in links.items():
        print(f"  {title}: {url}")


def compare(names: Sequence[ModelName], params: Params) -> Results:
    """Return the results of these models, whose evaluations are read one after the other."""
    form = RateForm(params.loss.rate_unit, params.loss.prediction, params.loss.transform)
    return analyse(
        read_models(names),
        rate_form=str(form),
        bd_points=params.report.bd_points,
        max_score_drop=params.report.max_score_drop,
        max_task_drops=params.report.max_task_drops,
        resamples=params.report.resamples,
        confidence=params.report.confidence,
        times=read_times(names),
    )


def read_models(names: Sequence[ModelName]) -> Iterator[Model]:
    """Yield what the stages before have left of each model."""
    for name in names:
        path = diagnostics_file(name)
        diagnostics = read_diagnostics(path) if path.is_file() else None
        yield Model(name, read_evaluation(name), diagnostics)


def read_times(names: Sequence[ModelName]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return how long a frame takes, for each encoder and arm that was measured."""
    of = {(name.encoder, name.arm): times_file(name.encoder, name.arm) for name in names}
    return {key: read_json(path) for key, path in of.items() if path.is_file()}


def write_tables(results: Results) -> None:
    """Write the tables as CSV, Markdown and LaTeX, and the numbers that experiments compare."""
    write_csv(POINTS, results.points)
    numbers = nested(results.final, "percent")
    verdicts = {"verdict": nested(results.final, "verdict")}
    write_json(REPORT_FOLDER / "bd_rate.json", {**numbers, **verdicts})
    write_json(REPORT_FOLDER / "scores.json", headline_scores(results))
    for name, table in results.files.items():
        write_csv(TABLES / f"{name}.csv", table)
    tables = print_tables(results)
    for key, printed in tables.items():
        write_text(TABLES / f"{key}.tex", to_latex(printed))
    write_text(TABLES / "table.md", to_markdown(list(tables.values())))


def write_pictures(results: Results, digests: Digests, params: Params) -> None:
    """Write the figures and the page; pictures and training curves are of the first seed."""
    shown = [n for n in digests if n.seed == params.seeds[0] and n.arm in results.arms]
    examples = {
        e: {n.arm: read_examples(n) for n in shown if n.encoder == e} for e in params.encoders
    }
    histories = {
        e: {n.arm: read_history(n) for n in shown if n.encoder == e} for e in params.encoders
    }
    for encoder in params.encoders:
        for stem, figure in figures(results, encoder).items():
            write_figure(figure, FIGURES / stem)
        images = {f"tiles-{encoder}": tiles_figure(examples[encoder])}
        for arm, of_arm in examples[encoder].items():
            images[f"predictions-{encoder}-{arm}"] = predictions_figure(of_arm)
        for stem, image in images.items():
            with whole_file(FIGURES / f"{stem}.png") as part:
                image.save(part, "PNG")
    page = Shown(
        facts=facts(results, read_evaluation(shown[0]), params),
        toy=Path(params.data.root) == STREETS_FOLDER,
        examples=examples,
        histories=histories,
        digests={str(name): of_files for name, of_files in digests.items()},
        settings={k: v for k, v in flat(params).items() if k.split(".")[0] not in UNSHOWN},
    )
    write_text(PAGE, render(results, page))


def facts(results: Results, evaluation: Evaluation, params: Params) -> dict[str, str]:
    """Return what a reader must know before any number."""
    toy = Path(params.data.root) == STREETS_FOLDER
    name = "built-in streets" if toy else Path(params.data.root).name
    weights = {"none": "from scratch", "imagenet": "ImageNet", "file": Path(params.model.file).name}
    of = " of the tuning cities" if params.data.tuning else ""
    found = {
        "Data": f"{name}, {params.data.width} × {params.data.height}",
        "Frames": f"{evaluation.trained:,} to train on, {results.images:,}{of} to test on",
        "Training": f"epochs: {params.train.epochs}, batch: {params.train.batch}",
        "Encoders": ", ".join(map(encoder_title, params.encoders)),
        "Encoder weights": weights[params.model.weights],
        "Seeds": ", ".join(map(str, params.seeds)),
        "Quantiser": f"{params.quantizer.bits} bits",
        "Coded by": ", ".join(sorted(set(evaluation.coders.values()))),
    }
    if "miou_classes" in results.points:
        found["mIoU"] = f"mean over {results.points['miou_classes'].iloc[0]} classes"
    return found


def saved_views(params: Params) -> list[tracking.SavedView]:
    """Return what MLflow's page of the experiment offers under *Views*."""
    scores = [SCORES[task].name for task in params.tasks]
    return tracking.experiment_views(
        {encoder: encoder_title(encoder) for encoder in params.encoders},
        scores=scores,
        rates=[f"{kind}/{score}" for kind in (HULL, CUBIC) for score in scores],
    )


def track(
    results: Results,
    digests: Digests,
    params: Params,
    tracked: "tracking.Run | tracking.NullRun",
) -> None:
    """Log BD-rates with their verdicts, tables and figures; name the first seed's models.

    The BD-rates of a model are logged to its evaluation too, so that a row of MLflow's table of
    runs shows them beside the scores.
    """
    trained = {n: tracked.find("train", str(n), weights) for n, (weights, _) in digests.items()}
    evaluated = {n: tracked.find("evaluate", str(n), sums) for n, (_, sums) in digests.items()}
    records = results.bd_rate.to_dict("records")
    for x in records:
        x |= {"model": f"{x['encoder']}-{x['seed']}", "arm": results.senders[x["test"]].arm}
    tracked.log({f"{x['kind']}/{x['model']}/{x['score']}": x["percent"] for x in records})
    for name, run_id in evaluated.items():
        if name.arm != ARMS[0] and run_id:
            key = f"{name.encoder}-{name.seed}", name.arm
            of_model = [x for x in records if (x["model"], x["arm"]) == key]
            at = {f"{x['kind']}/{x['score']}": x for x in of_model}
            rates = {key: round(x["percent"], 2) for key, x in at.items()}
            said = {f"verdict.{key.replace('/', '.')}": x["verdict"] for key, x in at.items()}
            tracked.log_to(run_id, rates, said)
    for path in (PAGE, TABLES / "table.md", TABLES / "bd_rate.csv"):
        tracked.file(path)
    for path in sorted(FIGURES.glob("*.png")):
        tracked.file(path, FIGURES.name)
    tracked.table(results.points, "points")
    tracked.made(digest(POINTS))
    # A queued or temporary experiment is not the result until it is applied.
    if main_root() == Path.cwd().resolve():
        for name, run_id in trained.items():
            if run_id and name.seed == params.seeds[0]:
                registered = tracking.registered_name(params.tracking.experiment, name.encoder)
                tracked.alias(registered, name.arm, run_id)
    lost = [f"train {n}" for n, x in trained.items() if not x]
    lost += [f"evaluate {n}" for n, x in evaluated.items() if not x]
    if params.tracking.enabled and lost:
        print(f"not in MLflow: {', '.join(lost)}")


if __name__ == "__main__":
    run(main)
