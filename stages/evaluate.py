"""Decode the bitstreams, run the cloud half on them, and keep the sums every score is made of."""

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.artifacts import (
    ARM_COLOURS,
    ARMS,
    EXAMPLES,
    FACTS,
    LOCK_FILE,
    PICTURE_ARM,
    STREAM_SUFFIX,
    SUMS,
    ArtifactError,
    Coded,
    Examples,
    ModelName,
    Streams,
    Sums,
    add_coded,
    add_sums,
    arrays_writer,
    digest,
    evaluation_folder,
    fitted_file,
    history_file,
    model_folder,
    open_streams,
    pictures_file,
    prepared_folder,
    streams_file,
    sums_file,
    weights_file,
    write_examples,
)
from pipeline.coding.bitstream import BitstreamError, decode_features
from pipeline.coding.fitted import Fitted, read_fitted
from pipeline.coding.pictures import PictureError, read_picture_codec
from pipeline.coding.points import Point
from pipeline.coding.quantizer import quantize
from pipeline.coding.tiling import tile
from pipeline.data.batches import Batches
from pipeline.data.frames import frame_names, open_frames
from pipeline.device import open_device
from pipeline.files import whole_folder, write_json
from pipeline.inference.evaluate import serve_nothing, serve_pictures, serve_streams, serve_uncoded
from pipeline.inference.pictures import PICTURES, legend
from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet
from pipeline.nets.stored import load_model
from pipeline.params import Params, flat
from pipeline.scoring.coded import per_image, rates_and_scores
from pipeline.scoring.hull import pareto_front
from pipeline.scoring.metrics import SCORES
from pipeline.tracking import api as tracking
from stages.settings import Number, Text, load, points, run

if TYPE_CHECKING:
    import pandas as pd

SECTIONS = ("codecs", "quantizer", "pictures", "evaluate")
"""Settings that an evaluation depends on, beside those of its model."""


def main(encoder: Text, arm: Text, seed: Number) -> None:
    """Evaluate one model at every codec point."""
    params = load()
    name, tasks = ModelName(encoder, arm, seed), list(params.tasks)
    net, described = load_model(model_folder(name), **name._asdict(), tasks=tasks)
    device = open_device(params.machine.device)
    batches = Batches(open_frames(prepared_folder("val")), device=device, resident=False)
    settings = {k: v for k, v in flat(params).items() if k.split(".")[0] in SECTIONS}
    with tracking.start(
        enabled=params.tracking.enabled,
        experiment=params.tracking.experiment,
        name=f"evaluate {name}",
        params={
            **described["settings"],
            **settings,
            **name._asdict(),
            "scale": f"{params.data.width}x{params.data.height}",
        },
        tags={
            "stage": "evaluate",
            "model": str(name),
            **{key: str(value) for key, value in name._asdict().items()},
            tracking.RUN_COLOUR: ARM_COLOURS[arm],
        },
    ) as tracked:
        tracked.under(tracked.find("train", str(name), digest(weights_file(name))))
        with whole_folder(evaluation_folder(name)) as folder:
            values = evaluate(name, params, net.to(device), batches, described, folder, tracked)
        if values:
            track(params, values, tracked)
        tracked.file(sums_file(name))
        tracked.made(digest(sums_file(name)))
    for point, found in list(values.items())[:1]:
        print(f"{name} {point}: " + ", ".join(f"{k} {v:.4g}" for k, v in found.items()))


def evaluate(
    name: ModelName,
    params: Params,
    net: SplitNet,
    batches: Batches,
    described: Mapping[str, Any],
    folder: Path,
    tracked: "tracking.Run | tracking.NullRun",
) -> dict[str, dict[str, float]]:
    """Write what was found into an evaluation's folder; return codec point -> rates and scores.

    described: what is noted of the model beside its weights. One point is in memory at a time.
    """
    frames, shown = batches.frames, min(params.evaluate.examples, len(batches))
    elements = math.prod(ENCODERS[name.encoder].shape(params.data.height, params.data.width))
    wanted = points(params, name.arm)
    fitted = read_fitted(fitted_file(name), wanted) if wanted else {}
    values, coders, predictions, images = {}, {}, {}, []
    with arrays_writer(folder / SUMS) as add:
        for title, point in wanted.items():
            served = serve_point(name, title, point, fitted[title], net, batches, shown)
            coders[title], predictions[title] = served.coder, served.pictures
            add_coded(add, f"points/{title}", served.coded)
            values[title] = rates_and_scores(served.coded, elements)
            images.append({"codec": title, **per_image(served.coded, elements)})
            if len(values) == 1:
                features_Chw = decode_features(served.first, fitted[title])
                tile_HW = tile(quantize(features_Chw, 8).levels_Chw)
                tracked.log(score_parts(served.coded.sums))
        for task, sums in serve_uncoded(net, batches).items():
            add_sums(add, f"uncompressed/{task}", sums)
        # The rival of a trained split is a network that was trained without the rate term.
        pictures = params.pictures.codecs if name.arm in (ARMS[0], PICTURE_ARM) else ()
        for codec in pictures:
            add_coded(add, f"pictures/{codec}", serve_codec(codec, net, batches))
    first = batches.take(np.arange(shown))
    truths = {task: PICTURES[task].of_truth(first) for task in params.tasks}
    if wanted:
        image_BHW3 = np.array(frames.image_NHW3[:shown])
        write_examples(folder / EXAMPLES, Examples(image_BHW3, truths, predictions, tile_HW))
    floor = serve_nothing(open_frames(prepared_folder("train")), params.tasks, batches)
    facts = {
        "tasks": list(params.tasks),
        "names": list(frames.names),
        "elements": elements,
        "pixels": params.data.height * params.data.width,
        "trained": len(frame_names(prepared_folder("train"))),
        "floor": {task: SCORES[task].compute(sums) for task, sums in floor.items()},
        "coders": coders,
        "pictures": list(pictures),
        "legends": {task: legend(task, truths, predictions) for task in params.tasks},
        # What the report needs of the model, so that it does not depend on the weights.
        "runtime": described["runtime"],
        "settings": described["settings"],
        "weights": digest(weights_file(name)),
    }
    write_json(folder / FACTS, facts)
    shutil.copyfile(history_file(name), folder / history_file(name).name)
    if tracked.id and images:
        tracked.table(image_table(frames.names, images), "images")
    return values


class Served(NamedTuple):
    """What was found at one point."""

    coded: Coded
    pictures: dict[str, np.ndarray]
    """task -> predictions of the first frames."""
    coder: str
    first: bytes
    """The bitstream of the first frame."""


def serve_point(
    name: ModelName,
    title: str,
    point: Point,
    fitted: Fitted | None,
    net: SplitNet,
    batches: Batches,
    shown: int,
) -> Served:
    """Serve the bitstreams of one point. Raises ArtifactError for those that cannot be used."""
    height, width = batches.frames.image_NHW3.shape[1:3]
    shape_Chw = net.shape(height, width)
    with open_coded(streams_file(name, title), batches) as streams:
        served = serve_streams(net, batches, streams, point, shape_Chw, fitted, shown=shown)
        return Served(*served, streams.coder, streams[0])


def serve_codec(codec: str, net: SplitNet, batches: Batches) -> Coded:
    """Serve the pictures of one codec. Raises ArtifactError for those that cannot be used."""
    suffix = f".{read_picture_codec(codec)[0]}"
    with open_coded(pictures_file(codec), batches, suffix) as coded:
        return serve_pictures(net, batches, coded)


@contextmanager
def open_coded(path: Path, batches: Batches, suffix: str = STREAM_SUFFIX) -> Iterator[Streams]:
    """Open what was coded of the frames of `batches`.

    Raises ArtifactError if it is of others, or if one of them turns out to be unusable.
    """
    with open_streams(path, suffix) as coded:
        if coded.names != batches.frames.names:
            raise ArtifactError(f"{path} is of other frames than {prepared_folder('val')}")
        try:
            yield coded
        except (BitstreamError, PictureError) as error:
            raise ArtifactError(f"{path}: {error}; run `dvc repro` to make it again") from error


def track(
    params: Params,
    values: Mapping[str, Mapping[str, float]],
    tracked: "tracking.Run | tracking.NullRun",
) -> None:
    """Log rates and scores of every point: as curves, and each under the point's own name."""
    # The last step is what the runs table shows: the first codec, as in the metrics file.
    for step, of_curve in enumerate(reversed(curves(values))):
        tracked.log(of_curve, step=step)
    for point, at in values.items():
        tracked.log({f"{mlflow_name(point)}/{key}": value for key, value in at.items()})
    if data := tracking.data_md5(LOCK_FILE, "prepare"):
        root = params.data.root
        tracked.dataset(Path(root).name, digest=data, source=root, context="evaluation")


def curves(values: Mapping[str, Mapping[str, float]]) -> list[dict[str, float]]:
    """Return what each point gives to a chart of a score over bpfe, which joins all it is given.

    values: point -> name -> value. A score is left out where another point dominates the point,
    but for the first point.
    """
    points = list(values.values())
    names = [name for name in points[0] if not name.startswith("bpfe")]
    rates = [at["bpfe"] for at in points]
    kept = {x: {0, *pareto_front(rates, [at[x] for at in points]).tolist()} for x in names}
    return [
        {name: value for name, value in at.items() if i in kept.get(name, {i})}
        for i, at in enumerate(points)
    ]


def score_parts(sums: Mapping[str, Sums]) -> dict[str, float]:
    """Return what the scores are made of, such as `segmentation/road`."""
    found = {task: SCORES[task].parts for task in sums}
    return {
        f"{task}/{key}": value
        for task, parts in found.items()
        if parts
        for key, value in parts(sums[task]).items()
    }


def mlflow_name(point: str) -> str:
    """Return the name of a point in MLflow: `png:5` of `png@5`, `table_1.2` of `table/1.2`.

    Metrics allow no `@` there, and what stands before a `/` is the name of a group.
    """
    return point.replace("@", ":").replace("/", "_")


def image_table(names: Sequence[str], columns: Sequence[Mapping[str, object]]) -> "pd.DataFrame":
    """Return one row per image and codec: bytes, bits per feature element, scores of the image."""
    import pandas as pd

    tables = [pd.DataFrame({"image": names, **of_point}) for of_point in columns]
    return pd.concat(tables, ignore_index=True)


if __name__ == "__main__":
    run(main)
