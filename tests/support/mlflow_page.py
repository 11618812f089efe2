"""MLflow's pages in a browser, for tests and for the screenshots of the documentation."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
WAIT_MS = 120_000


class NoBrowser(Exception):
    """There is no Chromium on this machine."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium without a window: the one on the path, else the one that Playwright has installed.

    Raises NoBrowser when there is neither.
    """
    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
        if not Path(found).exists():
            raise NoBrowser(f"none of {', '.join(NAMES)} on the path, and no {found}")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_runs(browser: Browser, url: str, *, run: str, width: int, height: int, scale: float = 1.0):
    """MLflow's page of runs at `url` as someone sees it who was never there, once `run` is on it.

    Nothing is asked of any other server.
    """
    size = {"width": width, "height": height}
    page: Page = browser.new_context(viewport=size, device_scale_factor=scale).new_page()
    page.set_default_timeout(WAIT_MS)
    server = url.split("#")[0]
    page.route(lambda asked: not asked.startswith(server), lambda route: route.abort())
    page.goto(url)
    page.get_by_role("link", name=run).first.wait_for()
    return page
