"""How long the report of many models takes, how much memory, and how large its page is.

    python -m benchmarks.report [--seeds 5] [--images 500] [--resamples 1000] [--record]

Two encoders, two arms, twelve points, three tasks: sums and pictures are made up, no model is
trained. The sums go through the files of an evaluation. Targets: 60 seconds of processor time, 1 GB
of memory, a page under 15 MB.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.record import load, record
from pipeline.artifacts import (
    ARMS,
    FACTS,
    Coded,
    Diagnostics,
    Examples,
    ModelName,
    Sums,
    add_coded,
    add_sums,
    arrays_writer,
    evaluation_folder,
    read_evaluation,
    sums_file,
)
from pipeline.files import write_json
from pipeline.labels import CLASSES
from pipeline.report.charts import figures, write_figure
from pipeline.report.measured import Model
from pipeline.report.page import Shown, render
from pipeline.report.results import analyse
from pipeline.scoring.metrics import SCORES

LEVELS = {
    **{"png": 5.0, "jpeg-95": 4.9, "jpeg-90": 4.5, "jpeg-85": 4.1, "jpeg-80": 3.8, "jpeg-60": 3.0},
    **{"jpeg-40": 2.5, "png@6": 4.0, "png@5": 3.4, "png@4": 2.7, "png@3": 2.0, "png@2": 1.2},
}
"""Codec point -> its rate; scores rise with it."""
FIXED = ("png", "jpeg-90", "jpeg-80", "jpeg-60", "jpeg-40")
PICTURES = {"jpeg-90": 4.5, "jpeg-60": 3.0, "jpeg-30": 1.5, "jpeg-10": 0.5}
ENCODERS = ("encoder1", "encoder2")
HEIGHT, WIDTH, EXAMPLES = 256, 512, 3
FORM = "deviation-prediction-transform"


def sums(level: float, images: int, generator: np.random.Generator) -> dict[str, Sums]:
    """Errors that fall as the level rises; images differ in difficulty, alike in all models."""
    hard_N = np.random.default_rng(99).uniform(0.5, 2, images)
    error_N = hard_N * (1 + 0.2 / level**2) * generator.uniform(0.995, 1.005, images)
    confusion_NKK = np.broadcast_to(60 * error_N[:, None, None], (images, *2 * [len(CLASSES)]))
    return {
        "segmentation": {"confusion": (confusion_NKK + 4000 * np.eye(len(CLASSES))).astype(int)},
        "disparity": {
            "disparity_squared_error": 900 * error_N,
            "disparity_pixels": np.full(images, 90),
        },
        "reconstruction": {
            "image_squared_error": 5 * error_N,
            "image_values": np.full(images, 300),
        },
    }


def write(name: ModelName, images: int) -> None:
    """Write the evaluation of one model."""
    generator = np.random.default_rng(
        [ENCODERS.index(name.encoder), ARMS.index(name.arm), name.seed]
    )
    cheaper = (0.9 if name.arm == ARMS[1] else 1) * generator.uniform(0.99, 1.01)
    bulk_N = np.random.default_rng(98).uniform(0.5, 2, images) * cheaper
    pictures = PICTURES if name.arm == ARMS[0] else {}
    with arrays_writer(sums_file(name)) as add:
        for kind, points in (("points", LEVELS), ("pictures", pictures)):
            for point, level in points.items():
                bytes_N = np.rint(10_000 * level * bulk_N).astype(np.int64)
                coded = Coded(np.full(images, 31), bytes_N, sums(level, images, generator))
                add_coded(add, f"{kind}/{point}", coded)
        for task, of_task in sums(5.2, images, generator).items():
            add_sums(add, f"uncompressed/{task}", of_task)
    facts = {
        **{"tasks": list(SCORES), "pictures": list(pictures), "elements": 131_072},
        **{"names": [str(i) for i in range(images)], "pixels": HEIGHT * WIDTH, "trained": 2975},
        **{"floor": {}, "coders": dict.fromkeys(LEVELS, "made up"), "legends": {}},
    }
    write_json(evaluation_folder(name) / FACTS, facts)


def read(names: list[ModelName], images: int) -> Iterator[Model]:
    """Yield what a report reads of each model."""
    some_N = np.random.default_rng(0).uniform(0.5, 2, images)
    for name in names:
        yield Model(name, read_evaluation(name), Diagnostics({FORM: some_N}, some_N, some_N))


def pictures_of(generator: np.random.Generator) -> np.ndarray:
    """Frames that shrink about as much as a street does: flat patches with a little noise."""
    coarse = generator.integers(0, 250, (EXAMPLES, HEIGHT // 16, WIDTH // 16, 3))
    patches = coarse.repeat(16, axis=1).repeat(16, axis=2)
    return (patches + generator.integers(0, 6, patches.shape)).astype(np.uint8)


def shown() -> Shown:
    """What a page shows beside the results."""
    generator = np.random.default_rng(0)
    history = pd.DataFrame({"epoch": range(250)}).assign(lr=1e-3)
    for task in SCORES:
        history[f"loss/{task}"], history[f"weight/{task}"] = 100 / (history["epoch"] + 9), 0.5
    history["val/psnr"] = 10 + np.log1p(history["epoch"])
    examples = Examples(
        image_BHW3=pictures_of(generator),
        truths={task: pictures_of(generator) for task in SCORES},
        predictions={point: {t: pictures_of(generator) for t in SCORES} for point in LEVELS},
        legends=dict.fromkeys(SCORES, ()),
        tile_HW=generator.integers(0, 256, (HEIGHT, WIDTH)),
    )
    of_arms = {encoder: dict.fromkeys(ARMS, examples) for encoder in ENCODERS}
    histories = {encoder: dict.fromkeys(ARMS, history) for encoder in ENCODERS}
    return Shown({}, False, of_arms, histories, {"made-up": ("0", "0")}, {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--record", action="store_true", help="keep it in runs.jsonl")
    options = parser.parse_args()
    seconds: dict[str, float] = {}
    last = 0.0

    def lap(what: str) -> None:
        nonlocal last
        now = time.process_time()
        seconds[f"{what} (s of CPU)"], last = now - last, now

    names = [ModelName(e, a, s) for e in ENCODERS for s in range(options.seeds) for a in ARMS]
    lap("imports")
    with load() as others, tempfile.TemporaryDirectory() as folder, chdir(folder):
        for name in names:
            write(name, options.images)
        lap("files")
        results = analyse(
            read(names, options.images),
            rate_form=FORM,
            bd_points=FIXED,
            max_score_drop=10.0,
            max_task_drops=(1, 3, 10),
            resamples=options.resamples,
            confidence=0.95,
        )
        lap("tables, intervals")
        for encoder in ENCODERS:
            for stem, figure in figures(results, encoder).items():
                write_figure(figure, Path(stem))
        lap("figures")
        page = len(render(results, shown()).encode())
        lap("page")
    row = {
        "models": len(names),
        **{key: round(x, 1) for key, x in seconds.items()},
        "peak memory (MiB)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "page (MB)": round(page / 1e6, 1),
    }
    size = f"{len(LEVELS)} points, {options.images} images, {options.resamples} resamples"
    print(f"{size}: " + ", ".join(f"{key} {x}" for key, x in row.items()))
    print(f"others used {others.cores:.1f} cores")
    if options.record:
        record("Report", size, [row], others)


if __name__ == "__main__":
    main()
