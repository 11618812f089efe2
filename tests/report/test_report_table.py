"""The report's tables: the published Table 1, cases by hand, and what n/a looks like.

Long on purpose: what holds of one thing is in one place.
"""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.report.found.kinds import kinds_of
from pipeline.report.found.obstacles import SeedsWithout
from pipeline.report.found.published import published_points, published_rates
from pipeline.report.found.table import (
    bd_table,
    headline_rates,
    headline_scores,
    point_table,
    seed_means,
    to_metrics,
    with_means,
)
from pipeline.report.tables.bd import Drawn, bd_grid, hull_grid
from pipeline.report.tables.grid import to_markdown
from pipeline.report.tables.points import point_grids
from pipeline.report.text.why import missing
from pipeline.scoring.objections import LittleOverlap
from pipeline.scoring.obstacles import NotMonotone

from pipeline.files import write_json
from pipeline.scoring.bdrate import hull_rate
from pipeline.scoring.metrics import SCORES
from tests.support.published import TABLE_1


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    """The paper's operating points as a table of points."""
    return published_points()


PUBLISHED = published_rates()


def table_of(points: pd.DataFrame) -> pd.DataFrame:
    """BD-rates of all points, in every kind."""
    codecs = list(dict.fromkeys(points["codec"]))
    return bd_table(points, SCORES, kinds_of(codecs, fixed=codecs, lossless=()))


def strict(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the paper's figure."""
    return table[table["kind"] == "bd_rate"]


def text_of(points: pd.DataFrame, objections: tuple[LittleOverlap, ...] = ()) -> str:
    """Table 1 and the tables of codec points as Markdown, without intervals."""
    present = {task: score for task, score in SCORES.items() if score.name in points}
    blank = {"low": np.nan, "high": np.nan, "no_interval": None, "no_difference": False}
    table = with_means(table_of(points)).assign(**blank, noise=np.nan, near_top=np.nan)
    table["objections"] = [objections] * len(table)
    drawn = Drawn(resamples=100, level=0.95, images=10)
    grids = [
        hull_grid(table, present, drawn, loss_percent=100),
        bd_grid(table, present, PUBLISHED, drawn, points=[]),
    ]
    compared = point_table(points, present)
    return to_markdown([*grids, *point_grids(compared, pd.DataFrame(), present)])


def curves(
    benchmark: list[float], proposed: list[float], scores: list[float], **more: object
) -> pd.DataFrame:
    """Both arms of one encoder with the same PSNR at each of their codec points."""
    rows = [
        {"arm": arm, "codec": f"jpeg-{90 - i}", "bpfe": bpfe, "psnr": score}
        for arm, rates in (("benchmark", benchmark), ("proposed", proposed))
        for i, (bpfe, score) in enumerate(zip(rates, scores, strict=True))
    ]
    common = {"encoder": "encoder1", "seed": 0, "bpfe_payload": 1.0, "kilobytes": 1.0, **more}
    return pd.DataFrame(rows).assign(**common)


FALLING = [4.0, 3.0, 2.0, 1.0]
SAVING = [3.5, 2.6, 1.7, 0.8]
PSNR = [28.0, 27.0, 25.0, 20.0]


def test_bd_table_of_the_published_points_is_the_published_table(published: pd.DataFrame) -> None:
    table = strict(table_of(published))
    assert len(table) == 6
    for row in table.itertuples():
        assert row.percent == pytest.approx(TABLE_1[row.encoder, row.score], abs=0.005)
        assert row.seed == 0
        assert row.obstacle is None
    overlap = table.set_index(["encoder", "score"])["overlap"]
    assert overlap["encoder2", "miou"] == pytest.approx(0.70, abs=0.005)
    assert overlap["encoder2", "irmse"] == pytest.approx(0.61, abs=0.005)


def test_order_of_the_rows_does_not_matter(published: pd.DataFrame) -> None:
    keys = ["encoder", "score", "kind"]
    expected = table_of(published).set_index(keys)["percent"]
    shuffled = table_of(published.sample(frac=1, random_state=3)).set_index(keys)["percent"]
    pd.testing.assert_series_equal(shuffled.sort_index(), expected.sort_index())


def test_only_scores_that_are_present_are_reported(published: pd.DataFrame) -> None:
    points = published.drop(columns=["irmse", "psnr"])
    assert set(table_of(points)["score"]) == {"miou"}
    assert "irmse_change" not in point_table(points, SCORES)
    text = text_of(points)
    assert "mIoU" in text
    assert "IRMSE" not in text


@given(
    rates=st.lists(st.floats(0.1, 8), min_size=4, max_size=9, unique_by=lambda x: round(x, 2)),
    slope=st.floats(0.1, 5),
)
@settings(max_examples=20, deadline=None)
def test_identical_arms_make_no_difference(rates: list[float], slope: float) -> None:
    rates = sorted(rates, reverse=True)
    points = curves(rates, rates, [20 + slope * np.log(rate) for rate in rates])
    table = table_of(points)
    assert table["percent"].tolist() == [0.0, 0.0]
    compared = point_table(points, SCORES)
    assert (compared["bits_percent"] == 0).all()
    assert (compared["psnr_change"] == 0).all()
    text = text_of(points)
    rows = re.findall(r"\| Encoder1 +\| PSNR \(reconstruction\) +\| +0\.00 % \|", text)
    assert len(rows) == 2
    assert "-0.00" not in text


def test_constant_saving_is_found() -> None:
    points = curves(FALLING, [0.8 * rate for rate in FALLING], PSNR)
    assert table_of(points)["percent"].tolist() == pytest.approx([-20.0] * 2)


def test_the_hull_leaves_out_what_is_beaten() -> None:
    points = curves([*FALLING, 4.5], [*SAVING, 4.0], [*PSNR, 27.5])
    table = table_of(points).set_index("kind")
    assert np.isnan(table.loc["bd_rate", "percent"])
    obstacle = table.loc["bd_rate", "obstacle"]
    assert isinstance(obstacle, NotMonotone)
    assert (obstacle.curve, [x.rate for x in obstacle.beaten]) == ("anchor", [4.5])
    kept = points[points["bpfe"].ne(4.5) & points["bpfe"].ne(4.0) | points["psnr"].eq(28.0)]
    by_arm = [kept[kept["arm"] == arm] for arm in ("benchmark", "proposed")]
    columns = [x[name].to_numpy() for x in by_arm for name in ("bpfe", "psnr")]
    expected = hull_rate(*columns).percent
    assert table.loc["hull_bd_rate", "percent"] == pytest.approx(expected)


def test_point_table_by_hand() -> None:
    points = pd.DataFrame(
        [
            ("encoder1", "benchmark", 3, "png", 4.0, 3.9, 5.0, 0.50, 20.0),
            ("encoder1", "benchmark", 3, "jpeg-90", 2.0, 1.9, 2.5, 0.40, 18.0),
            ("encoder1", "proposed", 3, "jpeg-90", 1.5, 1.4, 2.0, 0.43, 17.5),
            ("encoder1", "proposed", 3, "png", 5.0, 4.9, 6.0, 0.48, 20.0),
            ("encoder1", "proposed", 3, "jpeg-10", 0.5, 0.4, 0.6, 0.10, 10.0),
        ],
        columns=[
            *["encoder", "arm", "seed", "codec", "bpfe", "bpfe_payload", "kilobytes"],
            *["miou", "psnr"],
        ],
    )
    table = point_table(points, SCORES)
    assert table["codec"].tolist() == ["png", "jpeg-90"]
    assert table["bits_percent"].tolist() == pytest.approx([25.0, -25.0])
    assert table["bpfe_benchmark"].tolist() == [4.0, 2.0]
    assert table["bpfe_proposed"].tolist() == [5.0, 1.5]
    assert table["miou_change"].tolist() == pytest.approx([-0.02, 0.03])
    assert table["psnr_change"].tolist() == pytest.approx([0.0, -0.5])
    text = text_of(points)
    assert "| PNG     |          4.000 |         5.000 | +25.00 % | 48.00 (-2.00) |" in text
    assert "| JPEG-90 |          2.000 |         1.500 | -25.00 % | 43.00 (+3.00) |" in text


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(curves(FALLING[:3], SAVING[:3], PSNR[:3]), id="three points"),
        pytest.param(curves(FALLING, SAVING, [20.0, 22.0, 21.0, 19.0]), id="not monotone"),
        pytest.param(curves(FALLING, SAVING, [np.nan, 22.0, 21.0, 19.0]), id="score missing"),
        pytest.param(
            curves(FALLING, FALLING, PSNR).query("arm == 'benchmark'"), id="one arm alone"
        ),
        pytest.param(
            curves(FALLING, FALLING, PSNR).assign(
                psnr=lambda x: x["psnr"] + 100 * (x["arm"] == "proposed")
            ),
            id="no overlap",
        ),
    ],
)
def test_what_cannot_be_computed_has_a_reason_and_no_number(points: pd.DataFrame) -> None:
    table = table_of(points)
    assert strict(table)["percent"].isna().all()
    reason = missing(strict(table)["obstacle"].item())
    assert "anchor" not in reason
    assert to_metrics(table)["bd_rate"] == {"encoder1-0": {"psnr": None}}
    lines = text_of(points).split("**Table 2.**")[1].splitlines()
    assert re.search(
        r"\(reconstruction\) +\| +n/a ¹ \|", next(x for x in lines if "| Encoder1" in x)
    )
    assert f"¹ {reason}" in [line.strip() for line in lines]


def test_small_overlap_is_footnoted() -> None:
    points = curves(FALLING, FALLING, PSNR)
    points.loc[points["arm"] == "proposed", "psnr"] += 7
    assert np.isfinite(table_of(points)["percent"]).all()
    against = (LittleOverlap(table_of(points)["overlap"].iloc[0]),)
    table = text_of(points, against)
    assert "do not quote ¹" in table
    assert "¹ the curves share only 7 % of their range of scores" in table


def test_same_note_keeps_its_number() -> None:
    points = curves(FALLING[:3], SAVING[:3], PSNR[:3]).assign(miou=lambda x: x["psnr"] / 100)
    text = text_of(points)
    assert text.count("n/a ¹") == 2
    assert "²" not in text


def several_seeds(broken: bool = False) -> pd.DataFrame:
    parts = []
    for seed, factor in enumerate([0.9, 0.8, 0.7]):
        part = curves(FALLING, [factor * rate for rate in FALLING], PSNR, seed=seed)
        if broken and seed == 1:
            part = part[part["codec"] != "jpeg-90"]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def test_mean_over_seeds() -> None:
    points = several_seeds()
    table = table_of(points)
    mean = seed_means(table)
    expected = 100 * ((0.9 * 0.8 * 0.7) ** (1 / 3) - 1)
    assert mean["percent"].tolist() == pytest.approx([expected] * 2)
    assert mean["deviation"].tolist() == pytest.approx([10.0] * 2)
    assert to_metrics(table)["bd_rate"]["encoder1-mean"]["psnr"] == pytest.approx(expected)
    text = text_of(points)
    assert [line.split("|")[1].strip() for line in text.splitlines() if "| Encoder1" in line] == [
        "Encoder1, mean of 3",
    ] * 2
    assert "-20.42 ± 10.00 % |" in text


def test_mean_over_seeds_needs_every_seed() -> None:
    table = table_of(several_seeds(broken=True))
    assert strict(table)["percent"].isna().tolist() == [False, True, False]
    mean = strict(seed_means(table))
    assert mean["percent"].isna().all()
    assert mean["obstacle"].tolist() == [SeedsWithout((1,))]
    assert to_metrics(table)["bd_rate"]["encoder1-mean"] == {"psnr": None}


def test_markdown_tables_are_well_formed(published: pd.DataFrame) -> None:
    text = text_of(published)
    assert "-20.68 %" in text
    assert "57.01 (+0.92)" in text
    blocks = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 4
    for block in blocks:
        lines = block.strip().splitlines()
        assert len({len(line) for line in lines}) == 1
        assert len({line.count("|") for line in lines}) == 1
        assert set(lines[1]) <= set("|-: ")


def test_published_points_are_the_authors(repository: Path) -> None:
    ours = (repository / "pipeline/report/found/alvar2019_points.csv").read_bytes()
    assert ours == (repository / "tests/data/alvar2019_points.csv").read_bytes()
    points = published_points()
    assert len(points) == 20
    # 512 channels of 8 x 16 for 512 x 256 pixels: half as many elements as pixels.
    of_one = points[points["encoder"] == "encoder1"]
    np.testing.assert_allclose(of_one["bpp"], of_one["bpfe"] / 2)


def test_headline_has_the_papers_rate_and_the_hulls(published: pd.DataFrame) -> None:
    rates = headline_rates(to_metrics(table_of(published)))
    assert all(x < 0 for of in rates["hull_bd_rate"].values() for x in of.values())
    found = {
        (e, s): x for e in ("encoder1", "encoder2") for s, x in rates["bd_rate"][e + "-0"].items()
    }
    assert found == pytest.approx(TABLE_1, abs=0.005)


def test_headline_says_which_rate_there_is_none_of() -> None:
    points = curves([*FALLING, 1.5], [*SAVING, 0.9], [*PSNR, PSNR[-1] - 0.01])
    table = table_of(points)
    of_hull = table.loc[table["kind"] == "hull_bd_rate", "percent"].item()
    assert np.isfinite(of_hull)
    assert headline_rates(to_metrics(table)) == {
        "bd_rate": {"encoder1-0": {"psnr": None}},
        "hull_bd_rate": {"encoder1-0": {"psnr": of_hull}},
    }


def test_headline_of_several_seeds_is_their_mean() -> None:
    points = several_seeds()
    rates = headline_rates(to_metrics(table_of(points)))
    assert rates["bd_rate"] == {"encoder1-mean": {"psnr": pytest.approx(-20.4189, abs=1e-3)}}
    first = points["codec"].iloc[0]
    assert headline_scores(points, first, SCORES) == {
        first: {
            "encoder1-benchmark-mean": {"bpfe": FALLING[0], "psnr": PSNR[0]},
            "encoder1-proposed-mean": {"bpfe": pytest.approx(0.8 * FALLING[0]), "psnr": PSNR[0]},
        }
    }


def test_headline_scores_name_the_seed_there_is() -> None:
    points = curves(FALLING, SAVING, [np.nan, *PSNR[1:]])
    first = points["codec"].iloc[0]
    assert headline_scores(points, first, SCORES)[first]["encoder1-proposed-0"] == {
        "bpfe": SAVING[0],
        "psnr": None,
    }


def test_json_is_strict(tmp_path: Path) -> None:
    points = curves(FALLING[:3], SAVING[:3], PSNR[:3])
    path = tmp_path / "metrics.json"
    write_json(path, to_metrics(table_of(points)))
    assert "NaN" not in path.read_text()
    assert json.loads(path.read_text())["bd_rate"]["encoder1-0"]["psnr"] is None


def test_bad_points_are_named(published: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"lacks.*'bpfe'"):
        table_of(published.drop(columns="bpfe"))
    with pytest.raises(ValueError, match="no rows"):
        table_of(published.head(0))
    with pytest.raises(ValueError, match=r"arms \['other'\]; allowed"):
        table_of(published.assign(arm="other"))
    with pytest.raises(ValueError, match=r"'codec': 'png'.*more than once"):
        table_of(pd.concat([published, published.head(1)]))
    with pytest.raises(ValueError, match=r"no score; expected one or more of.*'psnr'"):
        point_table(published.drop(columns=["miou", "irmse", "psnr"]), SCORES)
