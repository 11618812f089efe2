"""The page in Chromium: its switches, sliders and values work, without an error and offline."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.browser import PATIENCE_MS, chromium_or_skip
from tests.support.report_models import CODECS
from tests.support.report_page import STILLS, found_of, two_encoders, whole_page


@pytest.fixture(scope="module")
def page() -> str:
    return whole_page(found_of(two_encoders()))


class Seen(NamedTuple):
    """A page in a browser, and what it said and asked for meanwhile."""

    page: Any
    console: list[str]
    requests: list[str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium_or_skip() as launched:
        yield launched


@pytest.fixture(
    params=[(1400, "light"), (1400, "dark"), (390, "light"), (390, "dark")],
    ids=lambda x: f"{x[0]}-{x[1]}",
)
def seen(
    request: pytest.FixtureRequest,
    browser: Any,
    page: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Seen]:
    width, scheme = request.param
    file = tmp_path_factory.mktemp("page") / "index.html"
    file.write_text(page, encoding="utf-8")
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=width < 500
    )
    context.set_default_timeout(PATIENCE_MS)
    tab = context.new_page()
    found = Seen(tab, [], [])
    tab.on("console", lambda message: found.console.append(message.text))
    tab.on("pageerror", lambda error: found.console.append(str(error)))
    tab.on("request", lambda asked: found.requests.append(asked.url))
    tab.goto(file.as_uri())
    tab.wait_for_selector(".plot .main-svg >> nth=0")
    yield found
    context.close()


def test_in_a_browser(seen: Seen, page: str, request: pytest.FixtureRequest) -> None:
    width, scheme = request.node.callspec.params["seen"]
    tab = seen.page
    assert tab.locator(".plot:has(.main-svg)").count() == page.count('class="plot"')
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(20, 22, 26)" if scheme == "dark" else "rgb(251, 251, 250)")
    # Nothing is wider than the window, and a table that is scrolls in a box of its own.
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    boxes = tab.locator(".scroll").evaluate_all(
        "boxes => boxes.filter(x => x.scrollWidth > x.clientWidth).length"
    )
    assert (boxes > 0) == (width < 500)
    _follow_a_link(tab)
    _switch_the_rate_axis(tab)
    _choose_a_codec(tab)
    _move_the_slider(tab)
    assert seen.console == []
    assert [x.split(":")[0] for x in seen.requests if not x.startswith("data:")] == ["file"]


def _follow_a_link(tab: Any) -> None:
    tab.get_by_role("link", name="Equal score").click()
    # The page scrolls smoothly.
    top = "document.querySelector('#equal-score h2').getBoundingClientRect().top"
    tab.wait_for_function(f"0 <= {top} && {top} < 100")
    assert tab.locator("#equal-score h2").first.text_content() == "At equal score"


def _switch_the_rate_axis(tab: Any) -> None:
    first = "document.querySelector('.plot')"
    title = tab.locator(".plot >> nth=0 >> .xtitle")
    assert title.text_content() == "Rate (bits per feature element)"
    traces = f"{first}.data.length"
    # A picture has no feature elements.
    before = tab.evaluate(traces)
    keys = tab.locator("#curves .legend:visible .key")
    assert "picture as JPEG" not in keys.all_text_contents()
    for name, words in {"bpp": "Rate (bits per pixel)", "kilobytes": "Rate (kB per image)"}.items():
        tab.locator(f"#rate label:has(input[value={name}])").click()
        assert title.text_content() == words
        assert tab.evaluate(traces) == before + 1
        assert keys.all_text_contents()[-1] == "picture as JPEG"
    points = tab.evaluate(f"{first}.data.find(x => x.mode === 'lines+markers').x")
    assert points == sorted(points)


def _choose_a_codec(tab: Any) -> None:
    tab.locator("#codec select").select_option("jpeg-10")
    reading = tab.locator(".chart .note:visible").first.text_content()
    assert reading == "benchmark: r = 1.00, proposed: r = 1.00"


def _move_the_slider(tab: Any) -> None:
    viewer = tab.locator(".viewer").first
    shown = viewer.locator(".step:visible img[alt^='Segmentation']")
    assert shown.count() == 2
    before = shown.first.get_attribute("alt")
    viewer.locator("input[type=range]").fill("2")
    assert viewer.locator("output").text_content() == "JPEG-60"
    assert shown.count() == 2
    assert before == "Segmentation, benchmark, PNG"
    assert shown.first.get_attribute("alt") == "Segmentation, benchmark, JPEG-60"


def test_a_value_shows_under_the_pointer(browser: Any, page: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    tab = browser.new_page(viewport={"width": 1400, "height": 900})
    tab.goto((tmp_path / "index.html").as_uri())
    tab.locator(".plot >> nth=0 >> .points path >> nth=0").hover(force=True)
    told = tab.locator(".hoverlayer .hovertext").first.text_content()
    assert "bit/element" in told
    assert "mIoU" in told
    tab.close()


def test_on_paper_figures_stand_for_charts(browser: Any, page: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    tab = browser.new_page(viewport={"width": 700, "height": 900})
    tab.goto((tmp_path / "index.html").as_uri())
    tab.emulate_media(media="print")
    assert tab.locator(".still:visible").count() == len(STILLS)
    assert tab.locator(".charts:visible, .switch:visible, nav:visible").count() == 0
    assert tab.locator(".step:visible").count() == 2 * len(CODECS)
    # All three tables of classes of each encoder, not only the one chosen.
    assert tab.locator(".heat:visible").count() == 2 * 3
    tab.close()
