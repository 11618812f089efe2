"""Models made of plain formulas, for the tests of the report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.artifacts import (
    ARMS,
    PICTURE_ARM,
    Coded,
    Diagnostics,
    Evaluation,
    Examples,
    ModelName,
    Sums,
)
from pipeline.report.measured import Model
from pipeline.report.page import Shown
from pipeline.report.results import Results, analyse

CODECS = ("png", "jpeg-90", "jpeg-60", "jpeg-30", "jpeg-10")
TASKS = ("segmentation", "disparity", "reconstruction")
CLASSES = 19
IMAGES = 25
FORM = "deviation-prediction-transform"
SETTINGS: dict[str, Any] = {
    **{"rate_form": FORM, "bd_points": CODECS, "max_score_drop": 90.0, "resamples": 100},
    **{"max_task_drops": (1, 3, 10), "confidence": 0.95, "times": {}},
}


def sums_at(level: float, *, tasks: Sequence[str] = TASKS, seed: int = 0) -> dict[str, Sums]:
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
    tasks: Sequence[str] = TASKS,
    codecs: Sequence[str] = CODECS,
    pictures: Sequence[str] = ("jpeg-90", "jpeg-10"),
    container: int = 0,
    runtime: dict[str, object] | None = None,
    coder: str = "made up 1.0",
    floor: float = 0.0,
) -> Model:
    """A model whose scores rise with its rate; the picture costs a little less than features."""
    bulk_N = np.random.default_rng(98).uniform(0.5, 2, IMAGES)
    levels = np.arange(len(codecs), 0, -1.0)

    def coded(level: float, rate: float, seed: int, header: int = 22) -> Coded:
        payload_N = np.rint(10_000 * rate * level * bulk_N).astype(np.int64)
        return Coded(np.full(IMAGES, header), payload_N, sums_at(level, tasks=tasks, seed=seed))

    sent = {f: coded(6.0 / (i + 1), 0.5, 7, container) for i, f in enumerate(pictures)}
    evaluation = Evaluation(
        points={
            codec: coded(level, rate, 10 * noise_seed + i)
            for i, (codec, level) in enumerate(zip(codecs, levels, strict=True))
        },
        pictures=sent if arm in (ARMS[0], PICTURE_ARM) else {},
        uncompressed=sums_at(5.2, tasks=tasks, seed=8),
        names=tuple(f"aachen_{i:06}_000019" for i in range(IMAGES)),
        elements=8192,
        pixels=128 * 64,
        trained=240,
        floor=dict.fromkeys(tasks, floor),
        coders=dict.fromkeys(codecs, coder),
        runtime=runtime or {},
        weights="0123456789abcdef",
    )
    loss_N = (0.1 * rate * bulk_N).astype(np.float32)
    diagnostics = Diagnostics({FORM: loss_N}, np.full(IMAGES, 3.0), np.full(IMAGES, 0.5))
    return Model(ModelName(encoder, arm, seed), evaluation, diagnostics if codecs else None)


def arms(*, seeds: int = 1, rate: float = 0.8, **both: Any) -> list[Model]:
    """Both arms of one encoder, alike in all seeds; the proposed one costs `rate` of the bits."""
    of = [("benchmark", 1.0), ("proposed", rate)]
    return [model(a, seed=s, rate=r, **both) for s in range(seeds) for a, r in of]


def results(models: Sequence[Model], **settings: Any) -> Results:
    """What a report finds of these models."""
    return analyse(models, **{**SETTINGS, **settings})


def times_of(models: Sequence[Model]) -> dict[tuple[str, str], dict[str, Any]]:
    """Times as `stages.timing` writes them, milliseconds: 70 of a network, 30 of them on the edge.

    Features take 1 to encode and 2 to decode; pictures 0.5 and 0.25.
    """
    return {
        (x.name.encoder, x.name.arm): {
            **{"processor": "a made-up processor", "threads": 1, "edge": 30.0, "cloud": 40.0},
            "points": {key: {"encode": 1.0, "decode": 2.0} for key in x.evaluation.points},
            "pictures": {key: {"encode": 0.5, "decode": 0.25} for key in x.evaluation.pictures},
        }
        for x in models
    }


def some_examples(tasks: Sequence[str] = TASKS, codecs: Sequence[str] = CODECS) -> Examples:
    """Pictures of noise of two frames; each task but "reconstruction" has a legend."""
    generator = np.random.default_rng(0)

    def pictures() -> np.ndarray:
        return generator.integers(0, 256, (2, 32, 64, 3), np.uint8)

    legend = (("near", (250, 0, 0)), ("far", (0, 0, 99)))
    return Examples(
        image_BHW3=pictures(),
        truths={task: pictures() for task in tasks},
        predictions={codec: {task: pictures() for task in tasks} for codec in codecs},
        legends={task: () if task == "reconstruction" else legend for task in tasks},
        tile_HW=np.arange(800).reshape(20, 40) % 255,
    )


def shown(of: Results) -> Shown:
    """What a page shows beside the results."""
    history = pd.DataFrame({"epoch": [0, 1, 2], "lr": [1e-3, 5e-4, 1e-4]})
    for part in of.scores:
        history[f"loss/{part}"], history[f"weight/{part}"] = [3.0, 2.0, 1.5], [0.5, 0.7, 0.8]
    history["val/psnr"] = [np.nan, 12.0, 13.0]
    points = of.points.groupby("arm", sort=False)["codec"].unique()
    examples = {arm: some_examples(list(of.scores), codecs) for arm, codecs in points.items()}
    return Shown(
        facts={"Data": "a <test> set & more"},
        toy=True,
        examples=dict.fromkeys(of.encoders, examples),
        histories={encoder: dict.fromkeys(of.arms, history) for encoder in of.encoders},
        digests={"encoder2-benchmark-0": ("0123456789abcdef", "fedcba9876543210")},
        settings={"loss.rate": True, "loss.weight": "learned", "codecs": ("png", "jpeg-90")},
    )
