"""Link the files of a release that are read, so that nothing else in its folder counts."""

import os
from pathlib import Path

from pipeline.data.cityscapes import find
from pipeline.files import whole_folder

_SPLITS = ("train", "val")


def link_release(root: Path, folder: Path, *, disparity: bool) -> None:
    """Make `folder` a release of links to the files of both splits in root that are read.

    A part that is read from a zip file is one link, to the zip file. `disparity` says whether
    disparity is read. The folder is replaced, or left as it was if an error is raised. Raises
    CityscapesError if the release is not whole.

    Links to a relative root are relative, so that a repository that holds its data can be moved.
    """
    frames = [x for split in _SPLITS for x in find(root, split, disparity=disparity)]
    files = [x for frame in frames for x in (frame.image, frame.label, frame.disparity) if x]
    with whole_folder(folder) as draft:
        for path in dict.fromkeys(x.path for x in files):
            link = draft / path.relative_to(root)
            link.parent.mkdir(parents=True, exist_ok=True)
            target = path.resolve()
            if not root.is_absolute():
                target = Path(os.path.relpath(target, link.parent.resolve()))
            link.symlink_to(target)
