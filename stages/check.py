"""Refuse wrong settings before any stage runs.

DVC deletes what a stage has written before it runs the stage again. This stage comes before all
others, so that settings that it refuses cost nothing. What only the data can tell, such as its
cities, `prepare` checks.
"""

from pathlib import Path

from pipeline.artifacts import CHECKED_FILE, STREETS_FOLDER
from pipeline.files import write_text
from stages.settings import data_root, load, run


def main() -> None:
    """Check all settings; write a file that is always the same, so that no stage runs for it."""
    params = load()
    if Path(params.data.root) != STREETS_FOLDER:
        data_root(params)
    write_text(CHECKED_FILE, "These settings were checked before the other stages ran.\n")


if __name__ == "__main__":
    run(main)
