"""The example of docs/own-data.md: its result is what `prepare_split` reads, value by value."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from docs.convert_kitti import convert
from pipeline.data.frames import disparity_px
from pipeline.data.prepare import prepare_split
from pipeline.labels import VOID

WIDTH, HEIGHT = 8, 4
NUMBERS = {"train": (0, 19, 20, 159), "val": (160, 199)}


@pytest.fixture
def kitti(tmp_path: Path) -> Path:
    """KITTI's own layout. The first frame is one row and three columns larger than the others."""
    for number in (*NUMBERS["train"], *NUMBERS["val"]):
        rows, columns = (HEIGHT + 1, WIDTH + 3) if number == 0 else (HEIGHT, WIDTH)
        image_HW3 = np.full((rows, columns, 3), number, np.uint8)
        image_HW3[-1, 1 if number == 0 else 0] = (1, 2, 3)
        label_HW = np.full((rows, columns), 26, np.uint8)  # car, train id 13
        label_HW[-1, -2:] = (7, 255)  # road, train id 0; none of the official ids
        disparity_HW = np.zeros((rows, columns), np.uint16)
        disparity_HW[-1, -4:] = (1, 256, 2560, 65535)
        arrays = {"image_2": image_HW3, "semantic": label_HW, "disp_occ_0": disparity_HW}
        for part, array in arrays.items():
            folder = tmp_path / "kitti" / "training" / part
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / f"{number:06}_10.png")
    return tmp_path / "kitti"


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_result_is_read_as_kitti_means_it(kitti: Path, tmp_path: Path, split: str) -> None:
    convert(kitti, tmp_path / "root", width=WIDTH, height=HEIGHT)
    size = {"width": WIDTH, "height": HEIGHT}
    frames = prepare_split(tmp_path / "root", split, tmp_path / split, disparity=True, **size)
    numbers = NUMBERS[split]
    assert frames.names == tuple(f"kitti{x // 20}_{x:06}_000010" for x in numbers)
    assert frames.image_NHW3[:, 0, 0, 0].tolist() == list(numbers)
    assert frames.image_NHW3[:, -1, 0].tolist() == [[1, 2, 3]] * len(numbers)
    last, whole = len(numbers) - 1, frames.disparity_NHW
    assert frames.label_NHW[last, -1, -3:].tolist() == [13, 0, VOID]
    assert whole is not None
    # KITTI: d = p / 256 pixels, 0 is invalid. The largest value loses one step.
    px_HW = disparity_px(whole[last])
    assert px_HW[-1].tolist() == [0, 0, 0, 0, 1 / 256, 1, 10, 65534 / 256]
    assert not px_HW[:-1].any()


def test_a_folder_without_frames_or_a_small_frame_is_refused(kitti: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"semantic: unpack data_semantics.zip"):
        convert(tmp_path, tmp_path / "root")
    with pytest.raises(ValueError, match=r"000000_10.png: 11x5 pixels, below 1216x352"):
        convert(kitti, tmp_path / "root")
