"""Models made of plain formulas, for the tests of the report."""

import numpy as np
import pandas as pd
from pipeline.scoring.examples import Examples

from pipeline.report.found.kinds import kinds_of
from pipeline.report.found.models import Measured
from pipeline.report.looks import Looks, Tile
from pipeline.report.page.render import RunLink, Shown
from pipeline.scoring.coded import Coded
from pipeline.scoring.metrics import Sums

CODECS = ("png", "jpeg-90", "jpeg-60", "jpeg-30", "jpeg-10")
KINDS = kinds_of(CODECS, fixed=CODECS, lossless=["png"])
CLASSES = 19
IMAGES = 25


def sums_at(level: float, *, tasks: tuple[str, ...], seed: int) -> dict[str, Sums]:
    """Errors that fall as `level` rises; images differ in difficulty, a little by seed."""
    hard_N = np.random.default_rng(99).uniform(0.5, 2, IMAGES)
    error_N = hard_N / level * np.random.default_rng(seed).uniform(0.98, 1.02, IMAGES)
    confusion_NKK = np.zeros((IMAGES, CLASSES, CLASSES))
    # Three classes never occur.
    confusion_NKK[:, :16, :16] = 10 * error_N[:, None, None]
    confusion_NKK[:, range(16), range(16)] = 2000
    of_task: dict[str, Sums] = {
        "segmentation": {"confusion": confusion_NKK.astype(np.int64)},
        "disparity": {
            "disparity_squared_error": 90 * error_N,
            "disparity_pixels": np.full(IMAGES, 90),
        },
        "reconstruction": {
            "image_squared_error": 5 * error_N,
            "image_values": np.full(IMAGES, 300),
        },
    }
    return {task: of_task[task] for task in tasks}


def model(
    arm: str,
    *,
    encoder: str = "encoder2",
    seed: int = 0,
    rate: float = 1.0,
    noise_seed: int = 0,
    tasks: tuple[str, ...] = ("segmentation", "disparity", "reconstruction"),
    disorder: bool = False,
) -> Measured:
    """A model whose scores rise with its rate; with `disorder` PNG costs less than JPEG-90."""
    bulk_N = np.random.default_rng(98).uniform(0.5, 2, IMAGES)
    levels = [5.0, 4.0, 3.0, 2.0, 1.0]
    costs = [3.9, 4.0, 3.0, 2.0, 1.0] if disorder else levels
    codecs = {}
    for i, (codec, level, cost) in enumerate(zip(CODECS, levels, costs, strict=True)):
        payload_N = np.rint(10_000 * rate * cost * bulk_N).astype(np.int64)
        sums = sums_at(level, tasks=tasks, seed=10 * noise_seed + i)
        codecs[codec] = Coded(np.full(IMAGES, 22), payload_N, sums)
    picture_N = np.rint(3000 * bulk_N).astype(np.int64)
    pictures = {"90": Coded(np.zeros(IMAGES, np.int64), picture_N, sums_at(5, tasks=tasks, seed=7))}
    return Measured(
        encoder=encoder,
        arm=arm,
        seed=seed,
        elements=8192,
        pixels=128 * 64,
        codecs=codecs,
        uncompressed=sums_at(5.2, tasks=tasks, seed=8),
        pictures=pictures if arm == "benchmark" else {},
        rate_loss_N=(0.1 * rate * bulk_N).astype(np.float32),
    )


def arms(**proposed: object) -> list[Measured]:
    """Both arms of one encoder."""
    tasks = {"tasks": proposed["tasks"]} if "tasks" in proposed else {}
    settings = {"rate": 0.8, "noise_seed": 1, **proposed}
    return [model("benchmark", **tasks), model("proposed", **settings)]  # type: ignore[arg-type]


def some_examples(
    tasks: tuple[str, ...], *, frames: int = 1, codecs: tuple[str, ...] = CODECS
) -> Examples:
    """Pictures of noise; each task but "reconstruction" has a legend of two colours."""
    generator = np.random.default_rng(0)

    def pictures() -> np.ndarray:
        return generator.integers(0, 256, (frames, 32, 64, 3), np.uint8)

    image_BHW3 = pictures()
    truths = {t: image_BHW3 if t == "reconstruction" else pictures() for t in tasks}
    return Examples(
        names=tuple(f"aachen_{frame:06}_000019" for frame in range(frames)),
        image_BHW3=image_BHW3,
        truths=truths,
        predictions={codec: {task: pictures() for task in tasks} for codec in codecs},
        legends={
            task: () if task == "reconstruction" else (("near", (250, 0, 0)), ("far", (0, 0, 99)))
            for task in tasks
        },
    )


def shown(models: list[Measured], *, toy: bool = True) -> Shown:
    """What a page shows beside the findings."""
    tasks = tuple(next(iter(models[0].codecs.values())).sums)
    history = pd.DataFrame({"epoch": [0, 1, 2], "lr": [1e-3, 5e-4, 1e-4]})
    for part in tasks:
        history[f"loss/{part}"], history[f"weight/{part}"] = [3.0, 2.0, 1.5], [0.5, 0.7, 0.8]
    history["val/psnr"] = [np.nan, 12.0, 13.0]
    looks = {}
    for encoder in dict.fromkeys(x.encoder for x in models):
        present = list(dict.fromkeys(x.arm for x in models))
        looks[encoder] = Looks(
            histories=dict.fromkeys(present, history),
            tiles={
                arm: Tile(f"{arm}: 10 bytes", np.arange(800).reshape(20, 40) % 255)
                for arm in present
            },
            examples={arm: some_examples(tasks) for arm in present},
        )
    return Shown(
        facts={"Data": "a <test> set & more"},
        toy=toy,
        looks=looks,
        stills={},
        settings={"loss.rate": True, "loss.weight": "learned"},
        versions={"python": "3.11.2"},
        runs=[
            RunLink("train encoder2-benchmark-0", "abc123", "http://127.0.0.1:5000/#/runs/abc123")
        ],
        views={"all scores": "http://127.0.0.1:5000/#/experiments/1/runs?viewStateShareKey=scores"},
        mlflow="uv run mlflow ui",
        joint_loss=1.0,
    )
