"""Holds the files of the built-in data set: layout, content, and nothing half-written."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from torchvision.datasets import Cityscapes

from pipeline.streets import write as streets
from pipeline.streets.draw import SPLITS, Scene, draw
from pipeline.streets.write import CITIES, write_streets

ROOT = Path(__file__).parents[2]


def _files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*.png")}


def test_files_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    write_streets(tmp_path / "one", 2, 5, 3, 64, 32, workers=1)
    write_streets(tmp_path / "two", 2, 5, 3, 64, 32, workers=2)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")
    assert len(_files(tmp_path / "one")) == 3 * 8
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "two"]


def test_one_process_draws_where_locks_have_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a writable /dev/shm a pool cannot be made."""

    def no_pool(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    write_streets(tmp_path / "one", 2, 2, 1, 16, 8, workers=1)
    monkeypatch.setattr(streets, "ProcessPoolExecutor", no_pool)
    write_streets(tmp_path / "two", 2, 2, 1, 16, 8, workers=2)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")


DRAW = """
from pathlib import Path
from pipeline.streets.write import write_streets
if __name__ == "__main__":
    write_streets(Path("streets"), 0, 10_000, 1, 64, 32, workers=2)
"""


def test_who_draws_ends_when_the_set_is_killed(tmp_path: Path) -> None:
    (tmp_path / "draw.py").write_text(DRAW)
    draws = subprocess.Popen(
        [sys.executable, "draw.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    until = time.monotonic() + 60
    while len(list(tmp_path.rglob("*_disparity.png"))) < 2:
        assert time.monotonic() < until
        time.sleep(0.05)
    children = psutil.Process(draws.pid).children(recursive=True)
    assert len(children) >= 2
    draws.send_signal(signal.SIGKILL)
    draws.wait()
    _, alive = psutil.wait_procs(children, 30)
    assert [x for x in alive if x.status() != psutil.STATUS_ZOMBIE] == []


def test_torchvision_loads_what_was_drawn(tmp_path: Path) -> None:
    root = tmp_path / "streets"
    write_streets(root, 7, 6, 3, 70, 33, workers=1)
    for split, count in (("train", 6), ("val", 3)):
        frames = Cityscapes(str(root), split, mode="fine", target_type="semantic")
        assert len(frames) == count
        found = {}
        for (image, label), path in zip(frames, frames.images, strict=True):
            city, sequence, _, _ = Path(path).name.split("_")
            cities = CITIES[split]
            index = int(sequence) * len(cities) + cities.index(city)
            found[index] = path
            scene = draw(7, split, index, 70, 33)
            np.testing.assert_array_equal(np.asarray(image), scene.image_HW3)
            np.testing.assert_array_equal(np.asarray(label), scene.label_HW)
            disparity = path.replace("leftImg8bit", "disparity")
            with Image.open(disparity) as stored:
                assert stored.mode == "I;16"
                np.testing.assert_array_equal(np.asarray(stored), scene.disparity_HW)
        assert sorted(found) == list(range(count))


def test_nothing_is_left_of_a_set_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(seed: int, split: str, index: int, width: int, height: int) -> Scene:
        if index == 2:
            raise OSError("disk full")
        return draw(seed, split, index, width, height)

    monkeypatch.setattr(streets, "draw", fail)
    with pytest.raises(OSError, match="disk full"):
        write_streets(tmp_path / "streets", 0, 4, 1, 16, 8, workers=1)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_use_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not empty"):
        write_streets(tmp_path, 0, 1, 1, 16, 8, workers=1)
    with pytest.raises(ValueError, match="at least one"):
        write_streets(tmp_path / "new", 0, 0, 1, 16, 8, workers=1)
    with pytest.raises(ValueError, match="workers"):
        write_streets(tmp_path / "new", 0, 1, 1, 16, 8, workers=0)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_frames_are_spread_evenly_over_cities_that_no_two_splits_share(tmp_path: Path) -> None:
    write_streets(tmp_path / "streets", 0, 10, 3, 8, 4, workers=1)
    counts = {
        split: {
            city.name: len(list(city.iterdir()))
            for city in (tmp_path / "streets/leftImg8bit" / split).iterdir()
        }
        for split in SPLITS
    }
    assert sorted(counts["train"].values()) == [2, 2, 3, 3]
    assert sorted(counts["val"].values()) == [1, 2]
    assert not set(counts["train"]) & set(counts["val"])
