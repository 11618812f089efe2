"""Intervals and diagnostics beside each BD-rate, and how they are worded.

Long on purpose: what holds of one thing is in one place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pipeline.report.found.bounds import bounds_table
from pipeline.report.found.findings import Findings, find
from pipeline.report.found.kinds import Kind, kinds_of
from pipeline.report.found.models import DRAW, Measured, band_table, points_table
from pipeline.report.found.noise import noise_table
from pipeline.report.found.published import published_rates
from pipeline.report.found.table import MEAN, bd_table, to_metrics
from pipeline.report.found.trust import trust_table
from pipeline.report.tables.bd import Drawn, bd_grid, diagnostics_grid, hull_grid
from pipeline.report.text.verdict import (
    UNSURE,
    at_codec,
    at_equal_score,
    in_short,
    outcome,
    verdicts,
)
from pipeline.report.text.why import with_sentences
from pipeline.scoring.objections import (
    InsideNoise,
    LittleOverlap,
    NotAlike,
    NotCodedAlike,
    NothingLearned,
    OneSeed,
    WideInterval,
    size_of,
)
from pipeline.scoring.trust import diagnose

from pipeline.scoring.bdrate import bd_rate, hull_rate
from pipeline.scoring.bootstrap import bootstrap_bd_rate, image_counts
from pipeline.scoring.coded import Coded
from pipeline.scoring.metrics import SCORES
from pipeline.scoring.repeats import repeated_effect
from tests.support.report_models import CODECS, IMAGES, KINDS, arms, model, sums_at

RESAMPLES = 100


DRAWN = Drawn(resamples=RESAMPLES, level=0.9, images=IMAGES)


def trust_of(
    models: list[Measured],
    kinds: Mapping[str, Kind] = KINDS,
    trivial: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    return trust_table(
        *(bd_table(points_table(models, SCORES), SCORES, kinds), models, SCORES),
        kinds=kinds,
        resamples=RESAMPLES,
        level=0.9,
        lossless=["png"],
        noise=noise_table(models, SCORES, kinds),
        trivial=trivial or {},
    )


def found_of(models: list[Measured]) -> Findings:
    options: dict[str, Any] = {"kinds": KINDS, "resamples": RESAMPLES, "level": 0.9}
    return find(models, SCORES, **options, joint_loss=1.0, lossless=["png"])


def hull(trust: pd.DataFrame) -> list[tuple[str, ...]]:
    return list(hull_grid(trust, SCORES, DRAWN, loss_percent=100).rows)


def table_1(trust: pd.DataFrame) -> list[tuple[str, ...]]:
    return list(bd_grid(trust, SCORES, published_rates(), DRAWN, points=CODECS).rows)


def over_seeds(rates: Sequence[float], noise: int = 0) -> list[Measured]:
    """Both arms for each seed; the proposed arm costs this share of its benchmark."""
    return [
        model(arm, seed=seed, rate=rate if arm == "proposed" else 1.0, noise_seed=noise * seed)
        for seed, rate in enumerate(rates)
        for arm in ("benchmark", "proposed")
    ]


@pytest.mark.parametrize("method", ["cubic", "pchip"])
def test_intervals_are_the_bootstraps_own(method: str) -> None:
    benchmark, proposed = arms(disorder=True)
    kinds = kinds_of(CODECS, fixed=CODECS, lossless=["png"], method=method)
    trust = trust_of([benchmark, proposed], kinds).set_index(["task", "kind"])
    rates = {
        "hull_bd_rate": lambda score: partial(hull_rate, averaged=score.averaged),
        "bd_rate": lambda _: partial(bd_rate, method=method),
    }
    for task, score in SCORES.items():
        for kind, rate in rates.items():
            expected = bootstrap_bd_rate(
                *([benchmark.curve(task)], [proposed.curve(task)], score),
                resamples=RESAMPLES,
                level=0.9,
                seed=DRAW,
                rate=rate(score),
            )
            row = trust.loc[task, kind]
            known = [expected.percent, expected.low, expected.high]
            np.testing.assert_array_equal(
                row[["percent", "low", "high"]].to_numpy(float), np.array(known, float)
            )
    assert trust["percent"].isna().tolist() == [False, True] * 3


def test_a_kind_is_of_its_points_alone() -> None:
    kinds = kinds_of(CODECS, fixed=CODECS[1:], lossless=CODECS[:4], hull_loss=50.0)
    assert kinds["depth_bd_rate"].points == CODECS[:4]
    assert kinds["bd_rate"].points == CODECS[1:]
    models = arms()
    trust = trust_of(models, kinds).set_index(["task", "kind"])
    of_irmse = partial(hull_rate, averaged=SCORES["disparity"].averaged)
    for kind, kept, rate in (
        ("depth_bd_rate", CODECS[:4], partial(of_irmse, loss_percent=50.0)),
        ("bd_rate", CODECS[1:], bd_rate),
    ):
        columns: list[Any] = []
        for each in models:
            sums = [each.codecs[codec].sums["disparity"] for codec in kept]
            columns.append([each.codecs[x].bytes_N.mean() * 8 / each.elements for x in kept])
            columns.append([SCORES["disparity"].compute(x) for x in sums])
        row = trust.loc["disparity", kind]
        assert row["percent"] == pytest.approx(rate(*columns).percent)
        if kind == "depth_bd_rate":
            near = of_irmse(*columns, loss_percent=10.0).percent
            assert row["near_top"] == pytest.approx(near)
        else:
            assert np.isnan(row["near_top"])
    assert "depth_bd_rate" not in kinds_of(CODECS, fixed=CODECS, lossless=CODECS[:3])


def test_intervals_show_in_table_1() -> None:
    trust = trust_of(arms())
    for kind, rows, last in (
        ("hull_bd_rate", hull(trust), "unknown"),
        ("bd_rate", table_1(trust), "-20.68 %"),
    ):
        row = trust[trust["kind"] == kind].iloc[0]
        text = f"{row['percent']:+.2f} % [{row['low']:+.2f}, {row['high']:+.2f}]"
        assert -25 < row["low"] < -20 < row["high"] < -15
        expected = ("Encoder2", "mIoU (segmentation)", f"{text}, do not quote ¹")
        near = f"{row['near_top']:+.1f} % (noise unknown)"
        assert rows[0] == (*expected, *([near] if kind == "hull_bd_rate" else []), last)


def test_identical_arms_show_no_difference() -> None:
    trust = trust_of(arms(rate=1.0, noise_seed=0))
    assert (trust[["percent", "low", "high"]] == 0).all(axis=None)
    assert {row[2] for row in (*table_1(trust), *hull(trust))} == {
        "0.00 % [0.00, 0.00], no difference shown"
    }
    found = found_of(arms(rate=1.0, noise_seed=0))
    assert in_short(found.trust, found.bounds, SCORES) == (
        "At equal mIoU, IRMSE and PSNR no difference is shown. Coded as PNG, the proposed features "
        "cost exactly as many bits; the scores there change by: mIoU 0.00 points, "
        "IRMSE 0.0000 1/px, PSNR 0.00 dB. This is one pair of trainings."
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


def test_disorder_leaves_the_hull_and_says_why() -> None:
    found = found_of(arms(disorder=True))
    assert table_1(found.trust)[0][2] == "n/a ¹"
    assert hull(found.trust)[0][2].startswith("-")
    (paper,) = (grid for grid in found.grids if grid.key == "bd-rate")
    assert paper.notes[0] == "not monotone: proposed at JPEG-90"
    of_hull, strict = diagnostics_grid(found.trust, SCORES).rows[:2]
    assert of_hull[2:5] == ("hull", "do not quote ¹", "left out")
    assert strict[2:5] == ("paper", "not available ²", "proposed: JPEG-90")
    metrics = to_metrics(found.trust)
    assert metrics["bd_rate"] == {"encoder2-0": {"miou": None, "irmse": None, "psnr": None}}
    assert all(x < 0 for x in metrics["hull_bd_rate"]["encoder2-0"].values() if x)


def test_diagnostics_are_those_of_diagnose() -> None:
    benchmark, proposed = arms()
    row = trust_of([benchmark, proposed]).set_index(["task", "kind"]).loc["disparity", "bd_rate"]
    four = []
    for each in (benchmark, proposed):
        four += _columns(each, "disparity")
    expected = diagnose(*four, points=CODECS, rate=bd_rate, method="cubic")
    assert row["bd_score"] == expected.bd_score.difference
    assert row["without_lossless"] == expected.percent_without["png"]
    without = [x for x in expected.percent_without.values() if x is not None]
    assert (row["left_out_low"], row["left_out_high"]) == (min(without), max(without))
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
    assert in_short(found.trust, found.bounds, SCORES).startswith(
        "At equal mIoU, IRMSE and PSNR nothing can be claimed (one seed supports none). "
    )
    words = verdicts(found.trust)["hull_bd_rate"]["encoder2-0"]
    assert words == dict.fromkeys(("miou", "irmse", "psnr"), "do not quote")


def test_only_what_nothing_speaks_against_is_said_to_be_found() -> None:
    found = found_of(over_seeds((0.79, 0.8, 0.81)))
    whole = (
        "the rate loss saves 20.0 % of the bits at equal mIoU, 20.0 % of the bits at equal IRMSE"
    )
    text = at_equal_score(found.trust, SCORES, "encoder2")
    assert text == f"{whole} and 20.0 % of the bits at equal PSNR."
    of_hull = found.trust["kind"] == "hull_bd_rate"
    task = found.trust["task"]
    worse = found.trust.assign(
        percent=found.trust["percent"].mask(task == "disparity", 5.0).mask(task == "segmentation"),
        objections=[(LittleOverlap(0.1),) if x else () for x in task == "reconstruction"],
        no_difference=False,
    )
    assert at_equal_score(worse[of_hull], SCORES, "encoder2") == (
        "the rate loss costs 5.0 % of the bits at equal IRMSE; at equal PSNR nothing can be "
        "claimed (see the diagnostics); at equal mIoU the curves cannot be compared."
    )
    assert verdicts(worse[of_hull])["hull_bd_rate"]["encoder2-mean"] == {
        "miou": "not available",
        "irmse": "can be quoted",
        "psnr": "do not quote",
    }


def test_an_effect_inside_the_noise_of_training_is_not_shown() -> None:
    models = over_seeds((0.97, 0.98, 0.99))
    far = [replace(x, codecs=_scaled(x, 1 + 0.2 * x.seed)) for x in models]
    for trained, inside in ((models, False), (far, True)):
        trust = trust_of(trained).query("seed == 'mean' and task == 'disparity'")
        against = trust["objections"].map(lambda x: any(isinstance(y, InsideNoise) for y in x))
        assert against.all() == inside
        assert against.any() == inside
    noise = noise_table(far, SCORES, KINDS).query("task == 'disparity' and kind == 'bd_rate'")
    known = {(x.first, x.second): x.percent for x in noise.itertuples()}
    expected = {(0, 1): 20, (0, 2): 40, (1, 2): 100 * (1.4 / 1.2 - 1)}
    assert known == pytest.approx(expected, rel=0.01)


def test_the_noise_of_training_does_not_depend_on_the_order_of_the_seeds() -> None:
    kinds = kinds_of(CODECS, fixed=CODECS, lossless=["png"], hull_loss=60.0)
    models = [model("benchmark"), model("benchmark", seed=1, rate=1.1)]
    worse = replace(models[1].codecs["png"], sums=sums_at(4.2, tasks=tuple(SCORES), seed=5))
    models[1] = replace(models[1], codecs=models[1].codecs | {"png": worse})
    columns = ["task", "kind", "percent", "near_top"]
    noise, turned = (noise_table(x, SCORES, kinds)[columns] for x in (models, models[::-1]))
    pd.testing.assert_frame_equal(noise, turned)
    # A hull counts scores from the best of its anchor, so that either order has its number.
    hull, unequal = kinds["hull_bd_rate"], 0
    for task, score in SCORES.items():
        four = [y for x in models for y in _columns(x, task)]
        for name, rate in (("percent", hull.rate(score)), ("near_top", hull.near_top(score))):
            assert rate is not None
            both = [size_of(rate(*x).percent) for x in (four, four[2:] + four[:2])]
            row = noise[(noise["task"] == task) & (noise["kind"] == "hull_bd_rate")]
            assert row[name].item() == max(both)
            unequal += both[0] != pytest.approx(both[1], rel=1e-3)
    assert unequal


def _columns(measured: Measured, task: str) -> list[np.ndarray]:
    curve = measured.curve(task)
    return [curve.rate_PN.mean(1), np.array([SCORES[task].compute(x) for x in curve.sums])]


def _scaled(measured: Measured, factor: float) -> dict[str, Coded]:
    return {
        codec: replace(at, payload_N=np.rint(at.payload_N * factor).astype(np.int64))
        for codec, at in measured.codecs.items()
    }


def test_arms_that_were_not_trained_alike_are_named() -> None:
    on = {"precision": "bfloat16", "torch": "2.15"}
    other = {"precision": "float32", "torch": "2.15"}
    models = [replace(x, trained_on=on if x.seed else other) for x in over_seeds((0.8, 0.8))]
    assert not trust_of(models)["objections"].map(has(NotAlike)).any()
    models = [replace(x, trained_on=on if x.arm == "benchmark" else other) for x in models]
    trust = trust_of(models)
    assert trust["objections"].map(has(NotAlike)).all()
    # They show nothing, not even that there is no difference.
    assert {outcome(row | {"no_difference": True}) for row in trust.to_dict("records")} == {UNSURE}
    assert with_sentences(trust)["verdict"].str.contains("precision bfloat16 / float32").all()


def test_arms_that_were_not_coded_alike_are_named() -> None:
    models = [replace(x, coders={"png": "zlib 1.3"}) for x in over_seeds((0.8, 0.8))]
    assert not trust_of(models)["objections"].map(has(NotCodedAlike)).any()
    models = [
        replace(x, coders={"png": "zlib-ng 2.3"}) if x.arm == "proposed" else x for x in models
    ]
    trust = trust_of(models)
    assert trust["objections"].map(has(NotCodedAlike)).all()
    assert with_sentences(trust)["verdict"].str.contains("png zlib 1.3 / zlib-ng 2.3").all()


def test_seeds_that_were_not_coded_alike_are_named() -> None:
    """Each pair of arms is of one version, so that only the seeds differ."""
    models = [
        replace(x, coders={"png": "zlib 1.3" if x.seed else "zlib-ng 2.3", "jpeg-90": "same"})
        for x in over_seeds((0.8, 0.8))
    ]
    trust = trust_of(models)
    of_all = trust[trust["seed"] == MEAN]
    assert len(of_all)
    assert of_all["objections"].map(has(NotCodedAlike)).all()
    sentences = with_sentences(of_all)["verdict"]
    assert sentences.str.contains("png zlib-ng 2.3 / zlib 1.3").all()
    assert not sentences.str.contains("same").any()


def test_what_has_learned_nothing_supports_no_claim() -> None:
    models = arms()
    scored = {task: x.compute(models[0].uncompressed[task]) for task, x in SCORES.items()}
    low = {task: x / 3 for task, x in scored.items()}
    assert not trust_of(models, trivial=low)["objections"].map(has(NothingLearned)).any()
    high = low | {"disparity": 0.9 * scored["disparity"]}
    trust = trust_of(models, trivial=high)
    against = trust["objections"].map(has(NothingLearned))
    assert against.tolist() == (trust["task"] == "disparity").tolist()


def has(kind: type) -> Callable[[tuple[object, ...]], bool]:
    return lambda objections: any(isinstance(x, kind) for x in objections)


def test_bounds_are_those_of_the_paired_effect() -> None:
    models = over_seeds((0.78, 0.8, 0.82), noise=1)
    bounds = bounds_table(models, SCORES, resamples=RESAMPLES, level=0.9).set_index("codec")
    counts_RN = image_counts(IMAGES, resamples=RESAMPLES, seed=DRAW)
    score = SCORES["reconstruction"]
    whole, resampled = [], []
    for benchmark, proposed in zip(models[::2], models[1::2], strict=True):
        a, b = (x.codecs["jpeg-60"].sums["reconstruction"] for x in (benchmark, proposed))
        whole.append(score.compute(b) - score.compute(a))
        resampled.append(score.resampled(b, counts_RN) - score.resampled(a, counts_RN))
    effect = repeated_effect(whole, resampled)
    row = bounds.loc["jpeg-60"]
    assert row["psnr_change"] == pytest.approx(effect.mean)
    assert row["psnr_bound"] == pytest.approx(effect.at_least(0.9))
    assert row["bits_low"] < row["bits_percent"] < row["bits_high"]
    assert row["bits_percent"] == pytest.approx(100 * ((0.78 * 0.8 * 0.82) ** (1 / 3) - 1), abs=0.1)
    one = bounds_table(arms(), SCORES, resamples=RESAMPLES, level=0.9)
    assert one[["bits_low", "bits_high", "psnr_bound"]].isna().all(axis=None)
    text = at_codec(row.to_dict() | {"codec": "jpeg-60"}, SCORES)
    assert text.startswith("Coded as JPEG-60, the proposed features cost 20.0 % fewer bits [-")
    assert "Over images and 3 seeds the loss is at most: mIoU " in text


def test_over_seeds_the_mean_has_the_interval() -> None:
    models = over_seeds((0.9, 0.8, 0.7), noise=1)
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
    grid = bd_grid(trust, SCORES, published_rates(), DRAWN, points=CODECS)
    assert "over images and seeds" in grid.title
    assert grid.rows[-1][0] == "Encoder2, mean of 3"
    assert "±" in grid.rows[-1][2]
    assert len(grid.rows) == 3
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
