"""What each chart describes: the numbers of the findings, and words that fit them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pipeline.report.charts.book import Charts, describe
from pipeline.report.charts.inks import ARM_LOOKS
from pipeline.report.charts.joint import joint
from pipeline.report.charts.rate_accuracy import rate_accuracy, short_names
from pipeline.report.charts.rate_loss import rate_loss, stacked
from pipeline.report.charts.record import Axis, Chart, Panel, Series
from pipeline.report.charts.training import training
from pipeline.report.found.findings import Findings
from pipeline.report.found.published import published_points
from pipeline.report.page.plot import plots
from pipeline.report.paper.draw import draw

from pipeline.artifacts import ARMS
from pipeline.scoring.metrics import SCORES, Print, Score
from tests.support.report_models import CODECS
from tests.support.report_page import found_with_seeds

NO_POINTS = pd.DataFrame()


@pytest.fixture(scope="module")
def findings() -> Findings:
    return found_with_seeds()


@pytest.fixture(scope="module")
def charts(findings: Findings) -> Charts:
    histories = {
        encoder: {arm: a_history() for arm in ARMS} for encoder in ("encoder1", "encoder2")
    }
    return describe(findings, histories, toy=False, joint_loss=1.0)


def a_history(**columns: object) -> pd.DataFrame:
    epoch = np.arange(1, 7)
    given = {"loss/disparity": 5.0 / epoch, "weight/disparity": 0.1 * epoch, "lr": 1e-3 / epoch}
    given["val/miou"] = np.where(epoch % 3 == 0, 0.1 * epoch, np.nan)
    return pd.DataFrame({"epoch": epoch, **given, **columns})


def panel_of(chart: Chart, heading: str) -> Panel:
    (panel,) = [panel for panel in chart.panels if panel.heading == heading]
    return panel


def of_kind(panel: Panel, kind: str, ink: str) -> list[Series]:
    return [x for x in panel.series if x.kind == kind and x.look.ink == ink]


@pytest.mark.parametrize("rate", ["bpfe", "bpp", "kilobytes"])
@pytest.mark.parametrize("arm", ARMS)
def test_a_curve_is_the_points_of_its_arm(findings: Findings, rate: str, arm: str) -> None:
    panel = panel_of(rate_accuracy(findings, rate, NO_POINTS), "Encoder2: semantic segmentation")
    (curve,) = of_kind(panel, "curve", arm)
    points = findings.points.query("encoder == 'encoder2' and arm == @arm").sort_values(rate)
    assert curve.x == tuple(points[rate])
    assert curve.y == pytest.approx(tuple(100 * points["miou"]))
    assert panel.y == Axis("mIoU", "%")
    first = points.iloc[0]
    assert curve.tags == ("10", "30", "60", "90", "png")
    assert curve.told[0].split("\n")[:2] == [
        f"{arm}, JPEG-10",
        f"{first['bpfe']:.3g} bit/element, {first['bpp']:.3g} bit/pixel, "
        f"{first['kilobytes']:.3g} kB",
    ]
    assert f"mIoU {100 * first['miou']:.2f} %" in curve.told[0]
    (band,) = of_kind(panel, "band", arm)
    of_arm = "encoder == 'encoder2' and arm == @arm and score == 'miou'"
    ends = findings.bands.query(of_arm).set_index("codec").loc[points["codec"]]
    assert band.x == curve.x
    assert band.y == pytest.approx(tuple(100 * ends["low"]))
    assert band.high == pytest.approx(tuple(100 * ends["high"]))


def test_levels_are_the_uncompressed_scores(findings: Findings) -> None:
    panel = panel_of(rate_accuracy(findings, "bpfe", NO_POINTS), "Encoder1: reconstruction")
    for arm in ARMS:
        (level,) = [x for x in of_kind(panel, "thin", arm) if x.look.dash == "dot"]
        given = findings.uncompressed.query("encoder == 'encoder1' and arm == @arm")["psnr"]
        assert set(level.y) == {given.item()}
        points = findings.points.query("encoder == 'encoder1'")["bpfe"]
        assert level.x == (points.min(), points.max())
        assert level.told[0] == f"{arm}, uncompressed\nPSNR {given.item():.2f} dB"


def test_several_seeds_are_thin_lines_and_a_mean() -> None:
    findings = found_with_seeds(3)
    chart = rate_accuracy(findings, "bpfe", NO_POINTS)
    assert "single seeds" in [key.name for key in chart.legend]
    panel = panel_of(chart, "Encoder1: reconstruction")
    points = findings.points.query("encoder == 'encoder1' and arm == 'proposed'")
    (curve,) = of_kind(panel, "curve", "proposed")
    mean = points.groupby("codec")[["bpfe", "psnr"]].mean().sort_values("bpfe")
    np.testing.assert_allclose([curve.x, curve.y], mean.to_numpy().T)
    seeds = [x for x in of_kind(panel, "thin", "proposed") if x.look.dash != "dot"]
    assert [x.y for x in seeds] == [
        tuple(of_seed.sort_values("bpfe")["psnr"]) for _, of_seed in points.groupby("seed")
    ]
    assert seeds[1].told[0] == "proposed, seed 1, JPEG-10"


def test_a_picture_has_no_rate_per_feature_element(findings: Findings) -> None:
    for rate, count in (("bpfe", 0), ("bpp", 1), ("kilobytes", 1)):
        chart = rate_accuracy(findings, rate, NO_POINTS)
        for panel in chart.panels:
            assert len(of_kind(panel, "curve", "picture")) == count
        assert [key.name for key in chart.legend].count("picture as JPEG") == count
    panel = panel_of(rate_accuracy(findings, "kilobytes", NO_POINTS), "Encoder1: reconstruction")
    (sent,) = of_kind(panel, "curve", "picture")
    (given,) = findings.pictures.query("encoder == 'encoder1'").to_dict("records")
    assert (sent.x, sent.y) == ((given["kilobytes"],), (given["psnr"],))
    assert sent.told[0].startswith("picture as JPEG-90\n")


def test_the_papers_points_stand_behind(findings: Findings) -> None:
    theirs = published_points()
    chart = rate_accuracy(findings, "bpfe", theirs)
    panel = panel_of(chart, "Encoder2: disparity")
    of_arm = theirs.query("encoder == 'encoder2' and arm == 'benchmark'").sort_values("bpfe")
    behind = [x for x in of_kind(panel, "thin", "benchmark") if x.look.dash != "dot"]
    assert [(x.x, x.y) for x in behind] == [(tuple(of_arm["bpfe"]), tuple(of_arm["irmse"]))]
    kinds = [x.kind for x in panel.series]
    assert kinds == sorted(kinds, key=["band", "thin", "curve"].index)


def test_short_names_say_whose_the_number_is() -> None:
    assert short_names(["png", "jpeg-90", "jpeg-10"]) == ("png", "90", "10")
    assert short_names(["png", "jpeg-90", "webp-90"]) == ("png", "jpeg-90", "webp-90")
    assert short_names(["png", "png@5", "jpeg-90"]) == ("png", "5b", "90")
    assert short_names(["png@5", "jpeg-90@6"]) == ("png@5", "jpeg-90@6")


def test_the_joint_view_is_the_worst_loss(findings: Findings) -> None:
    chart = joint(findings, "kilobytes", loss_percent=1.5)
    assert [panel.heading for panel in chart.panels] == ["Encoder1", "Encoder2"]
    (curve,) = of_kind(chart.panels[0], "curve", "proposed")
    points = findings.points.query("encoder == 'encoder1' and arm == 'proposed'")
    points = points.sort_values("kilobytes")
    free = findings.uncompressed.query("encoder == 'encoder1' and arm == 'benchmark'").iloc[0]
    lost = [100 * (1 - points[score.name] / free[score.name]) for score in SCORES.values()]
    assert curve.x == tuple(points["kilobytes"])
    assert curve.y == pytest.approx(tuple(np.max(lost, axis=0)))
    (allowed,) = of_kind(chart.panels[0], "thin", "neutral")
    assert allowed.y == (1.5, 1.5)
    assert chart.legend[-1].name == "1.5 % allowed"


def test_the_rate_loss_of_each_image_against_its_bytes(findings: Findings) -> None:
    chart = rate_loss(findings, "jpeg-30")
    panel = panel_of(chart, "Encoder2: JPEG-30")
    (dots,) = of_kind(panel, "dots", "proposed")
    (measured,) = [x for x in findings.models if (x.encoder, x.arm) == ("encoder2", "proposed")]
    loss_N, bytes_N = measured.rate_loss_N, measured.codecs["jpeg-30"].bytes_N
    np.testing.assert_allclose([dots.x, dots.y], [loss_N, bytes_N / 1000])
    assert dots.note == f"proposed: r = {np.corrcoef(loss_N, bytes_N)[0, 1]:.2f}"
    assert panel.x.log
    both = stacked(rate_loss(findings, "png"), chart)
    assert [x.heading for x in both.panels] == [
        *("Encoder1: PNG", "Encoder2: PNG", "Encoder1: JPEG-30", "Encoder2: JPEG-30"),
    ]


def test_a_constant_rate_loss_has_no_correlation(findings: Findings) -> None:
    unknown = replace(findings, rate_loss=findings.rate_loss.assign(pearson=np.nan))
    assert {s.note for x in rate_loss(unknown, "png").panels for s in x.series} == {""}


def test_training_has_a_panel_for_what_the_histories_hold() -> None:
    with_rate = a_history(**{"loss/rate": 2.0, "loss/total": -1.0})
    chart = training({ARMS[0]: a_history(), ARMS[1]: with_rate}, SCORES)
    assert [panel.heading for panel in chart.panels] == [
        *("Disparity: loss", "Disparity: weight", "Rate: loss"),
        *("Segmentation: score", "Total loss", "Learning rate"),
    ]
    assert len(panel_of(chart, "Disparity: loss").series) == 2
    assert len(panel_of(chart, "Rate: loss").series) == 1
    assert panel_of(chart, "Disparity: loss").y.log
    # A constant and a negative number allow no logarithm.
    assert not panel_of(chart, "Rate: loss").y.log
    assert not panel_of(chart, "Total loss").y.log
    # Epochs without validation are no points.
    validation = panel_of(chart, "Segmentation: score").series[0]
    assert validation.x == (3, 6)
    assert validation.y == pytest.approx((30, 60))


def test_a_made_up_task_is_charted_like_any_other() -> None:
    printed = Print("", 1, 3)
    score = Score("f1", "F1", "", lambda sums, counts_RN: counts_RN[:, 0], "Edges", printed)
    history = a_history(**{"loss/edges": 2.0, "val/f1": 0.5})
    chart = training({ARMS[0]: history}, {"edges": score})
    assert panel_of(chart, "Edges: loss").series[0].y == (2,) * 6
    assert panel_of(chart, "Edges: score").y == Axis("F1", "")


def test_a_training_without_anything_to_draw() -> None:
    with pytest.raises(ValueError, match=r"nothing to draw: .*\['epoch'\]"):
        training({ARMS[0]: a_history()[["epoch"]]}, SCORES)


def test_both_drawings_show_the_same(charts: Charts) -> None:
    """Matplotlib's lines are Plotly's traces, chart by chart, in the same order."""
    every = [*charts.rate_accuracy.values(), *charts.joint.values(), *charts.rate_loss.values()]
    every += charts.training.values()
    assert len(every) == 3 + 3 + len(CODECS) + 2
    for chart in every:
        axes = [x for x in draw(chart).axes if x.axison]
        for on_paper, on_page in zip(axes, plots({"": chart}), strict=True):
            spec = on_page.specs[""]
            traces = [x for x in spec["data"] if x.get("fill") is None]
            assert traces
            for line, trace in zip(on_paper.get_lines(), traces, strict=True):
                np.testing.assert_array_equal(line.get_xdata(), trace["x"])
                np.testing.assert_array_equal(line.get_ydata(), trace["y"])
            assert on_paper.get_ylabel() == spec["layout"]["yaxis"]["title"]["text"]
            assert (on_paper.get_yscale() == "log") == ("type" in spec["layout"]["yaxis"])


def test_a_page_holds_text_and_unknown_numbers_safely() -> None:
    told = ("<b>&\nsecond",) * 2
    series = Series("curve", ARM_LOOKS[ARMS[0]], (1.0, 2.0), (float("nan"), 3.0), told=told)
    chart = Chart((Panel("</script>", "", Axis("x"), Axis("y"), (series,)),), 1, ())
    (plot,) = plots({"": chart})
    assert "<" not in plot.json
    assert "NaN" not in plot.json
    (trace,) = plot.specs[""]["data"]
    assert trace["y"] == [None, 3.0]
    assert trace["text"][0] == "<b>&lt;b&gt;&amp;</b><br>second"
