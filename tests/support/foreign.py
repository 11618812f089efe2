"""A trap for careless readers of pickles."""

from pathlib import Path


class Foreign:
    """Something that makes the file `target` when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.target,)
