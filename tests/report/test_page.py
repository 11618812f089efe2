"""The page is whole and self-contained, and holds every number of the findings."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from pipeline.report.found.findings import Findings
from pipeline.report.found.models import Measured
from pipeline.report.page.images import WIDEST, png_uri
from pipeline.report.page.render import FOLDER, cell, setting
from pipeline.report.tables.grid import to_markdown
from pipeline.report.tables.heat import heat_tables

from pipeline.arms import ARM_COLOURS
from tests.support.report_models import CODECS, arms, shown
from tests.support.report_page import found_of, page_of, two_encoders, whole_page

VOID_ELEMENTS = {"meta", "link", "img", "input", "br"}


@pytest.fixture(scope="module")
def models() -> list[Measured]:
    return two_encoders()


@pytest.fixture(scope="module")
def findings(models: list[Measured]) -> Findings:
    return found_of(models)


@pytest.fixture(scope="module")
def page(findings: Findings) -> str:
    return whole_page(findings)


class Reader(HTMLParser):
    """Checks that elements nest, and keeps text, links and what would be fetched."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.json: list[str] = []
        self.in_json = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.fetched += [values[x] for x in ("src", "srcset", "data", "poster") if x in values]
        if tag == "a":
            self.links.append(values["href"])
        elif "href" in values:
            self.fetched.append(values["href"])
        if "id" in values:
            self.ids.append(values["id"])
        self.in_json = values.get("type") == "application/json"
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.json += [data] if self.in_json else []
        elif not self.open or self.open[-1] != "style":
            self.text.append(data)


@pytest.fixture(scope="module")
def reader(page: str) -> Reader:
    return Reader(page)


def plain(text: str) -> str:
    """Without what print does to minus signs, hyphens and notes."""
    table = str.maketrans("−‑", "--") | {ord(a): str(i) for i, a in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
    return re.sub(r"\s", "", text.translate(table))


def test_page_is_whole(reader: Reader) -> None:
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids))
    inner = [link[1:] for link in reader.links if link.startswith("#")]
    assert len(inner) > 5
    assert set(inner) <= set(reader.ids)


def test_page_fetches_nothing(page: str, reader: Reader) -> None:
    assert reader.fetched
    assert all(address.startswith("data:") for address in reader.fetched)
    assert [x for x in reader.links if not x.startswith("#")] == [
        "http://127.0.0.1:5000/#/experiments/1/runs?viewStateShareKey=scores",
        "http://127.0.0.1:5000/#/runs/abc123",
    ]
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style


def test_page_shows_every_value_of_every_table(findings: Findings, reader: Reader) -> None:
    text = plain("".join(reader.text))
    for grid in findings.grids:
        for row in grid.rows:
            assert plain("".join(row)) in text
        for words in (grid.title, *grid.heads, *grid.notes):
            assert plain(words) in text


def test_tables_have_the_numbers_of_the_markdown(findings: Findings, page: str) -> None:
    in_page = re.findall(r'id="([\w-]+)">\s*<figcaption><b>Table (\d+)\.</b>', page)
    text = to_markdown(findings.grids)
    in_text = {grid.key: text.split(grid.title)[0].split("Table ")[-1] for grid in findings.grids}
    assert [int(number) for _, number in in_page] == list(range(1, len(findings.grids) + 1))
    assert {key: f"{number}.** " for key, number in in_page} == in_text


def test_settings_read_as_in_params_yaml() -> None:
    values = (True, ["png", "jpeg-90"], 0.05, "half-step")
    assert [setting(x) for x in values] == ["true", "png, jpeg-90", "0.05", "half-step"]


def test_missing_numbers_are_never_shown(reader: Reader) -> None:
    words = re.findall(r"[A-Za-z]+", " ".join([*reader.text, *reader.json]))
    assert not {"nan", "NaN", "inf", "Infinity", "None", "undefined"} & set(words)


def test_facts_are_text(page: str) -> None:
    assert "a &lt;test&gt; set &amp; more" in page
    assert "<test>" not in page


def test_charts_hold_the_points_in_every_unit(findings: Findings, reader: Reader) -> None:
    by_rate = [x for x in map(json.loads, reader.json) if "kilobytes" in x]
    assert len(by_rate) == 2 * (3 + 1)
    points = findings.points.query("encoder == 'encoder2' and arm == 'proposed'")
    for unit in ("bpfe", "bpp", "kilobytes"):
        ordered = points.sort_values(unit)
        # What no other point beats is joined by a line, the other points are marks alone.
        marked = [
            {(x, y): text for x, y, text in zip(t["x"], t["y"], t["text"], strict=True)}
            for chart in by_rate
            for t in chart[unit]["data"]
            if "markers" in t["mode"] and t["meta"]["ink"] == "proposed"
        ]
        drawn = {point: text for of in marked for point, text in of.items()}
        for row in ordered.to_dict("records"):
            assert (row[unit], 100 * row["miou"]) in drawn
            assert f"PSNR {row['psnr']:.2f} dB" in drawn[row[unit], row["psnr"]]
        # A picture has no feature elements.
        inks = [trace["meta"]["ink"] for chart in by_rate for trace in chart[unit]["data"]]
        assert inks.count("picture") == (0 if unit == "bpfe" else 2 * 3)


def test_an_arm_has_its_one_colour(page: str) -> None:
    for arm, colour in ARM_COLOURS.items():
        assert re.search(rf":root\{{[^}}]*--{arm}:{colour};", page)
        assert colour.lower() not in (FOLDER / "page.css").read_text().lower()


def test_the_papers_curves_are_for_its_own_data_set_alone(models: list[Measured]) -> None:
    findings = found_of(models)
    counts = [
        sum("paper, benchmark" in str(text) for text in Reader(html).json)
        for html in (page_of(findings, shown(models, toy=toy)) for toy in (True, False))
    ]
    assert counts == [0, 6]


@pytest.mark.parametrize("tasks", [("disparity",), ("segmentation", "reconstruction")])
def test_any_tasks_make_a_page(tasks: tuple[str, ...]) -> None:
    models = arms(tasks=tasks)
    reader = Reader(page_of(found_of(models, tasks), shown(models)))
    assert reader.open == []
    assert ("classes" in reader.ids) == ("segmentation" in tasks)
    pictures = sum(x.startswith("data:image") for x in reader.fetched)
    # Tiles, truths, and a prediction for each arm, codec and task.
    assert pictures == 2 + len(tasks) + 2 * len(CODECS) * len(tasks)


def test_a_page_without_references() -> None:
    bare = [
        Measured(**{**vars(x), "uncompressed": {}, "pictures": {}, "rate_loss_N": None})
        for x in arms()
    ]
    findings = found_of(bare)
    assert [grid.key for grid in findings.grids] == [
        *("hull", "bounds", "bd-rate"),
        *("points-encoder2", "diagnostics"),
    ]
    reader = Reader(page_of(findings, shown(bare)))
    assert reader.open == []
    assert not {"joint", "pictures", "rate-loss"} & set(reader.ids)


def test_cells() -> None:
    assert (
        cell("-1.50 % [-2.00, +1.00] ¹²") == "−1.50 % [−2.00, +1.00]\N{NO-BREAK SPACE}<sup>12</sup>"
    )
    assert cell("JPEG-90 <b> 0.5-0.7") == "JPEG‑90 &lt;b&gt; 0.5-0.7"


def test_heat_is_the_mean_over_seeds(models: list[Measured]) -> None:
    iou = found_of(models).iou
    tables = heat_tables(iou)["encoder2"]
    assert list(tables) == ["benchmark", "proposed", "difference"]
    heads, rows = tables["difference"]
    assert heads == ["PNG", "JPEG-90", "JPEG-60", "JPEG-30", "JPEG-10", "uncompressed"]
    assert rows[0][0] == "road"
    values = iou.query("encoder == 'encoder2' and codec == 'png' and `class` == 'road'")
    assert rows[0][1] == pytest.approx(np.diff(values["iou"]).item())
    assert np.isnan(rows[16][1])


def test_pictures_keep_their_colours() -> None:
    grey = np.arange(99, dtype=np.uint8).reshape(9, 11)
    few = np.stack([grey % 5 * 40, grey % 3, grey % 2 * 200], -1).astype(np.uint8)
    for pixels in (grey, few):
        data = base64.b64decode(png_uri(pixels).removeprefix("data:image/png;base64,"))
        with Image.open(io.BytesIO(data)) as image:
            assert image.width <= WIDEST
            found = np.asarray(image.convert("L" if pixels.ndim == 2 else "RGB"))
        np.testing.assert_array_equal(found, pixels)
