"""The page: the same bytes each time, safe, and alive in a browser without a network."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.report.page import render, setting
from pipeline.report.results import Results
from pipeline.report.summary import break_even
from tests.support.browser import PATIENCE_MS, chromium_or_skip
from tests.support.report_models import arms, results, shown, times_of


@pytest.fixture(scope="module")
def found() -> Results:
    models = [*arms(seeds=2), *arms(encoder="encoder1")]
    return results(models, times=times_of(models))


@pytest.fixture(scope="module")
def page(found: Results) -> str:
    return render(found, shown(found))


def test_is_the_same_each_time(found: Results, page: str) -> None:
    assert render(found, shown(found)) == page


def test_asks_for_nothing_and_holds_its_script_once(page: str) -> None:
    outside = r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(?!data:)'
    assert not re.search(outside, page.split("</main>")[0])
    assert page.count("window.vegaEmbed=") == 1
    assert len(page) < 3_000_000


def test_what_others_wrote_cannot_become_markup(page: str) -> None:
    assert "a &lt;test&gt; set &amp; more" in page
    assert "<test>" not in page


def test_says_first_what_was_found_and_then_the_rest(page: str) -> None:
    body = page[page.index("<body>") : page.index("</main>")]
    heads = re.findall(r"<(?:h2|summary)>([^<]+)<", body)
    assert heads[:5] == ["What to send", "Break-even", "At equal score", "Pictures", "Details"]
    assert heads[5:9] == [
        "Change of bits at equal score",
        "Lowest rate of every sender",
        "All points",
        "Diagnostics of the features",
    ]
    assert heads[-2:] == ["Settings", "Runs"]
    assert "tags.artifact = '&lt;digest&gt;'" in body
    assert "0123456789abcdef" in body


def test_the_break_even_is_said_with_its_machine(found: Results, page: str) -> None:
    part = page.split("<h2>Break-even</h2>")[1].split("<h2>")[0]
    assert f'<p class="wider">{break_even(found, "encoder1")}</p>' in part
    assert "one thread of a made-up processor" in part
    assert part.count('class="chart"') == len(found.encoders)


def test_tasks_may_be_few_and_no_picture_sent() -> None:
    few = results(arms(tasks=("disparity",), pictures=()))
    page = render(few, shown(few))
    assert "Disparity" in page
    assert "Semantic segmentation" not in page
    assert "picture as" not in page.split("</main>")[0]
    assert "<summary>Classes" not in page
    assert "Break-even" not in page  # nothing was timed


def test_settings_read_as_in_params() -> None:
    assert [setting(x) for x in (True, ("a", "b"), 0.5, "learned")] == [
        "true",
        "a, b",
        "0.5",
        "learned",
    ]


class Seen(NamedTuple):
    """A page in a browser, and what it said and asked for meanwhile."""

    page: Any
    console: list[str]
    requests: list[str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium_or_skip() as launched:
        yield launched


@pytest.fixture(params=[1400, 390])
def seen(request: pytest.FixtureRequest, browser: Any, page: str, tmp_path: Path) -> Iterator[Seen]:
    file = tmp_path / "index.html"
    file.write_text(page, encoding="utf-8")
    context = browser.new_context(
        viewport={"width": request.param, "height": 900}, offline=True, has_touch=True
    )
    context.set_default_timeout(PATIENCE_MS)
    tab = context.new_page()
    found = Seen(tab, [], [])
    tab.on("console", lambda message: found.console.append(message.text))
    tab.on("pageerror", lambda error: found.console.append(str(error)))
    tab.on("request", lambda asked: found.requests.append(asked.url))
    tab.goto(file.as_uri())
    yield found
    context.close()


def test_in_a_browser(seen: Seen, page: str, request: pytest.FixtureRequest) -> None:
    width, tab = request.node.callspec.params["seen"], seen.page
    parts = "document.querySelectorAll('main > details')"
    tab.evaluate(f"{parts}.forEach((part) => (part.open = true))")
    charts = page.count('class="chart"')
    tab.wait_for_function(f"document.querySelectorAll('.plot svg.marks').length === {charts}")
    boxes = tab.locator(".plot svg.marks").evaluate_all("x => x.map((y) => y.clientWidth)")
    assert min(boxes) > 200
    # Nothing is wider than the window, and a table that is scrolls in a box of its own.
    assert tab.evaluate("document.documentElement.scrollWidth") == width

    labels = tab.locator("text:has-text('Rate in kilobytes per frame')")
    assert labels.count() == 6
    tab.check("input[value=bpp]")
    tab.wait_for_function(
        "[...document.querySelectorAll('svg.marks text')]"
        ".filter((x) => x.textContent === 'Rate in bits per pixel').length === 6"
    )
    tab.locator("path[aria-roledescription=point]").first.hover(force=True)
    told = tab.locator("#vg-tooltip-element.visible").inner_text()
    for words in ("kilobytes per frame", "bits per feature element", "bits per pixel", "point"):
        assert words in told
    assert not seen.console
    assert all(address.startswith(("file:", "data:", "blob:")) for address in seen.requests)


def test_pictures_follow_the_choice_of_frame_and_point(seen: Seen) -> None:
    viewer = seen.page.locator(".viewer").first
    image = viewer.locator("img[data-arm=proposed]").first
    sources = [image.get_attribute("src")]
    viewer.locator("select[name=proposed]").select_option(index=2)
    sources.append(image.get_attribute("src"))
    viewer.locator("select[name=frame]").select_option(index=1)
    sources.append(image.get_attribute("src"))
    assert len(set(sources)) == 3
    assert not seen.console
