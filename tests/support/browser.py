"""Chromium without a window, for tests that look at pages and for the documentation."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
REQUIRE = "REQUIRE_BROWSER"
PATIENCE_MS = 300_000
"""A busy machine needs minutes for what takes a second alone. Playwright itself waits 30 s."""


class NoBrowser(Exception):
    """There is no Chromium on this machine, or no Playwright to drive it."""


@contextmanager
def chromium() -> "Iterator[Browser]":
    """Start the Chromium on the path, else the one that Playwright has installed.

    Raises NoBrowser when there is neither.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise NoBrowser("Playwright is not installed") from error
    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
        if not Path(found).exists():
            raise NoBrowser(f"none of {', '.join(NAMES)} is on the path, and {found} is missing")
        browser = playwright.chromium.launch(
            executable_path=found, args=list(ARGUMENTS), timeout=PATIENCE_MS
        )
        yield browser
        browser.close()


@contextmanager
def chromium_or_skip() -> "Iterator[Browser]":
    """Start Chromium for tests. Without one they are skipped, or fail if REQUIRE_BROWSER is 1."""
    try:
        with chromium() as browser:
            yield browser
    except NoBrowser as error:
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"{REQUIRE} is 1, but {error}")
        pytest.skip(str(error))
