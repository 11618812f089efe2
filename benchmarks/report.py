"""How long the report of many models takes, how much memory, and how large its page is.

    python -m benchmarks.report [--seeds 5] [--images 500] [--resamples 1000] [--record]

Two encoders, two arms, the points of params.yaml, three tasks: sums and pictures are made up, no
model is trained. The sums go through the files of an evaluation. Target: a page under 15 MB.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from pipeline.report.charts.book import describe
from pipeline.report.found.findings import find
from pipeline.report.found.kinds import kinds_of
from pipeline.report.found.models import Measured
from pipeline.report.looks import Looks, Tile
from pipeline.report.page.render import Shown, render
from pipeline.report.paper.drawing import draw_all
from pipeline.report.paper.style import save
from pipeline.scoring.examples import Examples

from benchmarks.record import load, record
from pipeline.artifacts import ARMS, Evaluation, read_evaluation, write_evaluation
from pipeline.labels import CLASSES
from pipeline.scoring.coded import Coded
from pipeline.scoring.metrics import SCORES

LEVELS = {
    **{"png": 5.0, "jpeg-95": 4.9, "jpeg-90": 4.5, "jpeg-85": 4.1, "jpeg-80": 3.8, "jpeg-60": 3.0},
    **{"jpeg-40": 2.5, "png@6": 4.0, "png@5": 3.4, "png@4": 2.7, "png@3": 2.0, "png@2": 1.2},
}
"""Codec point -> its rate; scores rise with it."""
FIXED = ("png", "jpeg-90", "jpeg-80", "jpeg-60", "jpeg-40")
KINDS = kinds_of(list(LEVELS), fixed=FIXED, lossless=[x for x in LEVELS if x.startswith("png")])
ENCODERS = ("encoder1", "encoder2")
HEIGHT, WIDTH, EXAMPLES = 256, 512, 3


def sums(level: float, images: int, generator: np.random.Generator) -> dict:
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


def measured(encoder: str, arm: str, seed: int, images: int, folder: Path) -> Measured:
    """Write the evaluation of one model, read it, and return what a report reads of it."""
    generator = np.random.default_rng([ENCODERS.index(encoder), ARMS.index(arm), seed])
    cheaper = (0.9 if arm == ARMS[1] else 1) * generator.uniform(0.99, 1.01)
    bulk_N = np.random.default_rng(98).uniform(0.5, 2, images) * cheaper

    def coded(level: float) -> Coded:
        bytes_N = np.rint(10_000 * level * bulk_N).astype(np.int64)
        return Coded(np.full(images, 31), bytes_N, sums(level, images, generator))

    evaluation = Evaluation(
        points={point: coded(level) for point, level in LEVELS.items()},
        elements=131_072,
        names=tuple(map(str, range(images))),
        uncompressed=sums(5.2, images, generator),
        pictures={q: coded(int(q) / 20) for q in ("90", "60", "30", "10")}
        if arm == ARMS[0]
        else {},
    )
    write_evaluation(folder / "sums.safetensors", evaluation)
    read = read_evaluation(folder / "sums.safetensors")
    return Measured(
        *(encoder, arm, seed, read.elements, HEIGHT * WIDTH),
        codecs=read.points,
        uncompressed=read.uncompressed,
        pictures=read.pictures,
        rate_loss_N=(0.1 * bulk_N).astype(np.float32),
    )


def pictures(generator: np.random.Generator) -> np.ndarray:
    """Frames that shrink about as much as a street does: flat patches with a little noise."""
    coarse = generator.integers(0, 250, (EXAMPLES, HEIGHT // 16, WIDTH // 16, 3))
    patches = coarse.repeat(16, axis=1).repeat(16, axis=2)
    return (patches + generator.integers(0, 6, patches.shape)).astype(np.uint8)


def looks() -> Looks:
    """What a report shows of the two arms of an encoder."""
    generator = np.random.default_rng(0)
    history = pd.DataFrame({"epoch": range(250)}).assign(lr=1e-3)
    for task in SCORES:
        history[f"loss/{task}"], history[f"weight/{task}"] = 100 / (history["epoch"] + 9), 0.5
    history["val/psnr"] = 10 + np.log1p(history["epoch"])
    examples = Examples(
        names=tuple(f"made_{frame:06}_000019" for frame in range(EXAMPLES)),
        image_BHW3=pictures(generator),
        truths={task: pictures(generator) for task in SCORES},
        predictions={point: {t: pictures(generator) for t in SCORES} for point in LEVELS},
        legends=dict.fromkeys(SCORES, ()),
    )
    tile = Tile("made up", generator.integers(0, 256, (HEIGHT, WIDTH)))
    return Looks(*(dict.fromkeys(ARMS, x) for x in (history, tile, examples)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--record", action="store_true", help="keep it in runs.jsonl")
    options = parser.parse_args()
    seconds: dict[str, float] = {}
    start, last = time.perf_counter(), time.process_time()

    def lap(what: str) -> None:
        nonlocal last
        now = time.process_time()
        seconds[f"{what} (s of CPU)"], last = now - last, now

    with load() as others, tempfile.TemporaryDirectory() as folder:
        names = [(e, a, s) for e in ENCODERS for s in range(options.seeds) for a in ARMS]
        models = [measured(*name, options.images, Path(folder)) for name in names]
        lap("write, read")
        findings = find(
            models,
            SCORES,
            kinds=KINDS,
            resamples=options.resamples,
            level=0.95,
            joint_loss=1.0,
        )
        lap("tables, intervals")
        seen = {encoder: looks() for encoder in ENCODERS}
        histories = {encoder: of.histories for encoder, of in seen.items()}
        charts = describe(findings, histories, toy=False, joint_loss=1.0)
        drawn = draw_all(findings, charts, seen)
        stills = {k: save(x, Path(folder) / k)[0].read_bytes() for k, x in drawn.items()}
        lap("figures")
        shown = Shown({}, False, seen, stills, {}, {}, [], {}, "", 1.0)
        page = len(render(findings, charts, shown).encode())
        lap("page")
    row = {
        "models": len(models),
        **{key: round(x, 1) for key, x in seconds.items()},
        "all (s)": round(time.perf_counter() - start, 1),
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
