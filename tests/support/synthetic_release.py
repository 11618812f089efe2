"""Write a few small made-up frames in the layout of the official release."""

import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("ulm_000001_000019", "aachen_000002_000019", "ulm_000000_000019")
"""Not in sorted order."""

PARTS = {
    "leftImg8bit": "_leftImg8bit.png",
    "gtFine": "_gtFine_labelIds.png",
    "disparity": "_disparity.png",
}


def part_path(root: Path, part: str, name: str, split: str = "val") -> Path:
    """Return the path of a frame's file in one part of the release."""
    return root / part / split / name.split("_")[0] / f"{name}{PARTS[part]}"


def write_release(
    root: Path, *, width: int = 64, height: int = 32, split: str = "val", disparity: bool = True
) -> None:
    """Write frames of random pixels, in folders; about a fifth of the disparity is invalid."""
    for seed, name in enumerate(NAMES):
        rng = np.random.default_rng(seed)
        arrays = {
            "leftImg8bit": rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
            "gtFine": rng.integers(0, 34, (height, width), dtype=np.uint8),
            "disparity": rng.integers(0, 2**16, (height, width), dtype=np.uint16)
            * (rng.random((height, width)) < 0.8).astype(np.uint16),
        }
        for part, array in arrays.items():
            if part != "disparity" or disparity:
                path = part_path(root, part, name, split)
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path)


def zip_part(source: Path, part: str, target: Path) -> None:
    """Pack one part into its official zip file, which also holds a licence."""
    target.mkdir(parents=True, exist_ok=True)
    path = target / f"{part}_trainvaltest.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("license.txt", "made up")
        for file in sorted((source / part).rglob("*.png")):
            archive.write(file, file.relative_to(source).as_posix())


def pixels(path: Path) -> np.ndarray:
    """Return the pixels of an image file, as Pillow decodes them."""
    return np.asarray(Image.open(path))
