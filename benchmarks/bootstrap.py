"""How long the paired bootstrap of one encoder takes at the paper's size.

    python -m benchmarks.bootstrap [--images 500] [--resamples 1000] [--record]

Five codec points, two arms, three tasks, per-image sums that are made up. Timed are the intervals
of all tasks, for the paper's BD-rate and for the one between hulls. Target:
10 seconds for 1,000 resamples of 500 images.
"""

import argparse

import numpy as np
from pipeline.report.found.kinds import Kind

from benchmarks.clock import timed
from benchmarks.record import load, record
from pipeline.labels import CLASSES
from pipeline.scoring.bootstrap import CurveSums, bootstrap_bd_rate
from pipeline.scoring.metrics import SCORES

POINTS = 5
KINDS = {"BD-rate": Kind((), "cubic"), "hull": Kind((), None)}


def curve(images: int, *, rate: float, seed: int) -> CurveSums:
    """Scores that rise with the rate; images differ in size and in difficulty, alike in all."""
    shared = np.random.default_rng(99)
    bulk_N, hard_N = shared.uniform(0.5, 2, (2, images))
    generator = np.random.default_rng(seed)
    level_P = np.arange(POINTS, 0, -1.0)
    classes = len(CLASSES)
    sums = []
    for level in level_P:
        error_N = hard_N / level * generator.uniform(0.98, 1.02, images)
        confusion_NKK = np.broadcast_to(100 * error_N[:, None, None], (images, classes, classes))
        sums.append(
            {
                "confusion": (confusion_NKK + 2000 * np.eye(classes)).astype(np.int64),
                "disparity_squared_error": 90 * error_N,
                "disparity_pixels": np.full(images, 90),
                "image_squared_error": 5 * error_N,
                "image_values": np.full(images, 300),
            }
        )
    return CurveSums(rate * level_P[:, None] * bulk_N, sums)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--record", action="store_true", help="keep it in runs.jsonl")
    options = parser.parse_args()

    arms = curve(options.images, rate=1, seed=1), curve(options.images, rate=0.8, seed=2)
    rows = []
    with load() as others:
        for name, kind in KINDS.items():
            seconds = {}
            for task, score in SCORES.items():
                timing = timed(
                    lambda score=score, kind=kind: bootstrap_bd_rate(
                        *([arms[0]], [arms[1]], score),
                        resamples=options.resamples,
                        level=0.95,
                        seed=0,
                        rate=kind.rate(score),
                    )
                )
                seconds[task] = timing.cpu
            each = {f"{task} (s)": x for task, x in seconds.items()}
            rows.append({"kind": name, "all tasks (s of CPU)": sum(seconds.values()), **each})
    size = f"{options.resamples} resamples of {options.images} images"
    print(f"{size}, {POINTS} points, 2 arms, {len(SCORES)} tasks")
    for row in rows:
        print(", ".join(f"{key} {x:.2f}" if key != "kind" else str(x) for key, x in row.items()))
    print(f"others used {others.cores:.1f} cores")
    if options.record:
        record("Bootstrap", size, rows, others)


if __name__ == "__main__":
    main()
