"""Link the files of a release that are read, so that nothing else in its folder counts."""

import os
from pathlib import Path

from pipeline.data.cityscapes import find
from pipeline.files import whole_folder, write_text

LIST = "files.txt"
_SPLITS = ("train", "val")


def link_release(root: Path, folder: Path, *, disparity: bool) -> None:
    """Make `folder` a release of links to the files of both splits in root that are read.

    A part that is read from a zip file is one link, to the zip file. `disparity` says whether
    disparity is read. The folder is replaced, or left as it was if an error is raised. Raises
    CityscapesError if the release is not whole.

    Links to a relative root are relative, so that a repository that holds its data can be moved.
    The list of the links, `files.txt`, is for DVC. Without it the folder could be equal to a
    release in DVC's cache, and DVC would put copies of those files in place of the links.
    """
    frames = [x for split in _SPLITS for x in find(root, split, disparity=disparity)]
    files = [x for frame in frames for x in (frame.image, frame.label, frame.disparity) if x]
    paths = {x.path.relative_to(root).as_posix(): x.path for x in files}
    with whole_folder(folder) as draft:
        for name, path in paths.items():
            link = draft / name
            link.parent.mkdir(parents=True, exist_ok=True)
            target = path.resolve()
            if not root.is_absolute():
                target = Path(os.path.relpath(target, link.parent.resolve()))
            link.symlink_to(target)
        write_text(draft / LIST, "".join(f"{name}\n" for name in sorted(paths)))
