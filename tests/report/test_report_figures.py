"""The report's figures: what is drawn is what was given, and files come whole and repeatably."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from pipeline.arms import ARMS
from pipeline.report.paper.history import training
from pipeline.report.paper.joint import all_tasks
from pipeline.report.paper.pictures import predictions, predictions_by_codec, tile
from pipeline.report.paper.rate_accuracy import THIN, rate_accuracy
from pipeline.report.paper.sheet import sheet
from pipeline.report.paper.style import ARM_LINES, log_ticks, save, settle
from pipeline.scoring.metrics import SCORES
from tests.support.report_models import some_examples

CODECS = ["png", "jpeg-90", "jpeg-50", "jpeg-10"]


def some_points(encoders: list[str], scores: list[str], seeds: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for encoder in encoders:
        for arm in ("benchmark", "proposed"):
            for seed in range(seeds):
                for i, codec in enumerate(CODECS):
                    bpfe = 4.0 * 0.6**i + 0.1 * rng.random()
                    values = {score: 10 + bpfe + rng.random() for score in scores}
                    rows.append(
                        {"encoder": encoder, "arm": arm, "seed": seed, "codec": codec}
                        | {"bpfe": bpfe, "bpfe_payload": bpfe, "kilobytes": bpfe}
                        | values
                    )
    return pd.DataFrame(rows)


def a_history(rate: bool) -> pd.DataFrame:
    epoch = np.arange(1, 7)
    parts = ["segmentation", "disparity", "reconstruction", *(["rate"] if rate else [])]
    columns = {f"loss/{part}": 5.0 / epoch for part in parts} | {"loss/total": 3.0 - epoch}
    columns |= {f"weight/{part}": 0.1 * epoch for part in parts} | {"lr": 1e-3 / epoch}
    columns["val/miou"] = np.where(epoch % 3 == 0, 0.1 * epoch, np.nan)
    return pd.DataFrame({"epoch": epoch, **columns})


def shown(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.axison]


@pytest.mark.parametrize("encoders", [["encoder1"], ["encoder1", "encoder2"]])
@pytest.mark.parametrize("scores", [["psnr"], ["miou", "psnr"], ["miou", "irmse", "psnr"]])
def test_panels_follow_the_encoders_and_scores(encoders: list[str], scores: list[str]) -> None:
    figure = rate_accuracy(some_points(encoders, scores), SCORES)
    axes = shown(figure)
    assert len(axes) == len(encoders) * len(scores)
    assert all(len(x.get_lines()) == 2 for x in axes)
    assert [x.get_xlabel() for x in axes][-1] == "Rate (bits per feature element)"
    labels = {"miou": "mIoU", "irmse": "IRMSE (1/px)", "psnr": "PSNR (dB)"}
    assert [x.get_ylabel() for x in axes] == [labels[s] for s in scores for _ in encoders]


def test_curves_hold_the_given_points() -> None:
    points = some_points(["encoder1", "encoder2"], ["miou", "psnr"])
    axes = shown(rate_accuracy(points, SCORES))
    for i, score in enumerate(["miou", "psnr"]):
        for j, encoder in enumerate(["encoder1", "encoder2"]):
            for line in axes[2 * i + j].get_lines():
                of_arm = points["arm"] == line.get_label()
                given = points[(points["encoder"] == encoder) & of_arm]
                expected = given.sort_values("bpfe")[["bpfe", score]].to_numpy()
                np.testing.assert_array_equal(line.get_xydata(), expected)


def references(points: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Bands, float features and the paper's points, all about those given."""
    bands = points[["encoder", "arm", "codec"]].assign(score="psnr", low=points["psnr"] - 1)
    free = points[points["codec"] == "png"][["encoder", "arm", "psnr"]]
    return {
        "bands": bands.assign(high=points["psnr"] + 1),
        "uncompressed": free,
        "published": points.assign(psnr=points["psnr"] + 2),
    }


@pytest.mark.parametrize("encoders", [["encoder1"], ["encoder1", "encoder2"]])
def test_references_stand_behind_the_curves(encoders: list[str]) -> None:
    points = some_points(encoders, ["psnr"])
    figure = rate_accuracy(points, SCORES, **references(points))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *("benchmark", "proposed", "interval over images", "uncompressed", "the paper"),
    ]
    # A column is narrow: the legend must not be cut off.
    box = legend.get_window_extent(figure.canvas.get_renderer())
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    for axes in shown(figure):
        faint = [line for line in axes.get_lines() if line.get_alpha() == THIN["alpha"]]
        assert [line.get_color() for line in faint] == [x.color for x in ARM_LINES.values()]


def test_a_picture_is_shown_by_its_bytes() -> None:
    points = some_points(["encoder1"], ["psnr"])
    sent = pd.DataFrame(
        {"encoder": "encoder1", "quality": [90, 10], "kilobytes": [7.0, 1.5], "psnr": [12.0, 11]}
    )
    (axes,) = shown(rate_accuracy(points, SCORES, pictures=sent, rate="kilobytes"))
    assert axes.get_xlabel() == "Rate (kB per image)"
    np.testing.assert_array_equal(axes.get_lines()[-1].get_xydata(), [[1.5, 11], [7, 12]])


def test_all_tasks_together_by_rate() -> None:
    points = some_points(["encoder1", "encoder2"], ["psnr"]).assign(lost=3.0)
    axes = shown(all_tasks(points, loss_percent=1.5))
    assert [x.get_title() for x in axes] == ["Encoder1", "Encoder2"]
    benchmark, proposed, allowed = axes[0].get_lines()
    assert (benchmark.get_label(), proposed.get_label()) == ("benchmark", "proposed")
    assert allowed.get_ydata() == [1.5, 1.5]
    given = points[(points["encoder"] == "encoder1") & (points["arm"] == "proposed")]
    np.testing.assert_array_equal(proposed.get_xdata(), np.sort(given["bpfe"]))


@pytest.mark.parametrize("ends", [(0.38, 0.54), (0.02, 0.12), (30, 700), (1e-5, 3e-3), (1, 1e6)])
def test_logarithmic_axes_have_a_few_ticks_with_numbers(ends: tuple[float, float]) -> None:
    (axes,) = shown(rate_accuracy(some_points(["encoder1"], ["psnr"]), SCORES))
    axes.set_xscale("log")
    axes.set_xlim(*ends)
    log_ticks(axes.xaxis, np.array(ends))
    labels = axes.xaxis.get_ticklabels()
    inside = [x.get_text() for x in labels if ends[0] <= x.get_position()[0] <= ends[1]]
    assert 2 <= len(inside) <= 7
    assert all(float(text) for text in inside)


def test_several_seeds_are_thin_lines_and_a_mean() -> None:
    points = some_points(["encoder1"], ["psnr"], seeds=3)
    (axes,) = shown(rate_accuracy(points, SCORES))
    assert len(axes.get_lines()) == 8
    means = [line for line in axes.get_lines() if line.get_marker() not in ("", "None")]
    assert [line.get_label() for line in means] == ["benchmark", "proposed"]
    expected = points[points["arm"] == "proposed"].groupby("codec")[["bpfe", "psnr"]].mean()
    np.testing.assert_allclose(means[1].get_xydata(), expected.sort_values("bpfe").to_numpy())


def test_arms_differ_without_colour() -> None:
    (axes,) = shown(rate_accuracy(some_points(["encoder1"], ["psnr"]), SCORES))
    benchmark, proposed = axes.get_lines()
    assert benchmark.get_marker() != proposed.get_marker()
    assert benchmark.get_linestyle() != proposed.get_linestyle()


@pytest.mark.parametrize("same", [True, False])
def test_codec_names_do_not_overlap(same: bool) -> None:
    points = some_points(["encoder1"], ["psnr"])
    if same:
        half = points[points["arm"] == "benchmark"]
        points = pd.concat([half, half.assign(arm="proposed")])
    figure = rate_accuracy(points, SCORES)
    (axes,) = shown(figure)
    assert {"png", "90", "50", "10"} <= {text.get_text() for text in axes.texts}
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    for i, box in enumerate(boxes):
        assert box.count_overlaps(boxes[:i]) == 0
        assert axes.bbox.padded(5).count_overlaps([box]) == 1


def test_one_arm_or_a_missing_score_still_draws(tmp_path: Path) -> None:
    points = some_points(["encoder1"], ["psnr"])
    points.loc[1, "psnr"] = np.nan
    save(rate_accuracy(points, SCORES), tmp_path / "gap")
    (axes,) = shown(rate_accuracy(points[points["arm"] == "proposed"], SCORES))
    assert len(axes.get_lines()) == 1


def test_training_has_a_panel_for_what_the_histories_hold() -> None:
    figure = training({"one": a_history(False), "two": a_history(True)}, SCORES)
    axes = {x.get_title(): x for x in shown(figure)}
    assert set(axes) == {
        *(f"{part}: {kind}" for part in PARTS for kind in ("loss", "weight")),
        *("Total loss", "Learning rate", "Validation"),
    }
    assert len(axes["Segmentation: loss"].get_lines()) == 2
    assert len(axes["Rate: weight"].get_lines()) == 1
    assert axes["Disparity: weight"].get_yscale() == "log"
    assert axes["Total loss"].get_yscale() == "linear"
    constant = a_history(True).assign(**{"weight/rate": 1.0})
    fixed = {x.get_title(): x for x in shown(training({"one": constant}, SCORES))}
    assert fixed["Rate: weight"].get_yscale() == "linear"
    # Epochs without validation are no points.
    (line, _) = axes["Validation"].get_lines()
    np.testing.assert_allclose(line.get_xydata(), [[3, 0.3], [6, 0.6]])


PARTS = ("Segmentation", "Disparity", "Reconstruction", "Rate")


def test_training_of_a_subset() -> None:
    history = a_history(False)[["epoch", "loss/segmentation", "lr"]]
    assert [x.get_title() for x in shown(training({"one": history}, SCORES))] == [
        *("Segmentation: loss", "Learning rate"),
    ]
    with pytest.raises(ValueError, match="nothing to draw"):
        training({"one": history[["epoch"]]}, SCORES)
    with pytest.raises(ValueError, match="5 histories"):
        training({str(i): history for i in range(5)}, SCORES)


TASKS = ("segmentation", "disparity", "reconstruction")


def test_predictions_have_a_column_for_what_there_is() -> None:
    examples = some_examples(TASKS, frames=3)
    full = predictions(examples, "png")
    titles = [x.get_title() for x in shown(full) if x.get_title()]
    assert titles == [
        *("Input", "True segmentation", "True disparity"),
        *("Predicted segmentation", "Predicted disparity", "Predicted reconstruction"),
    ]
    drawn = [np.asarray(x.get_images()[0].get_array()) for x in full.axes if x.get_images()]
    assert len(drawn) == 18
    np.testing.assert_array_equal(drawn[6], examples.image_BHW3[1])
    np.testing.assert_array_equal(drawn[8], examples.truths["disparity"][1])
    np.testing.assert_array_equal(drawn[9], examples.predictions["png"]["segmentation"][1])
    legend = [text.get_text() for text in full.legends[0].get_texts()]
    assert legend == ["segmentation is", "disparity is"]
    part = predictions(some_examples(("a task from elsewhere",)), "png")
    assert [x.get_title() for x in shown(part)] == ["Input", "Predicted a task from elsewhere"]


def test_a_sheet_without_pictures_is_refused() -> None:
    with pytest.raises(ValueError, match="no picture"):
        sheet([], [], [], ())


def test_predictions_by_codec_has_a_row_per_task_and_arm() -> None:
    arms = {arm: some_examples(TASKS, tuple(CODECS), seed=i) for i, arm in enumerate(ARMS)}
    figure = predictions_by_codec(arms)
    assert sum(len(x.get_images()) == 1 for x in shown(figure)[: 6 * 5]) == 30
    assert [x.get_title() for x in shown(figure)[:5]] == [
        *("Truth", "PNG", "JPEG-90", "JPEG-50", "JPEG-10"),
    ]
    rows = [x.get_ylabel() for x in shown(figure)[0:30:5]]
    assert rows[:2] == ["Segmentation\nbenchmark", "Segmentation\nproposed"]
    with pytest.raises(ValueError, match="arm proposed has the codecs"):
        predictions_by_codec(arms | {"proposed": some_examples(TASKS, ("png",))})


def test_tile_shows_the_levels_given() -> None:
    first = np.arange(15 * 31, dtype=np.uint16).reshape(15, 31)
    flat = np.full((15, 31), 7, np.uint8)
    figure = tile([("benchmark: 34.3 kB", first), ("proposed: 33.1 kB", flat)])
    left, right = shown(figure)
    assert [left.get_title(), right.get_title()] == ["benchmark: 34.3 kB", "proposed: 33.1 kB"]
    np.testing.assert_array_equal(left.get_images()[0].get_array(), first)
    assert left.get_images()[0].get_clim() == pytest.approx(np.percentile(first, [1, 99]))
    assert "percentile" in figure.texts[0].get_text()
    with pytest.raises(ValueError, match="no tile"):
        tile([])


FIGURES: dict[str, Callable[[], Figure]] = {
    "rate": lambda: rate_accuracy(some_points(["encoder1"], ["miou", "psnr"]), SCORES),
    "training": lambda: training({"one": a_history(True).filter(regex="epoch|rate|val")}, SCORES),
    "predictions": lambda: predictions(some_examples(TASKS), "png"),
    "tile": lambda: tile([("one", np.arange(40, dtype=np.uint8).reshape(5, 8))]),
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
