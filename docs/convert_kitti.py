"""Copy KITTI 2015 into the layout of Cityscapes, so that this project can read it.

    uv run python -m docs.convert_kitti /data/kitti2015 /data/kitti-as-cityscapes

The first folder holds `training/`, as `data_scene_flow.zip` and `data_semantics.zip` unpack it.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image


def convert(kitti: Path, root: Path, *, width: int = 1216, height: int = 352) -> None:
    """Write each frame that has labels as three PNG files of width x height pixels.

    Raises ValueError if there are no frames, or if a frame is smaller than this.
    """
    paths = sorted((kitti / "training" / "semantic").glob("*_10.png"))
    if not paths:
        raise ValueError(f"no *_10.png in {kitti}/training/semantic: unpack data_semantics.zip")
    for path in paths:
        number = int(path.name.partition("_")[0])
        # Frames that follow each other show the same street, so whole blocks of 20 go to one split.
        split, city = "val" if number >= 160 else "train", f"kitti{number // 20}"
        image_HW3 = _cropped(kitti / "training" / "image_2" / path.name, width, height)
        label_HW = _cropped(path, width, height)
        disparity_HW = _cropped(kitti / "training" / "disp_occ_0" / path.name, width, height)
        arrays = {
            "leftImg8bit/{}_leftImg8bit.png": image_HW3,
            # Cityscapes has no id above 33. Id 0 is void.
            "gtFine/{}_gtFine_labelIds.png": np.where(label_HW > 33, 0, label_HW),
            "disparity/{}_disparity.png": _as_cityscapes(disparity_HW),
        }
        for pattern, array in arrays.items():
            target = root / pattern.format(f"{split}/{city}/{city}_{number:06}_000010")
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(target)


def _cropped(path: Path, width: int, height: int) -> np.ndarray:
    """Return the middle columns and the lowest rows: KITTI's frames differ in size."""
    array = np.asarray(Image.open(path))
    top, left = array.shape[0] - height, (array.shape[1] - width) // 2
    if top < 0 or left < 0:
        raise ValueError(
            f"{path}: {array.shape[1]}x{array.shape[0]} pixels, below {width}x{height}"
        )
    return array[top:, left : left + width]


def _as_cityscapes(kitti_HW: np.ndarray) -> np.ndarray:
    """Encode disparity d anew: KITTI stores 256 d, Cityscapes 256 d + 1; 0 is invalid in both."""
    return np.where(kitti_HW > 0, np.minimum(kitti_HW, 65534) + 1, 0).astype(np.uint16)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
