"""Tiling: the paper's grids, round trips, and wrong shapes."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.coding.tiling import grid, tile, untile

SIDE = st.integers(1, 7)


@given(channels=st.integers(1, 70), h=SIDE, w=SIDE, dtype=st.sampled_from([np.uint8, np.uint16]))
@example(channels=1, h=3, w=5, dtype=np.uint8)
@example(channels=17, h=5, w=3, dtype=np.uint16)
def test_every_channel_lies_where_the_grid_says(channels, h, w, dtype):
    # No two neighbours are alike, none of them is 0.
    levels_Chw = (np.arange(channels * h * w) % 251 + 1).astype(dtype).reshape(channels, h, w)
    tile_HW = tile(levels_Chw)
    rows, columns = grid(channels)
    assert tile_HW.shape == (rows * h, columns * w)
    assert tile_HW.dtype == dtype
    for c in range(rows * columns):
        top, left = c // columns * h, c % columns * w
        cell = tile_HW[top : top + h, left : left + w]
        np.testing.assert_array_equal(cell, levels_Chw[c] if c < channels else 0)
    np.testing.assert_array_equal(untile(tile_HW, levels_Chw.shape), levels_Chw)


@given(st.integers(1, 5000))
@example(512)
@example(256)
def test_the_grid_is_near_square_and_just_large_enough(channels):
    rows, columns = grid(channels)
    assert rows == 2 ** math.floor(math.log2(channels) / 2)
    assert (columns - 1) * rows < channels <= columns * rows
    assert rows <= columns <= 4 * rows


def test_what_makes_no_tile_is_refused():
    with pytest.raises(ValueError, match="17 channels of 2 x 3 make a tile of 8 x 15 pixels"):
        untile(np.zeros((8, 16), np.uint8), (17, 2, 3))
    with pytest.raises(ValueError, match="at least one channel, not 0"):
        untile(np.zeros((0, 0), np.uint8), (0, 2, 3))
    for shape in ((2, 3), (1, 2, 3, 4), (0, 2, 3), (2, 0, 3)):
        with pytest.raises(ValueError, match="C x h x w"):
            tile(np.zeros(shape, np.uint8))
