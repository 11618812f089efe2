"""Compare the arms: BD-rates, the tables and the figures."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import tracking
from pipeline.artifacts import (
    ARMS,
    REPORT_FOLDER,
    Evaluation,
    ModelName,
    evaluation_folder,
    model_folder,
    prepared_folder,
    read_evaluation,
    read_examples,
    read_json,
    read_streams,
    streams_file,
)
from pipeline.coding.bitstream import decode_levels
from pipeline.coding.tiling import tile
from pipeline.data.frames import Frames, disparity_px, open_frames
from pipeline.files import write_csv, write_json, write_text
from pipeline.params import Params
from pipeline.report import figures, history, pictures, style
from pipeline.report.markdown import to_markdown
from pipeline.report.pictures import View
from pipeline.report.table import bd_table, point_table, to_metrics
from pipeline.scoring.metrics import SCORES, bits_per_element
from stages.settings import load, run


def main() -> None:
    """Compare the arms of every encoder and seed."""
    params = load()
    names = [
        ModelName(encoder, arm, seed)
        for encoder in params.encoders
        for seed in params.seeds
        for arm in ARMS
    ]
    points = point_rows(names, params)
    scores = {task: SCORES[task] for task in params.tasks}
    rates = bd_table(points, scores, params.report.bd_method)
    compared = point_table(points, scores)
    write_csv(REPORT_FOLDER / "points.csv", points)
    tables = REPORT_FOLDER / "tables"
    write_csv(tables / "bd_rate.csv", rates)
    write_csv(tables / "points.csv", compared)
    text = to_markdown(rates, compared, scores)
    write_text(tables / "table.md", text)
    metrics = to_metrics(rates)
    write_json(REPORT_FOLDER / "bd_rate.json", metrics)
    saved = draw(names, points, params)
    track(params, names, metrics, [tables / "table.md", tables / "bd_rate.csv"], saved, points)
    print(text)


def point_rows(names: list[ModelName], params: Params) -> pd.DataFrame:
    """One row per model and codec: rates and scores (see `pipeline.report.table`)."""
    rows = []
    for name in names:
        evaluation = read_evaluation(evaluation_folder(name) / "sums.safetensors")
        rows += [{**name._asdict(), **point(evaluation, codec)} for codec in params.codecs]
    return pd.DataFrame(rows)


def point(evaluation: Evaluation, codec: str) -> dict[str, str | float]:
    """Rates and scores of one codec point of one model."""
    payload_N = evaluation.payload_bytes[codec]
    bytes_N = payload_N + evaluation.header_bytes[codec]
    return {
        "codec": codec,
        "bpfe": bits_per_element(bytes_N, elements=evaluation.elements),
        "bpfe_payload": bits_per_element(payload_N, elements=evaluation.elements),
        "kilobytes": float(bytes_N.mean() / 1000),
        **{SCORES[t].name: SCORES[t].compute(x) for t, x in evaluation.sums[codec].items()},
    }


def draw(names: list[ModelName], points: pd.DataFrame, params: Params) -> list[Path]:
    """All figures as PNG and SVG; returns the PNG files."""
    folder = REPORT_FOLDER / "figures"
    scores = {task: SCORES[task] for task in params.tasks}
    drawn = {"rate-accuracy": figures.rate_accuracy(points, scores)}
    frames = open_frames(prepared_folder("val"))
    for encoder in params.encoders:
        pair = [name for name in names if name.encoder == encoder and name.seed == params.seeds[0]]
        drawn[f"tiles-{encoder}"] = pictures.tile([first_tile(n, params.codecs[0]) for n in pair])
        seen = {n.arm: views(n, params) for n in pair}
        proposed = seen["proposed"][params.codecs[0]]
        truths = [truth(frames, i) for i in range(len(proposed))]
        drawn[f"predictions-{encoder}"] = pictures.predictions(
            list(zip(truths, proposed, strict=True))
        )
        drawn[f"codecs-{encoder}"] = pictures.predictions_by_codec(
            truths[0], {arm: {c: v[0] for c, v in by.items()} for arm, by in seen.items()}
        )
        drawn[f"training-{encoder}"] = history.training(
            {n.arm: pd.read_csv(model_folder(n) / "history.csv") for n in pair}, scores
        )
    return [style.save(figure, folder / stem)[0] for stem, figure in drawn.items()]


def first_tile(name: ModelName, codec: str) -> tuple[str, np.ndarray]:
    """The first frame's features as the codec sees them, with their cost."""
    stream = read_streams(streams_file(name, codec))[0][0]
    return f"{name.arm}: {len(stream):,} bytes as {codec}", tile(decode_levels(stream).levels_Chw)


def truth(frames: Frames, index: int) -> View:
    """What the predictions of one frame should be."""
    encoded = frames.disparity_NHW
    return View(
        image_HW3=frames.image_NHW3[index],
        label_HW=frames.label_NHW[index],
        disparity_HW=None if encoded is None else disparity_px(encoded[index]),
    )


def views(name: ModelName, params: Params) -> dict[str, list[View]]:
    """Predictions of the first frames by codec."""
    examples = read_examples(evaluation_folder(name) / "examples.safetensors")
    result = {}
    for codec in params.codecs:
        of = examples[codec]
        result[codec] = [
            View(
                image_HW3=of["reconstruction"][i].transpose(1, 2, 0)
                if "reconstruction" in of
                else None,
                label_HW=of["segmentation"][i] if "segmentation" in of else None,
                disparity_HW=of["disparity"][i].astype(np.float32) if "disparity" in of else None,
            )
            for i in range(len(next(iter(of.values()))))
        ]
    return result


def track(
    params: Params,
    names: list[ModelName],
    metrics: dict[str, dict[str, dict[str, float | None]]],
    files: list[Path],
    pngs: list[Path],
    points: pd.DataFrame,
) -> None:
    """One run with the BD-rates, the tables and the figures."""
    sources = {
        f"run.{name}": read_json(evaluation_folder(name) / "run.json")["run_id"] for name in names
    }
    with tracking.start(
        enabled=params.tracking.enabled,
        experiment=params.tracking.experiment,
        name="report",
        params={"encoders": params.encoders, "seeds": params.seeds, "codecs": params.codecs},
        tags={"stage": "report"} | {key: run for key, run in sources.items() if run},
    ) as tracked:
        for model, by_score in metrics["bd_rate"].items():
            tracked.log({f"bd_rate/{model}/{s}": x for s, x in by_score.items() if x is not None})
        for path in files:
            tracked.file(path)
        for path in pngs:
            tracked.file(path, "figures")
        tracked.table(points, "points")
        write_json(REPORT_FOLDER / "run.json", {"run_id": tracked.id})


if __name__ == "__main__":
    run(main)
