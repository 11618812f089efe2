"""Holds that another setting of the report leaves the numbers that an evaluation was given."""

from pathlib import Path

from pipeline.artifacts import ModelName
from pipeline.report.found.findings import Findings, find
from pipeline.report.found.kinds import kinds_of
from pipeline.scoring.metrics import SCORES
from stages.report import track
from tests.support.report_models import CODECS, arms
from tests.support.tracked_store import begin, client


def found(method: str) -> Findings:
    kinds = kinds_of(CODECS, fixed=CODECS, lossless=["png"], method=method)
    return find(arms(), SCORES, kinds=kinds, resamples=100, level=0.95, joint_loss=1.0)


def test_another_method_is_in_the_run_of_its_report_alone(store: Path) -> None:
    name = ModelName("encoder2", "proposed", 0)
    with begin("evaluate") as evaluated:
        pass
    reports, given = {}, {}
    for method in ("cubic", "pchip", "cubic"):
        with begin("report") as tracked:
            track(found(method), {name: evaluated.id}, tracked)
        reports[method] = client().get_run(tracked.id).data.metrics
        given[method] = client().get_run(evaluated.id).data
    key = "bd_rate/encoder2-0/miou"
    assert reports["cubic"][key] != reports["pchip"][key]
    assert given["pchip"].metrics == given["cubic"].metrics
    assert given["pchip"].tags == given["cubic"].tags
    assert given["cubic"].metrics["bd_rate/miou"] == round(reports["cubic"][key], 2)
    history = client().get_metric_history(evaluated.id, "bd_rate/miou")
    assert len(history) == 1
