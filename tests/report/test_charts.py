"""The descriptions of charts: what they show, in which colours, and that Vega-Lite takes them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.artifacts import ARM_COLOURS, ARMS
from pipeline.report.charts import (
    LINK_RATES,
    UNIT,
    charts_of,
    delay_chart,
    figures,
    for_page,
    rate_table,
    training_charts,
    write_figure,
)
from pipeline.report.colours import OTHERS, numbered, styles
from pipeline.report.delays import sendings
from pipeline.report.measured import RATES
from pipeline.report.names import PAPER, Sender
from pipeline.report.results import Results
from tests.support.report_models import CODECS, arms, model, results, shown, times_of

BENCHMARK, PROPOSED = (f"{arm} features, PNG or JPEG" for arm in ARMS[:2])


@pytest.fixture(scope="module")
def found() -> Results:
    return results(arms(seeds=2))


def data_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all rows that a specification holds."""
    return [row for rows in spec["datasets"].values() for row in rows]


def scales(spec: Any) -> list[dict[str, Any]]:
    """Return every scale of a colour in a specification."""
    if isinstance(spec, list):
        return [scale for part in spec for scale in scales(part)]
    if not isinstance(spec, dict):
        return []
    here = [spec["color"]["scale"]] if isinstance(spec.get("color"), dict) else []
    return here + [scale for part in spec.values() for scale in scales(part)]


def test_every_sender_and_point_is_in_each_task_s_chart(found: Results) -> None:
    charts = charts_of(found, "encoder2")
    assert list(charts) == list(found.scores)
    for task, chart in charts.items():
        rows = [row for row in data_of(for_page(chart)) if row.get("title")]
        assert len(rows) == 2 * len(CODECS) + 2
        assert {row["sender"] for row in rows} == set(found.senders)
        for row in rows:
            assert row["value_low"] <= row["value"] <= row["value_high"]
            assert row["bpfe"] * 8192 == pytest.approx(8000 * row["kilobytes"])
        scale = found.scores[task].printed.scale
        png = next(x for x in rows if (x["sender"], x["title"]) == (PROPOSED, "PNG"))
        sent = found.sent.set_index(["sender", "codec"]).loc[(PROPOSED, "png")]
        assert png["value"] == pytest.approx(scale * sent[found.scores[task].name])


def test_tooltips_have_the_rate_in_three_units(found: Results) -> None:
    text = json.dumps(for_page(charts_of(found, "encoder2")["disparity"]))
    for words in RATES.values():
        assert f'"title": "{words}"' in text


def test_a_line_joins_what_no_other_point_of_the_sender_dominates(found: Results) -> None:
    score = found.scores["segmentation"]
    table = rate_table(found.sent, score)
    assert table["codec"][~table["front"]].unique().tolist() == ["uncompressed"]
    worse = found.sent.copy()
    worse.loc[worse["codec"] == "png", "miou"] /= 2
    table = rate_table(worse, score)
    left = table[table["codec"].eq("png") & ~table["front"]]
    assert set(left["sender"]) == {BENCHMARK, PROPOSED}


def test_colours_are_the_same_everywhere(found: Results, repository: Path) -> None:
    expected = {title: style.colour for title, style in styles(found.senders).items()}
    expected |= ARM_COLOURS
    training = training_charts(shown(found).histories["encoder2"])
    for chart in [*charts_of(found, "encoder2").values(), *training.values()]:
        for scale in scales(for_page(chart)):
            pairs = dict(zip(scale["domain"], scale["range"], strict=True))
            assert pairs == {sender: expected[sender] for sender in pairs}
    template = json.loads((repository / ".dvc/plots/rate_accuracy.json").read_text())
    scale = template["encoding"]["color"]["scale"]
    pairs = dict(zip(scale["domain"], scale["range"], strict=True))
    assert pairs == {arm: expected[arm] for arm in found.arms}


def test_any_number_of_senders_can_be_told_apart() -> None:
    coders = (PAPER, "klt", "table", "webp", "gzip", "bz2", "lzma", "more", "others")
    senders = [Sender(arm, coder) for arm in ARMS for coder in coders]
    senders += [
        Sender(arm, coder, True, bare)
        for arm in ("benchmark", "picture")
        for coder in ("jpeg", "webp", "avif")
        for bare in (False, True)
    ]
    look = styles({sender.title: sender for sender in senders})
    assert len(set(look.values())) == len(look) == len(senders)
    names = ["benchmark", *(f"experiment{i}" for i in range(3 * len(OTHERS)))]
    assert len(set(numbered(names).values())) == len(names)


def test_a_score_that_does_not_exist_is_said_and_not_drawn(tmp_path: Path) -> None:
    found = results(arms())
    lacking = replace(found, sent=found.sent.assign(miou=np.nan))
    spec = for_page(charts_of(lacking, "encoder2")["segmentation"])
    assert [row["text"] for row in data_of(spec)] == ["mIoU: not available"]
    for stem, figure in figures(lacking, "encoder2").items():
        write_figure(figure, tmp_path / stem)


def test_a_figure_is_written_in_three_formats_and_always_the_same(
    found: Results, tmp_path: Path
) -> None:
    by_name = figures(found, "encoder2")
    assert list(by_name) == ["rate-accuracy-encoder2", "rate-accuracy-encoder2-bpfe"]
    for stem, spec in by_name.items():
        for folder in ("a", "b"):
            write_figure(spec, tmp_path / folder / stem)
        for ending in (".svg", ".png", ".pdf"):
            first, second = ((tmp_path / x / (stem + ending)).read_bytes() for x in ("a", "b"))
            assert first == second
    svg = (tmp_path / "a/rate-accuracy-encoder2.svg").read_text()
    assert "Rate in kilobytes per frame" in svg
    assert "picture as JPEG" in svg
    other = (tmp_path / "a/rate-accuracy-encoder2-bpfe.svg").read_text()
    assert "Rate in bits per feature element" in other
    assert (tmp_path / "a/rate-accuracy-encoder2.pdf").read_bytes().startswith(b"%PDF")
    image = Image.open(tmp_path / "a/rate-accuracy-encoder2.png").convert("RGB")
    colours = {colour for _, colour in image.getcolors(2**24)}
    for sender in found.senders:
        hexadecimal = styles(found.senders)[sender].colour.removeprefix("#")
        assert tuple(bytes.fromhex(hexadecimal)) in colours


class TestDelays:
    MODELS = arms(seeds=2)

    def test_a_curve_for_each_sender_and_a_rule_for_the_device_alone(self, tmp_path: Path) -> None:
        found = results(self.MODELS, times=times_of(self.MODELS))
        rows = data_of(for_page(delay_chart(found, "encoder2")))
        sent = sendings(found, "encoder2")
        assert list(sent) == list(found.answer)
        for title, sending in sent.items():
            curve = {row["rate"]: row["value"] for row in rows if row.get("sender") == title}
            assert curve == {rate: sending.delay(rate) for rate in LINK_RATES}
        texts = [row["text"] for row in rows if "text" in row]
        assert texts == ["all on the device, 70.0 ms"]  # a picture is faster at every rate here
        assert list(figures(found, "encoder2"))[2:] == ["break-even-encoder2"]

    def test_each_break_even_in_sight_has_a_rule(self) -> None:
        times = times_of(self.MODELS)
        times["encoder2", "benchmark"]["pictures"]["jpeg-90"] = {"encode": 12.0, "decode": 0.0}
        found = results(self.MODELS, times=times)
        sent = sendings(found, "encoder2")
        rows = data_of(for_page(delay_chart(found, "encoder2")))
        (even,) = [row["rate"] for row in rows if row.get("text") == "break-even"]
        assert sent[PROPOSED].delay(even) == pytest.approx(sent["picture as JPEG"].delay(even))

    def test_without_times_there_is_none(self, found: Results) -> None:
        assert delay_chart(found, "encoder2") is None


def test_training_has_a_chart_for_each_column(found: Results) -> None:
    history = shown(found).histories["encoder2"]["benchmark"].assign(**{"share/rate": np.nan})
    negative = history.assign(**{"loss/disparity": [1.0, -0.5, 0.2]})
    charts = training_charts({"benchmark": history, "proposed": negative})
    assert "Learning rate" in charts
    assert "PSNR of the validation frames" in charts
    assert "Rate: share" not in charts  # no value
    specs = {title: for_page(chart) for title, chart in charts.items()}
    assert specs["Segmentation: loss"]["encoding"]["y"]["scale"]["type"] == "log"
    # A logarithm has no place for a loss below 0.
    assert "type" not in specs["Disparity: loss"]["encoding"]["y"]["scale"]
    values = [row["value"] for row in data_of(specs["PSNR of the validation frames"])]
    assert values == [12.0, 13.0, 12.0, 13.0]


def test_the_unit_is_a_signal_of_every_chart_over_rate() -> None:
    models = [
        model("benchmark"),
        model("proposed", rate=0.8),
        model("entropy", rate=0.5, codecs=("table/1", "table/2")),
    ]
    spec = for_page(charts_of(results(models), "encoder2")["disparity"])
    assert [param["name"] for param in spec["params"]] == [UNIT]
    assert (
        pd.Series([row.get("sender") for row in data_of(spec)])
        .isin([BENCHMARK, PROPOSED, "entropy model", "picture as JPEG"])
        .all()
    )
