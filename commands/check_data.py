"""Check a Cityscapes release before any work.

    python -m commands.check_data --root /data/cityscapes

decodes every file that `prepare` would read, and says what is there, missing or broken. It writes
nothing, and ends with 1 if the data cannot be used.
"""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.data.cityscapes import CityscapesError
from pipeline.data.examine import described, examine
from stages.settings import data_root, load, run


def main(
    root: Annotated[Path | None, typer.Option(help="the folder, if not data.root")] = None,
) -> None:
    """Say what is in data.root or another folder; raise CityscapesError if it cannot be used."""
    params = load()
    root = root or data_root(params)
    found = examine(root, disparity="disparity" in params.tasks)
    print(described(found))
    if found.faults:
        faults = "1 fault" if len(found.faults) == 1 else f"{len(found.faults):,} faults"
        raise CityscapesError(f"{root} cannot be used as it is: {faults}, see above")


if __name__ == "__main__":
    run(main)
