"""The figures show what their charts describe, and their files come whole and repeatably."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from pipeline.report.charts.inks import ARM_LOOKS
from pipeline.report.charts.joint import joint
from pipeline.report.charts.rate_accuracy import rate_accuracy
from pipeline.report.charts.record import Axis, Panel, Series
from pipeline.report.charts.training import training
from pipeline.report.found.findings import Findings
from pipeline.report.found.published import published_points
from pipeline.report.looks import Tile
from pipeline.report.paper.draw import draw, draw_panel
from pipeline.report.paper.pictures import predictions, tiles
from pipeline.report.paper.style import log_ticks, new_figure, save, settle, styled

from pipeline.arms import ARM_COLOURS, ARMS
from pipeline.scoring.metrics import SCORES
from tests.support.report_models import some_examples
from tests.support.report_page import found_with_seeds


def a_history(rate: bool) -> pd.DataFrame:
    epoch = np.arange(1, 7)
    parts = ["segmentation", "disparity", "reconstruction", *(["rate"] if rate else [])]
    columns = {f"loss/{part}": 5.0 / epoch for part in parts} | {"loss/total": 3.0 - epoch}
    columns |= {f"weight/{part}": 0.1 * epoch for part in parts} | {"lr": 1e-3 / epoch}
    columns["val/miou"] = np.where(epoch % 3 == 0, 0.1 * epoch, np.nan)
    return pd.DataFrame({"epoch": epoch, **columns})


@pytest.fixture(scope="module")
def findings() -> Findings:
    return found_with_seeds()


NO_POINTS = pd.DataFrame()


def shown(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.axison]


def test_a_legend_of_many_keys_is_not_cut_off(findings: Findings) -> None:
    chart = rate_accuracy(findings, "bpfe", NO_POINTS)
    for keys in (chart.legend[:2], chart.legend * 2):
        figure = draw(replace(chart, legend=keys))
        legend = figure.legends[0].get_window_extent()
        assert 0 <= legend.x0 < legend.x1 <= figure.bbox.width
        assert legend.y0 > max(x.get_window_extent().y1 for x in shown(figure))


def test_a_figure_has_the_panels_of_its_chart(findings: Findings) -> None:
    chart = rate_accuracy(findings, "bpfe", NO_POINTS)
    axes = shown(draw(chart))
    assert [x.get_title() for x in axes] == [
        f"{encoder}: {task}"
        for task in ("semantic segmentation", "disparity", "reconstruction")
        for encoder in ("Encoder1", "Encoder2")
    ]
    labels = ("mIoU (%)", "IRMSE (1/px)", "PSNR (dB)")
    assert [x.get_ylabel() for x in axes] == [label for label in labels for _ in range(2)]
    rate = "Rate (bits per feature element)"
    assert [x.get_xlabel() for x in axes] == ["", "", "", "", rate, rate]
    assert len(shown(draw(chart.of("Encoder2")))) == 3


@pytest.mark.parametrize("rate", ["bpfe", "kilobytes"])
def test_lines_are_the_series_in_their_colours(findings: Findings, rate: str) -> None:
    chart = rate_accuracy(findings, rate, published_points())
    for axes, panel in zip(shown(draw(chart)), chart.panels, strict=True):
        drawn = [series for series in panel.series if series.kind != "band"]
        assert len(axes.collections) == len(panel.series) - len(drawn) == 2
        for line, series in zip(axes.get_lines(), drawn, strict=True):
            np.testing.assert_array_equal(line.get_xydata(), np.transpose([series.x, series.y]))
            if series.look.ink in ARMS:
                assert line.get_color() == ARM_COLOURS[series.look.ink]


def test_the_legend_is_whole_in_a_narrow_figure(findings: Findings) -> None:
    figure = draw(rate_accuracy(findings, "bpfe", published_points()).of("Encoder1"))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *("benchmark", "proposed", "90 % interval over images", "uncompressed features"),
        "points of the paper",
    ]
    box = legend.get_window_extent(figure.canvas.get_renderer())
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1


def pixels(figure: Figure, colour: str) -> int:
    """How many pixels have just this colour."""
    figure.canvas.draw()
    rgb_HW3 = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    return int((rgb_HW3 == [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).all(-1).sum())


@pytest.mark.parametrize("over", ARMS)
def test_a_later_series_lies_over_an_earlier_one(over: str) -> None:
    """Of two equal curves both show only if the broken one comes last."""
    under = next(arm for arm in ARMS if arm != over)
    series = tuple(
        Series("curve", replace(ARM_LOOKS[arm], mark=""), (0.0, 1.0), (0.0, 1.0))
        for arm in (under, over)
    )
    figure = new_figure(3, 2)
    draw_panel(figure.subplots(), Panel("", "", Axis("x"), Axis("y"), series))
    broken, solid = (pixels(figure, ARM_COLOURS[arm]) for arm in ARMS)
    assert (broken > 0) == (over == ARMS[0])
    assert solid > 0


def test_equal_arms_both_show(findings: Findings) -> None:
    """Every chart that joins both arms by lines draws the broken one last."""
    charts = [
        rate_accuracy(findings, "bpp", NO_POINTS),
        joint(findings, "bpp", loss_percent=1),
        training({arm: a_history(True) for arm in ARMS}, SCORES),
    ]
    for chart in charts:
        for panel in chart.panels:
            curves = [s.look.ink for s in panel.series if s.kind == "curve" and s.look.ink in ARMS]
            assert curves in (["proposed", "benchmark"], ["proposed"])


@pytest.mark.parametrize("ends", [(0.38, 0.54), (0.02, 0.12), (30, 700), (1e-5, 3e-3), (1, 1e6)])
def test_logarithmic_axes_have_a_few_ticks_with_numbers(ends: tuple[float, float]) -> None:
    axes = new_figure(3, 2).subplots()
    axes.set_xscale("log")
    axes.set_xlim(*ends)
    log_ticks(axes.xaxis, np.array(ends))
    # A tick may be an end of the axis but for the last bit of its power of ten.
    low, high = ends[0] * (1 - 1e-9), ends[1] * (1 + 1e-9)
    ticks = axes.xaxis.get_ticklabels()
    inside = [x for x in ticks if low <= x.get_position()[0] <= high]
    assert 2 <= len(inside) <= 7
    for tick in inside:
        number = float(tick.get_text().replace("\N{MINUS SIGN}", "-"))
        assert number == pytest.approx(tick.get_position()[0], rel=1e-5)


def test_arms_differ_without_colour(findings: Findings) -> None:
    axes = shown(draw(joint(findings, "bpfe", loss_percent=1.5)))[0]
    allowed, proposed, benchmark = axes.get_lines()
    assert benchmark.get_marker() != proposed.get_marker()
    assert benchmark.get_linestyle() != proposed.get_linestyle()
    assert set(allowed.get_ydata()) == {1.5}


@pytest.mark.parametrize("same", [True, False])
def test_codec_names_do_not_overlap(findings: Findings, same: bool) -> None:
    if same:
        half = findings.points[findings.points["arm"] == "benchmark"]
        findings = replace(findings, points=pd.concat([half, half.assign(arm="proposed")]))
    figure = draw(rate_accuracy(findings, "bpfe", NO_POINTS).of("Encoder1"))
    for axes in shown(figure):
        assert {"png", "90", "60", "10"} <= {text.get_text() for text in axes.texts}
        renderer = figure.canvas.get_renderer()
        boxes = [text.get_window_extent(renderer) for text in axes.texts]
        for i, box in enumerate(boxes):
            assert box.count_overlaps(boxes[:i]) == 0
            assert axes.bbox.padded(5).count_overlaps([box]) == 1


def test_one_arm_or_a_missing_score_still_draws(findings: Findings, tmp_path: Path) -> None:
    points = findings.points.copy()
    points.loc[1, "psnr"] = np.nan
    save(draw(rate_accuracy(replace(findings, points=points), "bpfe", NO_POINTS)), tmp_path / "gap")
    alone = replace(
        findings,
        points=points[points["arm"] == "proposed"],
        uncompressed=findings.uncompressed.query("arm == 'proposed'"),
    )
    for axes in shown(draw(rate_accuracy(alone, "bpfe", NO_POINTS))):
        assert {line.get_color() for line in axes.get_lines()} == {ARM_COLOURS["proposed"]}


def test_scales_of_a_training() -> None:
    chart = training({ARMS[0]: a_history(False), ARMS[1]: a_history(True)}, SCORES)
    axes = {x.get_title(): x for x in shown(draw(chart))}
    assert axes["Disparity: weight"].get_yscale() == "log"
    assert axes["Total loss"].get_yscale() == "linear"
    # All panels show the same epochs, though validation begins late.
    assert len({x.get_xlim() for x in axes.values()}) == 1


FIGURES: dict[str, Callable[[], Figure]] = {
    "rate": lambda: draw(rate_accuracy(found_with_seeds(), "bpfe", published_points())),
    "training": lambda: draw(training({ARMS[1]: a_history(True)}, SCORES)),
    "predictions": lambda: predictions(some_examples(("edges",)), "png", tasks=["edges"]),
    "tile": lambda: tiles([Tile("one", np.arange(40, dtype=np.uint8).reshape(5, 8))]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_save_writes_both_files_and_the_same_bytes_twice(tmp_path: Path, name: str) -> None:
    before = dict(matplotlib.rcParams)
    # A dot in the stem is no suffix.
    first = save(FIGURES[name](), tmp_path / "a" / "fig.v1")
    figure = FIGURES[name]()
    second = save(figure, tmp_path / "b" / "fig.v1")
    again = save(figure, tmp_path / "c" / "fig.v1")
    assert [path.name for path in first] == ["fig.v1.png", "fig.v1.svg"]
    for one, two, three in zip(first, second, again, strict=True):
        assert one.read_bytes() == two.read_bytes() == three.read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["fig.v1.png", "fig.v1.svg"]
    with Image.open(first[0]) as picture:
        assert picture.size[0] == pytest.approx(200 * figure.get_figwidth(), abs=1)
    # The letters travel along as outlines: no font is needed to show the figure.
    tags = {x.tag.rpartition("}")[2] for x in ElementTree.parse(first[1]).iter()}
    assert "path" in tags
    assert "text" not in tags
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_clipped(name: str) -> None:
    figure = FIGURES[name]()
    # As `save` draws it: the number of ticks hangs on the size of letters.
    with styled():
        figure.draw_without_rendering()
        box = figure.get_tightbbox()
    assert box.x0 >= -0.01
    assert box.y0 >= -0.01
    assert box.x1 <= figure.get_figwidth() + 0.01
    assert box.y1 <= figure.get_figheight() + 0.01


def test_only_a_figure_with_a_layout_can_settle() -> None:
    with pytest.raises(ValueError, match="no layout"):
        settle(FIGURES["tile"]())


def test_a_figure_that_cannot_be_drawn_leaves_no_file(tmp_path: Path) -> None:
    figure = FIGURES["tile"]()
    figure.text(0.5, 0.5, r"$\frac{$")
    with pytest.raises(ValueError):
        save(figure, tmp_path / "broken")
    assert list(tmp_path.iterdir()) == []
