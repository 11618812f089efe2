"""The comparison of experiments: narrow, no BD-rate without its verdict, one benchmark for all."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from commands import compare
from pipeline.params import parse
from tests.support.report_models import arms, results


def row(name: str | None, rev: str, weight: float, percent: float, verdict: str) -> dict[str, Any]:
    """What DVC gives of an experiment, as far as it is shown."""
    of = "hull_bd_rate.encoder2-mean"
    found = {
        **{"Experiment": name, "rev": rev, "State": None, "loss.weight": weight},
        **{f"{of}.{score}": percent for score in ("miou", "irmse")},
        **{f"verdict.{of}.{score}": verdict for score in ("miou", "irmse")},
        f"verdict.{of}.psnr": "not available",
    }
    scores = {"bpfe": 5.48, "miou": 0.5794, "irmse": 0.2771, "psnr": 22.29}
    return found | {f"png.encoder2-proposed-mean.{k}": x for k, x in scores.items()}


def test_the_table_of_all_experiments(values: dict[str, Any]) -> None:
    rows = [
        row(None, "workspace", 1.0, -8.67, "quotable"),
        row(None, "main", 1.0, -8.67, "quotable"),
        row("stronger-" + 40 * "x", "abc", 3.0, 4.66, "do not quote"),
        {"Experiment": "waits", "rev": "def", "State": "Queued", "loss.weight": 10.0},
    ]
    text = compare.overview(rows, parse(values))
    lines = text.splitlines()
    # Narrow enough for a terminal, without the settings that an experiment changed.
    assert lines[0].index("changed") <= 140
    of = {x.split()[0]: x for x in lines if x}
    assert of["workspace"].split()[1:] == (
        ["Encoder2", "-8.7", "✓", "-8.7", "✓", "-", "5.480", "57.94", "0.2771", "22.29"]
    )
    assert "+4.7 ✗" in text
    assert of["waits"].split()[1:] == ["(queued)", "Encoder2", *["-"] * 7, "loss.weight=10.0"]
    assert "loss.weight=3.0" in text
    assert "loss.weight=1.0" not in text


@pytest.fixture(scope="module")
def points() -> pd.DataFrame:
    return results(arms(seeds=2)).points


def other(points: pd.DataFrame, share: float) -> pd.DataFrame:
    """The same benchmark with a proposed arm that needs a share of the bits."""
    changed = points.copy()
    proposed = changed["arm"] == "proposed"
    changed.loc[proposed, ["bpfe", "kilobytes", "bpp"]] *= share
    return changed


def test_experiments_of_one_benchmark(
    points: pd.DataFrame,
    values: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    values["report"]["max_score_drop"] = 90.0
    experiments = {"weight 1": points, "weight 3": other(points, 0.5)}
    compare.compare(experiments, parse(values))
    printed = capsys.readouterr().out
    for label, percent in (("weight 1", -20), ("weight 3", -60)):
        (line,) = (line for line in printed.splitlines() if f"| {label}" in line)
        assert [float(cell.split(" %")[0]) for cell in line.split("|")[3:-1]] == pytest.approx(
            [percent] * 3, abs=0.3
        )
    assert Path("reports/family/family.tex").is_file()
    svg = Path("reports/family/family-encoder2.svg").read_text()
    assert "weight 1" in svg
    assert "weight 3" in svg


def test_other_benchmarks_cannot_be_compared(points: pd.DataFrame) -> None:
    moved = points.assign(miou=points["miou"] + 0.01)
    with pytest.raises(compare.FamilyError, match="b has other benchmark results than a"):
        compare.check({"a": points, "b": moved})
