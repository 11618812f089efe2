"""A whole experiment in MLflow within seconds: the stages' own commands on made-up figures."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from pipeline.artifacts import (
    ARMS,
    REPORT_FOLDER,
    Evaluation,
    ModelName,
    model_folder,
    write_run_id,
)
from pipeline.files import write_text
from pipeline.params import Params
from pipeline.report.found.findings import Findings, find
from pipeline.report.found.models import Measured
from pipeline.scoring.metrics import SCORES
from stages import evaluate, report, train
from stages.settings import load
from tests.support.report_models import CODECS, KINDS, model

ENCODERS = ("encoder1", "encoder2")
MD5 = "0123456789abcdef0123456789abcdef.dir"
NAMES = [ModelName(encoder, arm, 0) for encoder in ENCODERS for arm in ARMS]
LOCK = {"stages": {"prepare": {"outs": [{"path": "data/prepared", "md5": MD5}]}}}


def measured(name: ModelName) -> Measured:
    """The proposed arm costs a fifth less."""
    cheaper = {"rate": 0.8, "noise_seed": 1} if name.arm == "proposed" else {}
    return model(name.arm, encoder=name.encoder, seed=name.seed, **cheaper)


def track(folder: Path, settings: Mapping[str, Any], patch: pytest.MonkeyPatch) -> None:
    """Run train and evaluate of all models, and report, in `folder`, without their work."""
    values = {
        **settings,
        **{"encoders": list(ENCODERS), "seeds": [0], "codecs": list(CODECS)},
        "model": settings["model"] | {"weights": "none"},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    (folder / "dvc.lock").write_text(yaml.safe_dump(LOCK))
    patch.chdir(folder)
    patch.setattr(train, "train_model", trained)
    patch.setattr(report, "report", reported)
    for name in NAMES:
        train.main(*name)
    for name in NAMES:
        evaluate.finish(name, load(), evaluated(name))
    report.main()


def trained(name: ModelName, params: Params, *others: Any) -> None:
    tracked = others[-1]
    for epoch in range(3):
        tracked.log({"loss/total": 3.0 - epoch, "val/miou": 0.1 * epoch}, step=epoch)
    write_run_id(model_folder(name), tracked.id)


def evaluated(name: ModelName) -> Evaluation:
    found = measured(name)
    images = len(found.codecs["png"].payload_N)
    return Evaluation(found.codecs, found.elements, tuple(f"frame_{i}" for i in range(images)))


def reported(params: Params, *others: object) -> Findings:
    for kept in ("index.html", "tables/table.md", "tables/bd_rate.csv"):
        write_text(REPORT_FOLDER / kept, "made up")
    figures = REPORT_FOLDER / "figures"
    shutil.rmtree(figures, ignore_errors=True)
    figures.mkdir(parents=True)
    Image.fromarray(np.zeros((9, 16), np.uint8)).save(figures / "rate-accuracy.png")
    return find(
        [measured(name) for name in NAMES],
        {task: SCORES[task] for task in params.tasks},
        kinds=KINDS,
        resamples=100,
        level=0.95,
        joint_loss=1.0,
    )
