"""The progress bar: tqdm's, or none where tqdm is not installed."""

import importlib
from typing import Any


class _NoBar:
    """What is used of tqdm's bar, showing nothing; `disable` tells its user to print lines."""

    disable = True

    def __init__(self, **settings: object) -> None:
        """Take tqdm's settings."""

    def __enter__(self) -> "_NoBar":
        return self

    def __exit__(self, *error: object) -> None:
        """Let an error pass."""

    def update(self) -> None:
        """Count one step."""

    def set_description(self, text: str) -> None:
        """Show a text before the bar."""

    def set_postfix_str(self, text: str) -> None:
        """Show a text after the bar."""

    def write(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)

    def close(self) -> None:
        """End the bar."""


try:
    tqdm: Any = importlib.import_module("tqdm").tqdm
except ImportError:  # a compute node may have torch and little else
    tqdm = _NoBar
