"""The page: whole, self-contained, and without an error in a browser."""

import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_models import CODECS, arms, model, shown

from pipeline.report.findings import Findings, find
from pipeline.report.heat import heat_tables
from pipeline.report.images import WIDEST, png_uri
from pipeline.report.page import cell, render
from pipeline.report.results import Measured
from pipeline.scoring.metrics import SCORES

VOID_ELEMENTS = {"meta", "link", "img", "input", "br"}
TASKS = ("segmentation", "disparity", "reconstruction")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def found_of(models: list[Measured], tasks: tuple[str, ...] = TASKS) -> Findings:
    return find(
        models,
        {task: SCORES[task] for task in tasks},
        method="cubic",
        resamples=100,
        level=0.95,
        joint_loss=1.0,
    )


@pytest.fixture(scope="module")
def models() -> list[Measured]:
    of_one = [model("benchmark", encoder="encoder1"), model("proposed", encoder="encoder1")]
    return [*of_one, *arms(disorder=True)]


@pytest.fixture(scope="module")
def findings(models: list[Measured]) -> Findings:
    return found_of(models)


@pytest.fixture(scope="module")
def page(findings: Findings, models: list[Measured]) -> str:
    return render(findings, shown(models))


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


def test_missing_numbers_are_never_shown(reader: Reader) -> None:
    words = re.findall(r"[A-Za-z]+", " ".join([*reader.text, *reader.json]))
    assert not {"nan", "NaN", "inf", "Infinity", "None", "undefined"} & set(words)


def test_facts_are_text(page: str) -> None:
    assert "a &lt;test&gt; set &amp; more" in page
    assert "<test>" not in page


def test_charts_hold_the_points_in_every_unit(findings: Findings, reader: Reader) -> None:
    charts = [json.loads(text) for text in reader.json]
    points = findings.points.query("encoder == 'encoder2' and arm == 'proposed'")
    points = points.sort_values("bpfe")
    rates = {name: points[name].tolist() for name in ("bpfe", "bpp", "kilobytes")}
    curves = [
        trace
        for chart in charts
        for trace in chart["data"]
        if trace["meta"].get("x") == rates and "markers" in trace["mode"]
    ]
    drawn = [trace["y"] for trace in curves]
    assert (100 * points["miou"]).tolist() in drawn
    assert points["psnr"].tolist() in drawn
    (by_psnr,) = [x for x in curves if x["y"] == points["psnr"].tolist()]
    assert f"PSNR {points['psnr'].iloc[0]:.2f} dB" in by_psnr["text"][0]
    # A picture has no feature elements.
    pictures = [x for c in charts for x in c["data"] if x["meta"]["role"] == "picture"]
    assert len(pictures) == 2 * 3
    assert all(set(trace["meta"]["x"]) == {"bpp", "kilobytes"} for trace in pictures)


def test_the_papers_curves_are_for_its_own_data_set_alone(models: list[Measured]) -> None:
    findings = found_of(models)
    counts = [
        sum("paper, benchmark" in str(text) for text in Reader(html).json)
        for html in (render(findings, shown(models, toy=toy)) for toy in (True, False))
    ]
    assert counts == [0, 6]


@pytest.mark.parametrize("tasks", [("disparity",), ("segmentation", "reconstruction")])
def test_any_tasks_make_a_page(tasks: tuple[str, ...]) -> None:
    models = arms(tasks=tasks)
    reader = Reader(render(found_of(models, tasks), shown(models)))
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
    assert [grid.key for grid in findings.grids] == ["bd-rate", "diagnostics", "points-encoder2"]
    reader = Reader(render(findings, shown(bare)))
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


SWITCH = """<script>
document.querySelector("input[value=kilobytes]").click();
const codec = document.querySelector("#codec select");
codec.value = "jpeg-10";
codec.dispatchEvent(new Event("change", { bubbles: true }));
const slider = document.querySelector(".viewer input[type=range]");
slider.value = 2;
slider.dispatchEvent(new Event("input", { bubbles: true }));
const say = (words) => console.log("said: " + words);
addEventListener("load", () => setTimeout(() => {
  const plots = [...document.querySelectorAll(".plot")];
  say(`drawn ${plots.filter((x) => x.querySelector(".main-svg")).length} of ${plots.length}`);
  say(`axis ${plots[0].querySelector(".xtitle").textContent}`);
  say(`traces ${plots[0].data.filter((x) => x.visible !== false).length}`);
  say(`codec ${document.querySelector(".viewer output").textContent}`);
  say(`shown ${document.querySelectorAll(".viewer .step.current").length}`);
  say(`reading ${document.querySelector(".reading:not([hidden])").textContent}`);
  say(`wider ${document.documentElement.scrollWidth - document.documentElement.clientWidth}`);
  const { backgroundColor } = getComputedStyle(document.body);
  say(`background ${backgroundColor}`);
}, 2000));
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize(("width", "dark"), [(1400, False), (390, True)])
def test_in_a_browser(page: str, tmp_path: Path, width: int, dark: bool) -> None:
    """In a frame, since a window of a headless browser is never as narrow as a phone."""
    (tmp_path / "index.html").write_text(page + SWITCH, encoding="utf-8")
    frame = f'<iframe src="index.html" style="border:0;width:{width}px;height:900px"></iframe>'
    (tmp_path / "frame.html").write_text(f"<!DOCTYPE html><body>{frame}")
    log = tmp_path / "net.json"
    done = subprocess.run(
        [
            str(CHROMIUM),
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            "--virtual-time-budget=20000",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--log-net-log={log}",
            f"--screenshot={tmp_path / 'page.png'}",
            f"--window-size={max(width, 500)},900",
            (tmp_path / "frame.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    said = [x.split("said: ")[1].split('"')[0] for x in console if "said: " in x]
    assert len(said) == len(console), console
    plots = page.count('class="plot"')
    assert said == [
        f"drawn {plots} of {plots}",
        "axis Kilobytes per image",
        "traces 7",
        "codec JPEG-60",
        "shown 2",
        "reading benchmark: r = 1.00, proposed: r = 1.00",
        "wider 0",
        f"background {'rgb(20, 22, 26)' if dark else 'rgb(251, 251, 250)'}",
    ]
    # The key tells the page's requests from those that the browser makes of itself.
    assert '"network_isolation_key":"file:' not in log.read_text()
