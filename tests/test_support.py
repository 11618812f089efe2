"""The helpers of the tests say so when they cannot help."""

from pathlib import Path
from typing import Any

import pytest

from tests.support import browser


@pytest.mark.parametrize(
    ("required", "outcome"), [("1", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_a_missing_browser_skips_a_test_or_fails_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, required: str, outcome: Any
) -> None:
    monkeypatch.setattr(browser, "NAMES", ())
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    monkeypatch.setenv(browser.REQUIRE, required)
    with pytest.raises(outcome, match="missing"), browser.chromium_or_skip():
        pass
