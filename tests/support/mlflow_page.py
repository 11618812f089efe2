"""MLflow's pages in a browser, for tests and for the screenshots of the documentation."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WAIT_MS = 120_000


def open_runs(
    browser: "Browser", url: str, *, run: str, width: int, height: int, scale: float = 1.0
) -> "Page":
    """Open MLflow's page of runs at `url` as a new visitor sees it, and wait until it has `run`.

    Nothing is asked of any other server.
    """
    size = {"width": width, "height": height}
    page = browser.new_context(viewport=size, device_scale_factor=scale).new_page()
    page.set_default_timeout(WAIT_MS)
    server = url.split("#")[0]
    page.route(lambda asked: not asked.startswith(server), lambda route: route.abort())
    page.goto(url)
    page.get_by_role("link", name=run).first.wait_for()
    return page
