"""Reference points, the joint view, the rate loss against bytes, the classes: all by hand."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pipeline.report.found.joint import joint_table, lost_table
from pipeline.report.found.models import (
    iou_table,
    picture_table,
    points_table,
    rate_loss_table,
    remembered,
    uncompressed_table,
)
from pipeline.report.found.table import check_points, point_table
from pipeline.report.tables.points import joint_grid, picture_grid, point_grids, rate_loss_grid
from pipeline.report.text.why import without_records
from scipy import stats
from scipy.stats import pearsonr, spearmanr

from pipeline.labels import CLASSES
from pipeline.scoring.bootstrap import image_counts
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


OPTIONS = {"resamples": 100, "level": 0.9}


def test_joint_rate_holds_both_arms_against_the_benchmark() -> None:
    models = arms()
    (row,) = joint_table(models, SCORES, loss_percent=20, **OPTIONS).to_dict("records")
    points = points_table(models, SCORES)
    lost = lost_table(points, uncompressed_table(models, SCORES), SCORES)
    free = {task: score.compute(models[0].uncompressed[task]) for task, score in SCORES.items()}
    for arm in ("benchmark", "proposed"):
        curve = lost[lost["arm"] == arm].sort_values("bpfe")
        worst = [
            max(100 * (1 - x[SCORES[task].name] / free[task]) for task in SCORES)
            for x in curve.to_dict("records")
        ]
        assert curve["lost"].tolist() == pytest.approx(worst)
        good, bad = curve[curve["lost"] <= 20], curve[curve["lost"] > 20]
        assert bad["bpfe"].max() <= row[f"bpfe_{arm}"] <= good["bpfe"].min()
        assert row[f"limiting_{arm}"] == "disparity"
        assert row[f"kilobytes_{arm}"] == pytest.approx(row[f"bpfe_{arm}"] * 8192 / 8000)
        assert row[f"bpp_{arm}"] == pytest.approx(row[f"bpfe_{arm}"])
    assert row["bits_percent"] == pytest.approx(-20, abs=2)
    assert row["low"] < row["bits_percent"] < row["high"] < -10


def test_joint_interval_counts_seeds() -> None:
    models = [
        model(arm, seed=seed, rate=rate if arm == "proposed" else 1.0, noise_seed=seed)
        for seed, rate in enumerate((0.7, 0.8, 0.9))
        for arm in ("benchmark", "proposed")
    ]
    joint = joint_table(models, SCORES, loss_percent=20, **OPTIONS)
    # Seeds alone: Student's interval of three logarithms.
    gaps = np.log1p(joint["bits_percent"] / 100)
    reach = stats.t.ppf(0.95, 2) * gaps.std() / np.sqrt(3)
    assert joint["low"].unique() == pytest.approx(100 * np.expm1(gaps.mean() - reach), abs=2)
    assert joint["high"].unique() == pytest.approx(100 * np.expm1(gaps.mean() + reach), abs=3)
    grid = joint_grid(joint, loss_percent=20, level=0.9)
    assert [row[0] for row in grid.rows][-1] == "Encoder2, mean"
    assert re.fullmatch(
        r"-2\d\.\d\d % \[-\d+\.\d, [-+]\d+\.\d\](, no difference shown)?", grid.rows[-1][-1]
    )


def test_joint_rate_of_one_seed_is_not_to_be_quoted() -> None:
    grid = joint_grid(
        joint_table(arms(), SCORES, loss_percent=20, **OPTIONS), loss_percent=20, level=0.9
    )
    assert grid.rows[0][1].endswith("(disparity)")
    assert grid.rows[-1][-1].endswith("¹")
    assert "do not quote" in grid.notes[0]


def test_joint_rate_that_no_codec_reaches_has_a_reason() -> None:
    joint = joint_table(arms(), SCORES, loss_percent=0.1, **OPTIONS)
    grid = joint_grid(joint, loss_percent=0.1, level=0.9)
    assert grid.rows[0][1:] == ("n/a ¹", "n/a ²", "n/a", "n/a", "n/a")
    assert "even at the best point" in grid.notes[0]
    assert without_records(joint)["remark_benchmark"].str.contains("0.1 % are allowed").all()


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


@pytest.mark.parametrize("task", list(SCORES))
def test_a_remembered_score_is_computed_once_and_stays_the_same(task):
    calls = []

    def counted(sums, counts_RN):
        calls.append(len(counts_RN))
        return SCORES[task].resampled(sums, counts_RN)

    score = remembered(replace(SCORES[task], resampled=counted))
    sums = [model("benchmark").codecs[codec].sums[task] for codec in CODECS[:2]]
    draws = [image_counts(IMAGES, resamples=30, seed=seed) for seed in (0, 1)]
    draws += [np.ones((1, IMAGES)), np.ones((30, IMAGES))]
    for _ in range(2):
        for each in sums:
            for counts_RN in draws:
                found_R = score.resampled(each, counts_RN.copy())
                assert found_R.tobytes() == SCORES[task].resampled(each, counts_RN).tobytes()
    assert calls == [30, 30, 1, 30] * 2
