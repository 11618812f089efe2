"""Reference points, the joint view, the rate loss against bytes, the classes: all by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, spearmanr

from pipeline.data.labels import CLASSES
from pipeline.report.found.joint import joint_table, largest_loss
from pipeline.report.found.models import (
    iou_table,
    picture_table,
    points_table,
    rate_loss_table,
    uncompressed_table,
)
from pipeline.report.found.table import check_points, point_table
from pipeline.report.tables.points import joint_grid, picture_grid, point_grids, rate_loss_grid
from pipeline.scoring.metrics import SCORES
from tests.support.report_models import CODECS, IMAGES, arms, model


def test_points_by_hand() -> None:
    one = model("benchmark")
    points = points_table([one], SCORES)
    assert set(check_points(points, SCORES)) == set(SCORES)
    row = points.set_index("codec").loc["jpeg-60"]
    size = one.codecs["jpeg-60"].bytes_N.mean()
    assert row["bpfe"] == pytest.approx(8 * size / 8192)
    assert row["bpfe_payload"] == pytest.approx(8 * (size - 22) / 8192)
    assert row["bpp"] == pytest.approx(8 * size / (128 * 64))
    assert row["kilobytes"] == pytest.approx(size / 1000)
    sums = one.codecs["jpeg-60"].sums["reconstruction"]
    psnr = np.mean(-10 * np.log10(sums["image_squared_error"] / sums["image_values"]))
    assert row["psnr"] == pytest.approx(psnr)


def test_uncompressed_is_a_row_of_the_point_table() -> None:
    models = arms()
    free = uncompressed_table(models, SCORES)
    (grid,) = point_grids(point_table(points_table(models, SCORES), SCORES), free, SCORES)
    assert grid.rows[-1][:4] == ("uncompressed", "32.000", "32.000", "0.00 %")
    score = SCORES["disparity"].compute(models[1].uncompressed["disparity"])
    assert grid.rows[-1][5] == f"{score:.4f} (0.0000)"
    assert len(grid.rows) == len(CODECS) + 1
    assert "Uncompressed" in grid.title
    (without,) = point_grids(
        point_table(points_table(models, SCORES), SCORES), pd.DataFrame(), SCORES
    )
    assert len(without.rows) == len(CODECS)
    assert "Uncompressed" not in without.title


def test_pictures_are_measured_in_bytes_of_the_picture() -> None:
    models = arms()
    pictures = picture_table(models, SCORES)
    assert pictures["arm"].tolist() == ["benchmark"]
    assert pictures["kilobytes"].item() == models[0].pictures["90"].bytes_N.mean() / 1000
    assert pictures["bpp"].item() == pytest.approx(pictures["kilobytes"].item() * 8000 / 8192)
    (row,) = picture_grid(pictures, SCORES).rows
    assert row[:2] == ("Encoder2", "JPEG-90")
    assert picture_table([models[1]], SCORES).empty


def test_joint_rate_is_that_of_the_task_hit_worst() -> None:
    models = arms()
    joint = joint_table(models, SCORES, loss_percent=20)
    points = points_table(models, SCORES)
    lost = largest_loss(points, uncompressed_table(models, SCORES), SCORES)
    for row in joint.to_dict("records"):
        curve = lost[lost["arm"] == row["arm"]].sort_values("bpfe")
        good, bad = curve[curve["lost"] <= 20], curve[curve["lost"] > 20]
        assert bad["bpfe"].max() <= row["bpfe"] <= good["bpfe"].min()
        assert row["limiting"] == "disparity"
        assert row["kilobytes"] == pytest.approx(row["bpfe"] * 8192 / 8000)
        assert row["bpp"] == pytest.approx(row["bpfe"])
    (cells,) = joint_grid(joint, loss_percent=20).rows
    assert cells[1].endswith("(disparity)")
    assert float(cells[-1].removesuffix(" %")) == pytest.approx(-20, abs=2)


def test_joint_rate_that_no_codec_reaches_has_a_reason() -> None:
    joint = joint_table(arms(), SCORES, loss_percent=0.1)
    grid = joint_grid(joint, loss_percent=0.1)
    assert grid.rows[0][1:] == ("n/a ¹", "n/a ¹", "n/a", "n/a", "n/a")
    assert "even at the highest rate" in grid.notes[0]


def test_correlation_of_the_rate_loss_with_bytes() -> None:
    generator = np.random.default_rng(3)
    one = model("benchmark")
    loss_N = generator.random(IMAGES).astype(np.float32)
    noisy = type(one)(**{**vars(one), "rate_loss_N": loss_N})
    table = rate_loss_table([noisy]).set_index("codec")
    bytes_N = noisy.codecs["png"].bytes_N
    assert table.loc["png", "pearson"] == pytest.approx(pearsonr(loss_N, bytes_N)[0])
    assert table.loc["png", "spearman"] == pytest.approx(spearmanr(loss_N, bytes_N)[0])
    exact = rate_loss_table([one])
    np.testing.assert_allclose(exact["pearson"], 1, atol=1e-4)
    constant = type(one)(**{**vars(one), "rate_loss_N": np.ones(IMAGES, np.float32)})
    assert rate_loss_table([constant])["pearson"].isna().all()
    assert set(rate_loss_grid(rate_loss_table([constant])).rows[0][2:]) == {"n/a"}


def test_classes_that_never_occur_have_no_iou() -> None:
    table = iou_table(arms(), SCORES)
    assert set(table["codec"]) == {*CODECS, "uncompressed"}
    absent = table["class"].isin(CLASSES[16:])
    assert table.loc[absent, "iou"].isna().all()
    at_png = table[(table["arm"] == "benchmark") & (table["codec"] == "png") & ~absent]
    points = points_table(arms(), SCORES).set_index(["arm", "codec"])
    assert at_png["iou"].mean() == pytest.approx(points.loc[("benchmark", "png"), "miou"])
    assert iou_table(arms(tasks=("disparity",)), SCORES).empty
