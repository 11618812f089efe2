"""Intervals and diagnostics beside each BD-rate, and how they are worded."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.report.found.findings import Findings, find
from pipeline.report.found.models import DRAW, Measured, band_table, points_table
from pipeline.report.found.published import published_rates
from pipeline.report.found.table import KINDS, bd_table, to_metrics
from pipeline.report.found.trust import trust_table
from pipeline.report.tables.bd import bd_grid, diagnostics_grid
from pipeline.report.text.verdict import at_equal_codec, at_equal_score, in_two_sentences
from pipeline.report.text.why import with_sentences
from pipeline.scoring.bootstrap import bootstrap_bd_rate
from pipeline.scoring.metrics import SCORES
from pipeline.scoring.trust import LittleOverlap, OneSeed, WideInterval, diagnose
from tests.support.report_models import CODECS, IMAGES, arms, model

RESAMPLES = 100


def trust_of(models: list[Measured], method: str = "cubic") -> pd.DataFrame:
    bd = bd_table(points_table(models, SCORES), SCORES, method)
    options: dict[str, Any] = {
        "method": method,
        "resamples": RESAMPLES,
        "level": 0.9,
        "lossless": ["png"],
    }
    return trust_table(bd, models, SCORES, **options)


def found_of(models: list[Measured]) -> Findings:
    options: dict[str, Any] = {"method": "cubic", "resamples": RESAMPLES, "level": 0.9}
    return find(models, SCORES, **options, joint_loss=1.0, lossless=["png"])


def table_1(trust: pd.DataFrame) -> list[tuple[str, ...]]:
    options = {"resamples": RESAMPLES, "images": IMAGES}
    return list(bd_grid(trust, SCORES, published_rates(), level=0.9, **options).rows)


@pytest.mark.parametrize("method", ["cubic", "pchip"])
def test_intervals_are_the_bootstraps_own(method: str) -> None:
    benchmark, proposed = arms(disorder=True)
    trust = trust_of([benchmark, proposed], method).set_index(["task", "kind"])
    for task, score in SCORES.items():
        for kind, compute in KINDS.items():
            expected = bootstrap_bd_rate(
                *([benchmark.curve(task)], [proposed.curve(task)], score),
                resamples=RESAMPLES,
                level=0.9,
                seed=DRAW,
                rate=partial(compute, method=method),
            )
            row = trust.loc[task, kind]
            known = [expected.percent, expected.low, expected.high]
            np.testing.assert_array_equal(
                row[["percent", "low", "high"]].to_numpy(float), np.array(known, float)
            )
    assert trust["percent"].isna().tolist() == [True, False] * 3


def test_intervals_show_in_table_1() -> None:
    trust = trust_of(arms())
    row = trust.iloc[0]
    text = f"{row['percent']:+.2f} % [{row['low']:+.2f}, {row['high']:+.2f}]"
    assert -25 < row["low"] < -20 < row["high"] < -15
    assert table_1(trust)[0] == (
        *("Encoder2", "mIoU (segmentation)"),
        *(text, text, "-20.68 %"),
    )


def test_identical_arms_show_no_difference() -> None:
    trust = trust_of(arms(rate=1.0, noise_seed=0))
    assert (trust[["percent", "low", "high"]] == 0).all(axis=None)
    assert {cell for row in table_1(trust) for cell in row[2:4]} == {
        "0.00 % [0.00, 0.00], no difference shown"
    }
    assert at_equal_score(trust, SCORES, "encoder2") == (
        "Encoder2: at equal mIoU, IRMSE and PSNR no difference is shown."
    )
    found = found_of(arms(rate=1.0, noise_seed=0))
    sentence = at_equal_codec(found.compared, found.uncompressed, SCORES, "encoder2")
    assert sentence == "At the same codec setting both arms send exactly as many bits."
    assert in_two_sentences(found.trust, found.compared, SCORES) == (
        "With the rate loss and without, features cost exactly as many bits. "
        "At equal score it shows no difference in 3 of 3 comparisons (1 encoder, 3 tasks)."
    )


def test_arms_that_differ_by_chance_show_no_difference() -> None:
    trust = trust_of(arms(rate=1.0, noise_seed=5))
    rows = trust[trust["kind"] == "bd_rate"]
    assert (rows["percent"] != 0).all()
    for row, cells in zip(rows.to_dict("records"), table_1(trust), strict=True):
        holds = row["low"] <= 0 <= row["high"]
        assert row["no_difference"] == holds
        assert cells[2].endswith("no difference shown") == holds
    assert rows["no_difference"].any()


def test_disorder_leaves_the_envelope_and_says_why() -> None:
    found = found_of(arms(disorder=True))
    cells = table_1(found.trust)[0]
    assert cells[2] == "n/a ¹"
    assert cells[3].startswith("-")
    assert found.grids[0].notes[0] == "not monotone: proposed at JPEG-90"
    strict, envelope = diagnostics_grid(found.trust, SCORES).rows[:2]
    assert strict[2:5] == ("BD-rate", "not available ¹", "proposed: JPEG-90")
    assert envelope[2:5] == ("Envelope BD-rate", "do not quote ²", "left out")
    sentence = at_equal_score(found.trust, SCORES, "encoder2")
    assert sentence.startswith("Encoder2: the rate loss saves ")
    how = "(between the envelopes of the curves; not firm, see the diagnostics)."
    assert sentence.endswith(f"at equal PSNR {how}")
    metrics = to_metrics(found.trust)
    assert metrics["bd_rate"] == {"encoder2-0": {"miou": None, "irmse": None, "psnr": None}}
    assert all(x < 0 for x in metrics["envelope_bd_rate"]["encoder2-0"].values() if x)


def test_diagnostics_are_those_of_diagnose() -> None:
    benchmark, proposed = arms()
    row = trust_of([benchmark, proposed]).set_index(["task", "kind"]).loc["disparity", "bd_rate"]
    four = []
    for each in (benchmark, proposed):
        curve = each.curve("disparity")
        four += [curve.rate_PN.mean(1), [SCORES["disparity"].compute(x) for x in curve.sums]]
    expected = diagnose(*four, points=CODECS)
    assert row["bd_score"] == expected.bd_score.difference
    assert row["without_lossless"] == expected.percent_without["png"]
    assert (row["left_out_low"], row["left_out_high"]) == expected.leave_one_out
    assert {x: row[x] for x in expected.percent_by_method} == expected.percent_by_method


def test_what_should_not_be_quoted_is_said() -> None:
    trust = trust_of(arms(rate=1.0, noise_seed=5))
    against = trust.loc[trust["no_difference"], "objections"]
    assert len(against)
    for objections in against:
        assert any(isinstance(x, WideInterval) for x in objections)
    verdicts = with_sentences(trust).loc[trust["no_difference"], "verdict"]
    assert verdicts.str.contains("90 % interval, .* is wider than the value is large").all()


def test_one_seed_is_never_firm() -> None:
    found = found_of(arms())
    assert found.trust["objections"].map(lambda x: OneSeed() in x).all()
    assert in_two_sentences(found.trust, found.compared, SCORES).endswith(
        "; none of these numbers is firm enough to quote."
    )


def test_the_result_counts_what_came_out() -> None:
    found = found_of(arms())
    nothing = [()] * len(found.trust)
    found = replace(found, trust=found.trust.assign(objections=nothing))
    percents = found.compared["bits_percent"].abs()
    first = f"With the rate loss, features cost {percents.min():.1f}"
    text = in_two_sentences(found.trust, found.compared, SCORES)
    assert text.startswith(first)
    assert text.endswith(
        "% fewer bits at the same codec setting. At equal score it saves bits in 3 of 3 "
        "comparisons (1 encoder, 3 tasks); nothing speaks against quoting these numbers."
    )
    one_costs = found.trust["task"] == "disparity"
    loose = found.trust.assign(
        percent=found.trust["percent"].where(~one_costs, 5.0),
        objections=[(LittleOverlap(0.1),) if costs else () for costs in one_costs],
    )
    mixed = found.compared.assign(bits_percent=[*found.compared["bits_percent"][1:], 2.0])
    text = in_two_sentences(loose, mixed, SCORES)
    assert "% fewer and 2.0 % more bits at the same codec setting. " in text
    assert text.endswith(
        "At equal score it saves bits in 2 of 3 comparisons (1 encoder, 3 tasks) and costs bits in "
        "1; 2 of these numbers are firm enough to quote."
    )
    contested = found.trust.assign(pchip=found.trust["pchip"].where(~one_costs, 4.0))
    text = in_two_sentences(contested, found.compared, SCORES)
    assert "saves bits in 2 of 3 comparisons (1 encoder, 3 tasks) and saves or costs" in text
    assert (
        "at equal IRMSE some methods of interpolation find bits saved and others"
        in at_equal_score(contested, SCORES, "encoder2")
    )
    assert "costs 5.0 % of the bits at equal IRMSE (not firm)" in at_equal_score(
        loose, SCORES, "encoder2"
    )
    none = found.trust.assign(objections=[(LittleOverlap(0.1),)] * len(found.trust))
    assert in_two_sentences(none, found.compared, SCORES).endswith(
        "; none of these numbers is firm enough to quote."
    )
    assert at_equal_score(none, SCORES, "encoder2").endswith("(not firm, see the diagnostics).")


def test_over_seeds_the_mean_has_the_interval() -> None:
    models = [
        model(arm, seed=seed, rate=rate if arm == "proposed" else 1.0, noise_seed=seed)
        for seed, rate in ((0, 0.9), (1, 0.8), (2, 0.7))
        for arm in ("benchmark", "proposed")
    ]
    trust = trust_of(models)
    assert trust["seed"].unique().tolist() == [0, 1, 2, "mean"]
    of_mean = trust["seed"] == "mean"
    assert trust.loc[~of_mean, "low"].isna().all()
    pairs = [[x for x in models if x.arm == arm] for arm in ("benchmark", "proposed")]
    expected = bootstrap_bd_rate(
        *([x.curve("disparity") for x in arm] for arm in pairs),
        SCORES["disparity"],
        resamples=RESAMPLES,
        level=0.9,
        seed=DRAW,
    )
    row = trust[of_mean].set_index(["task", "kind"]).loc["disparity", "bd_rate"]
    assert (row["percent"], row["low"], row["high"]) == (
        pytest.approx(expected.percent),
        expected.low,
        expected.high,
    )
    # One figure per seed would be an interval of its own: seeds differ by more than images do.
    assert row["high"] - row["low"] > 5
    grid = bd_grid(
        *(trust, SCORES, published_rates()), resamples=RESAMPLES, level=0.9, images=IMAGES
    )
    assert "over images and seeds" in grid.title
    assert grid.rows[-1][0] == "Encoder2, mean of 3"
    assert "±" in grid.rows[-1][2]
    assert "±" not in grid.rows[0][2]
    assert len(diagnostics_grid(trust, SCORES).rows) == 3 * 3 * 2


def test_bands_hold_the_scores_and_widen_with_the_level() -> None:
    models = arms()
    points = points_table(models, SCORES).set_index(["arm", "codec"])
    widths = []
    for level in (0.5, 0.95):
        bands = band_table(models, SCORES, resamples=200, level=level)
        assert len(bands) == 2 * 3 * len(CODECS)
        for row in bands.to_dict("records"):
            assert row["low"] < points.loc[(row["arm"], row["codec"]), row["score"]] < row["high"]
        widths.append((bands["high"] - bands["low"]).mean())
    assert widths[0] < widths[1]
