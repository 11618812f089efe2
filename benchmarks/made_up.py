"""Made-up frames and features, for measurements that do not care what is on them."""

from pathlib import Path

import numpy as np

from pipeline.data.frames import Frames, open_frames


def noise_frames(folder: Path, count: int, *, width: int, height: int) -> Frames:
    """Write `count` frames of noise to `folder` as `prepare` would, and open them.

    A tenth of the pixels is void, a sixth without disparity.
    """
    rng = np.random.default_rng(0)
    shape = (count, height, width)
    label_NHW = rng.integers(0, 19, shape, np.uint8)
    label_NHW[rng.random(shape, np.float32) < 0.1] = 255
    disparity_NHW = rng.integers(1, 126 * 256, shape, np.uint16)
    disparity_NHW[rng.random(shape, np.float32) < 1 / 6] = 0
    folder.mkdir(parents=True)
    np.save(folder / "image.npy", rng.integers(0, 256, (*shape, 3), np.uint8))
    np.save(folder / "label.npy", label_NHW)
    np.save(folder / "disparity.npy", disparity_NHW)
    rows = "".join(f"{i},noise_{i:06}_000019\n" for i in range(count))
    (folder / "frames.csv").write_text(f"index,name\n{rows}")
    return open_frames(folder)


def features_of(shape: tuple[int, int, int, int]) -> np.ndarray:
    """Return features N x C x h x w as an encoder leaves them: half of them 0, the rest smooth."""
    noise_NChw = np.random.default_rng(0).standard_normal(shape, np.float32)
    smooth_NChw = noise_NChw + np.roll(noise_NChw, 1, 2) + np.roll(noise_NChw, 1, 3)
    return np.maximum(smooth_NChw, 0)
