"""Findings of models made of plain formulas, and a page with everything that a page can have."""

import io
from dataclasses import replace

from PIL import Image
from pipeline.report.charts.book import describe
from pipeline.report.found.findings import Findings, find
from pipeline.report.found.models import Measured
from pipeline.report.page.render import Shown, render

from pipeline.artifacts import ARMS
from pipeline.scoring.metrics import SCORES
from tests.support.report_models import KINDS, arms, model, shown

STILLS = ("rate-accuracy", "rate-accuracy-picture", "joint", "rate-loss", "training-encoder2")
TASKS = ("segmentation", "disparity", "reconstruction")


def page_of(findings: Findings, shown: Shown) -> str:
    """Return the page with its charts."""
    histories = {encoder: of.histories for encoder, of in shown.looks.items()}
    charts = describe(findings, histories, toy=shown.toy, joint_loss=shown.joint_loss)
    return render(findings, charts, shown)


def found_of(models: list[Measured], tasks: tuple[str, ...] = TASKS) -> Findings:
    return find(
        models,
        {task: SCORES[task] for task in tasks},
        kinds=KINDS,
        resamples=100,
        level=0.95,
        joint_loss=1.0,
    )


def two_encoders() -> list[Measured]:
    """Return both arms of either encoder; the curves of the second cross."""
    of_one = [model("benchmark", encoder="encoder1"), model("proposed", encoder="encoder1")]
    return [*of_one, *arms(disorder=True)]


def whole_page(findings: Findings) -> str:
    """Return the page of these findings, with a still for every chart that has one."""
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10)).save(buffer, "PNG")
    stills = dict.fromkeys(STILLS, buffer.getvalue())
    return page_of(findings, replace(shown(list(findings.models)), stills=stills))


def found_with_seeds(seeds: int = 1) -> Findings:
    """Return findings of both arms of two encoders, with 90 % intervals."""
    models = [
        model(
            arm, encoder=encoder, seed=seed, rate=0.8 if arm == "proposed" else 1, noise_seed=seed
        )
        for encoder in ("encoder1", "encoder2")
        for arm in ARMS
        for seed in range(seeds)
    ]
    return find(models, SCORES, kinds=KINDS, resamples=20, level=0.9, joint_loss=1.0)
