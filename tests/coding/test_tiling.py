"""Tiling: the paper's grids, round trips, and wrong shapes."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.coding.tiling import grid, tile, untile

SIDE = st.integers(1, 7)


def filled(channels, h, w, dtype=np.uint8):
    """Levels of which no two neighbours are alike, none of them 0."""
    return (np.arange(channels * h * w) % 251 + 1).astype(dtype).reshape(channels, h, w)


@given(channels=st.integers(1, 70), h=SIDE, w=SIDE, dtype=st.sampled_from([np.uint8, np.uint16]))
@example(channels=1, h=3, w=5, dtype=np.uint8)
@example(channels=3, h=1, w=7, dtype=np.uint8)
@example(channels=17, h=5, w=3, dtype=np.uint16)
def test_every_channel_lies_where_the_grid_says(channels, h, w, dtype):
    levels_Chw = filled(channels, h, w, dtype)
    tile_HW = tile(levels_Chw)
    rows, columns = grid(channels)
    assert tile_HW.shape == (rows * h, columns * w)
    assert tile_HW.dtype == dtype
    for c in range(rows * columns):
        top, left = c // columns * h, c % columns * w
        cell = tile_HW[top : top + h, left : left + w]
        np.testing.assert_array_equal(cell, levels_Chw[c] if c < channels else 0)
    np.testing.assert_array_equal(untile(tile_HW, levels_Chw.shape), levels_Chw)


@pytest.mark.parametrize(
    ("shape", "expected"), [((512, 8, 16), (128, 512)), ((256, 16, 32), (256, 512))]
)
def test_the_tiles_of_the_paper(shape, expected):
    assert tile(np.zeros(shape, np.uint8)).shape == expected


@given(st.integers(1, 5000))
def test_the_grid_is_near_square_and_just_large_enough(channels):
    rows, columns = grid(channels)
    assert rows == 2 ** math.floor(math.log2(channels) / 2)
    assert (columns - 1) * rows < channels <= columns * rows
    assert rows <= columns <= 4 * rows


@given(st.integers(0, 16))
def test_powers_of_two_make_the_grid_of_the_paper(exponent):
    assert grid(2**exponent) == (2 ** math.floor(exponent / 2), 2 ** math.ceil(exponent / 2))


def test_a_tile_of_another_size_is_refused():
    with pytest.raises(
        ValueError, match="17 channels of 2 x 3 make a tile of 8 x 15 pixels, not 8 x 16"
    ):
        untile(np.zeros((8, 16), np.uint8), (17, 2, 3))


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3, 4), (0, 2, 3), (2, 0, 3)])
def test_levels_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="C x h x w"):
        tile(np.zeros(shape, np.uint8))


def test_no_channels_make_no_grid():
    with pytest.raises(ValueError, match="at least one channel, not 0"):
        untile(np.zeros((0, 0), np.uint8), (0, 2, 3))
