"""From evaluations to tables: planted effects come out, and so do their verdicts."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.artifacts import PICTURE_ARM, Coded, Sums
from pipeline.report.comparisons import CUBIC, HULL
from pipeline.report.measured import Model, ResultsError
from pipeline.report.page import render
from pipeline.report.results import Results, headline_scores, nested
from pipeline.scoring.metrics import SCORES
from pipeline.scoring.verdict import DO_NOT_QUOTE, NO_DIFFERENCE, NOT_AVAILABLE, QUOTABLE
from tests.support.report_models import IMAGES, arms, model, results, shown

ARMS = ("benchmark", "proposed")
BENCHMARK, PROPOSED = (f"{arm} features, PNG or JPEG" for arm in ARMS)
JPEG = "picture as JPEG"


def with_sums(of: Model, task: str, change: Any) -> Model:
    """Return a model whose sums of one task are changed, at every point and without."""

    def changed(sums_of: dict[str, Sums]) -> dict[str, Sums]:
        return {**sums_of, task: {key: change(key, x) for key, x in sums_of[task].items()}}

    def coded(points: dict[str, Coded]) -> dict[str, Coded]:
        return {name: replace(x, sums=changed(dict(x.sums))) for name, x in points.items()}

    evaluation = replace(
        of.evaluation,
        points=coded(dict(of.evaluation.points)),
        pictures=coded(dict(of.evaluation.pictures)),
        uncompressed=changed(dict(of.evaluation.uncompressed)),
    )
    return replace(of, evaluation=evaluation)


def rows(table: pd.DataFrame, **of: object) -> pd.DataFrame:
    return table[np.logical_and.reduce([table[key] == value for key, value in of.items()])]


@pytest.fixture(scope="module")
def three() -> Results:
    return results(arms(seeds=3))


class TestPoints:
    def test_by_hand(self, three: Results) -> None:
        benchmark = arms()[0].evaluation
        row = rows(three.points, arm="benchmark", seed=0, codec="jpeg-60").iloc[0]
        payload = benchmark.points["jpeg-60"].payload_N.mean()
        assert row["bpfe"] == pytest.approx(8 * (payload + 22) / 8192)
        assert row["bpfe_payload"] == pytest.approx(8 * payload / 8192)
        assert row["kilobytes"] == pytest.approx((payload + 22) / 1000)
        assert row["bpp"] == pytest.approx(8 * (payload + 22) / (128 * 64))
        errors = benchmark.points["jpeg-60"].sums["disparity"]
        assert row["irmse"] == 1 / np.sqrt(errors["disparity_squared_error"] / 90).mean()
        assert row["miou_classes"] == 16
        first = ["encoder", "arm", "seed", "codec", "bpfe"]
        assert list(three.points)[:5] == first

    def test_a_picture_is_a_sender_of_its_own(self, three: Results) -> None:
        assert list(three.senders) == [BENCHMARK, PROPOSED, JPEG]
        sent = rows(three.sent, sender=JPEG)
        assert sent["codec"].tolist() == ["jpeg-90", "jpeg-10"]
        picture = arms()[0].evaluation.pictures["jpeg-90"].payload_N.mean()
        assert sent["kilobytes"].iloc[0] == pytest.approx(picture / 1000)
        assert sent["bpfe"].iloc[0] == pytest.approx(8 * picture / 8192)

    def test_a_family_of_coders_is_a_sender_and_a_container_is_apart(self) -> None:
        codecs = ("png", "klt/1.2", "jpeg-90", "webp@4", "klt/1.8")
        pictures = ("webp-60", "avif-60", "avif-20", "webp-20")
        models = [
            model("benchmark", codecs=codecs, pictures=pictures, container=300),
            model("proposed", rate=0.8, codecs=codecs),
            model("entropy", rate=0.4, codecs=("table/1", "table/1.5")),
            model(PICTURE_ARM, codecs=(), pictures=pictures, container=300),
        ]
        found = results(models)
        assert found.arms == ("benchmark", "proposed", "entropy")
        bare = " without container"
        features = [f"{x} features, {y}" for x in ARMS for y in ("PNG or JPEG", "KLT", "WebP")]
        sent = [f"picture as {x}{y}" for x in ("WebP", "AVIF") for y in ("", bare)]
        own = [f"{x}, own network" for x in sent]
        assert list(found.senders) == [*features, "entropy model", *sent, *own]
        assert list(found.answer) == [
            *("benchmark features, PNG or JPEG", "benchmark features, KLT"),
            *("proposed features, KLT", "entropy model"),
            *("picture as WebP", "picture as AVIF", "picture as AVIF without container"),
            *("picture as AVIF, own network", "picture as AVIF without container, own network"),
        ]
        # Each has its own points, as they come in the evaluation.
        table = found.sent[found.sent["codec"] != "uncompressed"]
        points = table.groupby("sender", sort=False)["codec"].agg(list)
        assert points["benchmark features, PNG or JPEG"] == ["png", "jpeg-90"]
        assert points["proposed features, KLT"] == ["klt/1.2", "klt/1.8"]
        kilobytes = table.set_index(["sender", "codec"])["kilobytes"]
        whole, part = (kilobytes[f"picture as AVIF{x}", "avif-20"] for x in ("", bare))
        assert whole - part == pytest.approx(0.3)
        assert set(found.lowest_rates["sender"]) == set(found.senders)
        render(found, shown(found))

    def test_intervals_hold_their_score(self, three: Results) -> None:
        for score in three.scores.values():
            low, high = three.sent[f"{score.name}_low"], three.sent[f"{score.name}_high"]
            assert low.lt(three.sent[score.name]).all()
            assert high.gt(three.sent[score.name]).all()

    def test_other_frames_cannot_be_compared(self) -> None:
        first, second = arms()
        other = replace(second, evaluation=replace(second.evaluation, names=("x",) * IMAGES))
        with pytest.raises(ResultsError, match="encoder2-proposed-0 was evaluated on other frames"):
            results([first, other])


class TestBdRate:
    @pytest.mark.parametrize("kind", [HULL, CUBIC])
    def test_a_planted_saving_is_found_and_quotable(self, three: Results, kind: str) -> None:
        final = rows(three.final, kind=kind)
        assert final["score"].tolist() == ["miou", "irmse", "psnr"]
        # 22 bytes of header are not saved.
        assert final["percent"].tolist() == pytest.approx([-20] * 3, abs=0.3)
        assert set(final["verdict"]) == {QUOTABLE}
        assert (final["low"] <= final["percent"]).all()
        assert nested(three.final, "percent")[kind]["encoder2-mean"]["miou"] == pytest.approx(
            -20, abs=0.3
        )
        # The benchmarks of three seeds are the same here.
        assert final["noise"].tolist() == [0.0, 0.0, 0.0]

    def test_each_seed_alone_supports_no_claim(self, three: Results) -> None:
        alone = three.bd_rate[three.bd_rate["seed"] != "mean"]
        assert len(alone) == 3 * 3 * 2
        assert set(alone["verdict"]) == {DO_NOT_QUOTE}
        assert alone["reason"].str.startswith("One seed says nothing").all()

    def test_each_family_of_coders_is_compared_for_itself(self) -> None:
        """The proposed arm saves 20 % with PNG and JPEG, and costs 25 % more with a KLT."""
        klt = tuple(f"klt/{step}" for step in range(1, 6))
        models = []
        for seed in range(2):
            with_png = arms()
            with_klt = [model("benchmark", codecs=klt), model("proposed", codecs=klt, rate=1.25)]
            for one, other in zip(with_png, with_klt, strict=True):
                points = {**one.evaluation.points, **other.evaluation.points}
                coders = {**one.evaluation.coders, **other.evaluation.coders}
                evaluation = replace(one.evaluation, points=points, coders=coders)
                name = one.name._replace(seed=seed)
                models.append(replace(one, name=name, evaluation=evaluation))
            # Half the bytes of each picture, which has no container here.
            models.append(model("entropy", seed=seed, rate=0.25, codecs=("table/1", "table/2")))
            models.append(model(PICTURE_ARM, seed=seed, codecs=()))
        final = results(models).final
        percent = final.groupby("kind", sort=False)["percent"].agg(list)
        assert list(percent.index) == [
            *(HULL, CUBIC, f"{HULL}_klt"),
            *("entropy_png_jpeg", "entropy_klt", "entropy_jpeg", "entropy_jpeg_own"),
        ]
        for kind, value in ((HULL, -20), (CUBIC, -20), (f"{HULL}_klt", 25)):
            assert percent[kind] == pytest.approx([value] * 3, abs=0.4), kind
        for coder in ("png_jpeg", "klt"):
            assert percent[f"entropy_{coder}"] == pytest.approx([-75] * 3, abs=0.4)
        of = final.drop_duplicates("kind").set_index("kind")
        for kind, anchor in (("entropy_jpeg", JPEG), ("entropy_jpeg_own", f"{JPEG}, own network")):
            assert of.loc[kind, ["anchor", "test"]].tolist() == [anchor, "entropy model"]

    def test_identical_arms_show_no_difference(self) -> None:
        found = results(arms(seeds=2, rate=1.0))
        assert set(found.final["percent"]) == {0.0}
        assert set(found.final["verdict"]) == {NO_DIFFERENCE}
        assert (found.changes["bits_percent"] == 0).all()

    def test_noise_of_training(self) -> None:
        pair = [model("benchmark"), model("proposed", rate=0.9)]
        again = [model("benchmark", seed=1, rate=1.25), model("proposed", seed=1, rate=1.125)]
        found = results([*pair, *again])
        # The second benchmark costs 25 % more: a change of 25 %, whichever comes first.
        assert found.final["noise"].tolist() == pytest.approx([25] * 6, abs=0.3)
        assert found.final["percent"].tolist() == pytest.approx([-10] * 6, abs=0.3)
        assert found.final["reason"].str.contains("inside the noise of training").all()
        assert set(found.final["verdict"]) == {DO_NOT_QUOTE}

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"runtime": {"device": "cuda"}}, "not trained alike: device cpu / cuda"),
            ({"coder": "made up 2.0"}, "not coded alike: png made up 1.0 / made up 2.0"),
        ],
    )
    def test_arms_that_differ_cannot_be_compared(self, change: dict[str, Any], said: str) -> None:
        models = []
        for seed in range(2):
            models.append(model("benchmark", seed=seed, runtime={"device": "cpu"}))
            proposed: dict[str, Any] = {"runtime": {"device": "cpu"}, **change}
            models.append(model("proposed", seed=seed, rate=0.8, **proposed))
        final = results(models).final
        assert set(final["verdict"]) == {DO_NOT_QUOTE}
        assert final["reason"].str.contains(said, regex=False).all()

    def test_a_part_that_learned_nothing(self) -> None:
        # mIoU must be twice that of a constant prediction, IRMSE four thirds, PSNR 1 dB more.
        found = results(arms(seeds=2, floor=0.6)).final.drop_duplicates("score")
        verdicts = dict(zip(found["score"], found["verdict"], strict=True))
        assert verdicts == {"miou": DO_NOT_QUOTE, "irmse": QUOTABLE, "psnr": QUOTABLE}
        assert "has learned too little" in found["reason"].iloc[0]


def test_changes_at_a_point(three: Results) -> None:
    row = three.changes.iloc[0]
    assert row["bits_percent"] == pytest.approx(-20, abs=0.3)
    assert row["bits_low"] <= row["bits_percent"] <= row["bits_high"]
    # Both arms make the same errors.
    assert (row["miou_change"], row["irmse_bound"]) == (0.0, 0.0)
    assert math.isnan(results(arms()).changes.iloc[0]["bits_low"])


class TestLowestRate:
    def test_the_cheaper_sender_has_the_lower_rate(self, three: Results) -> None:
        table = rows(three.lowest_rates, task="all", max_task_drop=10)
        means = table.groupby("sender", sort=False)["kilobytes"].mean()
        assert means[PROPOSED] == pytest.approx(0.8 * means[BENCHMARK], rel=0.003)
        assert set(table["limiting"]) <= {*SCORES, ""}
        proposed = rows(table, sender=PROPOSED)
        assert proposed["bits_percent"].tolist() == pytest.approx([-20] * 3, abs=0.3)
        assert (proposed["low"] <= -19.7).all()

    def test_every_task_is_there_and_all_need_most(self, three: Results) -> None:
        table = rows(three.lowest_rates, sender=BENCHMARK, seed=0, max_task_drop=3)
        assert table["task"].tolist() == ["all", *SCORES]
        # Between two points the worst task of all loses at least what each loses.
        assert table["bpfe"].iloc[0] >= table["bpfe"].iloc[1:].max() * (1 - 1e-9)

    def test_names_the_cheapest_point_that_is_good_enough(self, three: Results) -> None:
        table = rows(three.lowest_rates, sender=BENCHMARK, seed=0, max_task_drop=10, task="all")
        first = next(x for x in arms() if x.name.arm == "benchmark").evaluation
        good = []
        for codec, coded in first.points.items():
            scores = [(SCORES[t].compute(x), t) for t, x in coded.sums.items()]
            free = {t: SCORES[t].compute(x) for t, x in first.uncompressed.items()}
            if all(value >= 0.9 * free[t] for value, t in scores):
                good.append((coded.bytes_N.mean(), codec))
        assert table["point"].tolist() == [min(good)[1]]

    def test_says_why_there_is_none(self) -> None:
        table = results(arms(), max_task_drops=(0,)).lowest_rates
        row = rows(table, sender=PROPOSED, task="all").iloc[0]
        assert math.isnan(row["kilobytes"])
        assert row["limiting"] in SCORES


class TestScoresThatDoNotExist:
    def test_a_task_without_truth_is_not_available_and_the_others_are_there(self) -> None:
        def void(key: str, sums: np.ndarray) -> np.ndarray:
            return np.zeros_like(sums)

        found = results([with_sums(x, "segmentation", void) for x in arms(seeds=2)])
        verdicts = nested(found.final, "verdict")[HULL]["encoder2-mean"]
        assert verdicts == {"miou": NOT_AVAILABLE, "irmse": QUOTABLE, "psnr": QUOTABLE}
        assert nested(found.final, "percent")[HULL]["encoder2-mean"]["miou"] is None
        scores = headline_scores(found)["png"]["encoder2-proposed-mean"]
        assert scores["miou"] is None
        assert scores["irmse"] is not None
        json.dumps(scores, allow_nan=False)
        assert found.points["miou"].isna().all()
        table = found.lowest_rates
        assert rows(table, task="segmentation")["limiting"].unique().tolist() == [""]
        assert rows(table, task="all", max_task_drop=10)["kilobytes"].notna().all()
        assert "mIoU: not available" in render(found, shown(found))

    def test_one_frame_in_two_has_no_disparity(self) -> None:
        """A quarter of the resamples lacks the score, too many for an interval."""

        def half(key: str, sums: np.ndarray) -> np.ndarray:
            return np.where(np.arange(len(sums)) == 0, sums, 0 * sums)

        def two(of: Model) -> Model:
            def cut(coded: Coded) -> Coded:
                sums = {t: {k: x[:2] for k, x in s.items()} for t, s in coded.sums.items()}
                return Coded(coded.header_N[:2], coded.payload_N[:2], sums)

            e = of.evaluation
            free = {t: {k: x[:2] for k, x in s.items()} for t, s in e.uncompressed.items()}
            evaluation = replace(
                e,
                points={k: cut(x) for k, x in e.points.items()},
                pictures={k: cut(x) for k, x in e.pictures.items()},
                uncompressed=free,
                names=e.names[:2],
            )
            diagnostics = replace(
                of.diagnostics,
                rate_loss_N_of={k: x[:2] for k, x in of.diagnostics.rate_loss_N_of.items()},
            )
            return replace(of, evaluation=evaluation, diagnostics=diagnostics)

        models = [two(with_sums(x, "disparity", half)) for x in arms(seeds=2)]
        found = results(models)
        assert "IRMSE (1/px)" in render(found, shown(found))
        final = rows(found.final, kind=HULL, score="irmse").iloc[0]
        assert final["percent"] == pytest.approx(-20, abs=0.5)
        assert math.isnan(final["low"])
        assert "resamples have no number" in final["reason"]

    def test_perfect_predictions(self) -> None:
        """Their PSNR is infinite: no comparison, no number in JSON, and no error."""

        def exact(key: str, sums: np.ndarray) -> np.ndarray:
            return 0 * sums if key == "image_squared_error" else sums

        found = results([with_sums(x, "reconstruction", exact) for x in arms()])
        row = rows(found.final, kind=HULL, score="psnr").iloc[0]
        assert (row["verdict"], row["reason"]) == (
            NOT_AVAILABLE,
            f"The {BENCHMARK} curve has values that are not finite.",
        )
        assert headline_scores(found)["png"]["encoder2-proposed-0"]["psnr"] is None
        assert "PSNR" in render(found, shown(found))


def test_diagnostics(three: Results) -> None:
    row = three.diagnostics.iloc[0]
    assert (row["span"], row["deviation"]) == (3.0, 0.5)
    # L_r and bytes of these models are one series, up to rounding.
    assert row["correlation png"] == pytest.approx(1, abs=1e-6)


def test_classes(three: Results) -> None:
    of_one = rows(three.iou, arm="proposed", seed=1, codec="uncompressed")
    assert len(of_one) == 19
    assert of_one["iou"].isna().sum() == 3
    # The float features of all seeds are the same here.
    free = rows(three.sent, sender=PROPOSED, codec="uncompressed")["miou"].item()
    assert of_one["iou"].mean() == pytest.approx(free)
