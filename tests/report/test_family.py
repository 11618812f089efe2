"""A family of experiments over one benchmark: its table, its warning, its figure."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pipeline.report.charts.family import family_chart
from pipeline.report.found.family import HULL, Family, FamilyError, family, family_table
from pipeline.report.paper.draw import draw
from pipeline.report.tables.family import family_grid
from pipeline.report.tables.grid import to_markdown

from pipeline.scoring.bdrate import hull_rate
from pipeline.scoring.metrics import SCORES
from tests.support.tiny_experiment import start

SEEDS = (0, 1)
SCORED = np.array([0.2, 0.3, 0.4, 0.5])
RATE = np.array([1.0, 2.0, 3.0, 4.0])


def rows(arm: str, seed: int, factor: float) -> pd.DataFrame:
    """Points of a model that needs `factor` times the bits for the same scores."""
    rate = factor * RATE
    return pd.DataFrame(
        {
            "encoder": "encoder2",
            "arm": arm,
            "seed": seed,
            "codec": [f"png@{b}" for b in range(2, 6)],
        }
        | {"bpfe": rate, "bpfe_payload": rate, "kilobytes": 2 * rate, "bpp": rate}
        | {"miou": SCORED, "irmse": SCORED / 2, "psnr": 40 * SCORED}
    )


def experiment(*factors: float) -> pd.DataFrame:
    """One factor of the proposed arm for each seed; benchmarks need 1 and 1.1 times the bits."""
    benchmarks = [rows("benchmark", seed, 1 + seed / 10) for seed in SEEDS]
    return pd.concat(
        [*benchmarks, *(rows("proposed", s, x) for s, x in zip(SEEDS, factors, strict=True))]
    )


@pytest.fixture
def found() -> Family:
    return family({"0.3": experiment(0.9, 0.99), "1": experiment(0.8, 1.1)}, SCORES)


def test_a_member_saves_what_was_planted(found: Family) -> None:
    table = family_table(found, hull_loss=100).set_index(["member", "score"])
    for score in ("miou", "irmse", "psnr"):
        # 0.9 times the bits in both seeds; 0.8 and 1, whose mean is taken of logarithms.
        assert table.loc[("0.3", score), ["percent", "low", "high"]].tolist() == pytest.approx(
            [-10, -10, -10]
        )
        assert table.loc[("1", score), "percent"] == pytest.approx(100 * (np.sqrt(0.8) - 1))
        assert table.loc[("1", score), ["low", "high"]].tolist() == pytest.approx(
            [-20, 0], abs=1e-9
        )


def test_the_best_of_all_is_the_better_one_of_each_seed(found: Family) -> None:
    table = family_table(found, hull_loss=100).set_index(["member", "score"])
    best = table.loc[(HULL, "miou")]
    assert (best["low"], best["high"]) == pytest.approx((-20, -10))
    # Two equal benchmarks: the cheaper one costs 0 % and 1 / 1.1 of the dearer one's bits.
    assert best["choosing"] == pytest.approx(100 * (np.sqrt(1 / 1.1) - 1))
    assert table.loc[["0.3", "1"], "choosing"].isna().all()


def test_a_hull_is_one_of_rmse_and_of_scores_near_the_best() -> None:
    dear = experiment(1.0, 1.0)
    dear.loc[dear["arm"] == "proposed", "bpfe"] += np.tile(RATE**2 / 10, len(SEEDS))
    found = family({"a": experiment(0.9, 0.9), "b": dear}, SCORES)
    table = family_table(found, hull_loss=40.0).set_index(["member", "score"])
    columns = (RATE, SCORED / 2, RATE + RATE**2 / 10, SCORED / 2)
    rmse = SCORES["disparity"].averaged
    expected = hull_rate(*columns, averaged=rmse, loss_percent=40.0).percent
    assert table.loc[("b", "irmse"), "high"] == pytest.approx(expected)
    others = hull_rate(*columns, loss_percent=40.0), hull_rate(*columns, averaged=rmse)
    assert all(x.percent != pytest.approx(expected) for x in others)


def test_the_dotted_line_joins_the_hull_of_each_score() -> None:
    panels = family_chart(family({"a": experiment(1, 1), "b": experiment(2, 2)}, SCORES)).panels
    # Of a straight line in PSNR only the ends are kept. The same line in IRMSE is none in RMSE.
    assert [len(panel.series[0].x) for panel in panels[1:]] == [4, 2]


def test_the_table_warns_of_choosing(found: Family) -> None:
    grid = family_grid(family_table(found, hull_loss=100), found.scores, hull_loss=100)
    text = to_markdown([grid])
    assert [row[1] for row in grid.rows] == ["0.3", "1", f"{HULL}¹"]
    assert "Do not quote" in grid.notes[0]
    assert "Encoder2 miou -4.7 %" in grid.notes[0]
    assert "-10.00 % [-10.00, -10.00]" in text


def test_a_panel_has_a_curve_for_each_member_and_the_benchmark(found: Family) -> None:
    chart = family_chart(found)
    assert [panel.title for panel in chart.panels] == [
        "semantic segmentation",
        "disparity",
        "reconstruction",
    ]
    assert [key.name for key in chart.legend] == ["benchmark", "0.3", "1", HULL]
    for panel in chart.panels:
        curves = [series for series in panel.series if series.kind == "curve"]
        assert len(curves) == 3
        assert len({(x.look.ink, x.look.mark) for x in curves}) == 3
        # Means over seeds: 0.9 x (1, 1.1) / 2 and so on.
        assert curves[0].x == pytest.approx(tuple(0.945 * RATE))
    assert len(draw(chart).axes) == 3


def test_other_benchmarks_are_refused() -> None:
    other = experiment(0.9, 0.9)
    other.loc[other["arm"] == "benchmark", "bpfe"] *= 1.01
    with pytest.raises(FamilyError, match="b has other benchmark results than a"):
        family({"a": experiment(0.9, 0.9), "b": other}, SCORES)
    with pytest.raises(FamilyError, match="two or more"):
        family({"a": experiment(0.9, 0.9)}, SCORES)
    with pytest.raises(FamilyError, match="other tasks"):
        family({"a": experiment(0.9, 0.9), "b": experiment(0.9, 0.9).drop(columns="psnr")}, SCORES)


def test_the_command_reads_what_git_holds(tmp_path: Path, repository: Path) -> None:
    call = partial(start, tmp_path, PYTHONPATH=str(repository))
    call("git", "init", "-q", "-b", "main")
    call("dvc", "init", "-q")
    call("git", "config", "user.email", "a@b.c")
    call("git", "config", "user.name", "a")
    (tmp_path / "reports").mkdir()
    settings = (repository / "params.yaml").read_text().replace("weights: file", "weights: none")
    (tmp_path / "params.yaml").write_text(settings)
    for name, factors in (("first", (0.9, 0.99)), ("second", (0.8, 0.88))):
        experiment(*factors).to_csv(tmp_path / "reports/points.csv", index=False)
        call("git", "checkout", "-q", "-b", name)
        call("git", "add", ".")
        call("git", "commit", "-qm", name)
    done = call("python", "-m", "stages.family", "first", "weight 2=second")
    assert done.returncode == 0, done.stderr
    assert "| weight 2 " in done.stdout
    assert "-20.00 %" in done.stdout
    written = {path.name for path in (tmp_path / "reports/family").iterdir()}
    assert written == {"family.csv", "family.md", "family.tex", "family.png", "family.svg"}
    twice = call("python", "-m", "stages.family", "a=first", "a=second")
    assert twice.stderr.splitlines()[-1].startswith("error: two experiments have the same label")
    refused = call("python", "-m", "stages.family", "first", "nothing")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("error: nothing has no reports/points.csv")
