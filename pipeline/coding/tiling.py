"""Feature channels laid out as one near-square grey image, and back (paper, figure 2)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class TileGrid(NamedTuple):
    """Cells of a tile; each holds one channel, row by row, and the last few may be empty."""

    rows: int
    columns: int


def grid(channels: int) -> TileGrid:
    """Return 2^floor(log2(C) / 2) rows and as many columns as C channels then need.

    For powers of two this is the paper's grid: 16 x 32 cells for 512 channels, 16 x 16 for 256.
    Only the last row ever has empty cells.
    """
    if channels < 1:
        raise ValueError(f"a tile needs at least one channel, not {channels}")
    rows = 2 ** ((channels.bit_length() - 1) // 2)
    return TileGrid(rows, -(-channels // rows))


def tile_size(shape: tuple[int, int, int]) -> tuple[int, int]:
    """Return the height and width, in pixels, of the tile of C x h x w levels."""
    channels, h, w = shape
    rows, columns = grid(channels)
    return rows * h, columns * w


def tile(levels_Chw: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
    """Return C x h x w levels as one H x W image of the same dtype.

    Empty cells hold 0: a flat cell costs both codecs next to nothing, a repeated channel costs
    JPEG a channel. Raises ValueError on another number of axes or an empty array.
    """
    if levels_Chw.ndim != 3 or levels_Chw.size == 0:
        raise ValueError(f"levels must be C x h x w and not empty, not {levels_Chw.shape}")
    channels, h, w = levels_Chw.shape
    rows, columns = grid(channels)
    cells = np.zeros((rows * columns, h, w), levels_Chw.dtype)
    cells[:channels] = levels_Chw
    return cells.reshape(rows, columns, h, w).swapaxes(1, 2).reshape(rows * h, columns * w)


def untile(
    tile_HW: NDArray[np.unsignedinteger], shape: tuple[int, int, int]
) -> NDArray[np.unsignedinteger]:
    """Return the C x h x w levels, of `shape`, that `tile` laid out as tile_HW.

    Raises ValueError when a tensor of that shape makes a tile of another size.
    """
    channels, h, w = shape
    rows, columns = grid(channels)
    if tile_HW.shape != tile_size(shape):
        height, width = tile_size(shape)
        raise ValueError(
            f"{channels} channels of {h} x {w} make a tile of {height} x {width} pixels, "
            f"not {' x '.join(map(str, tile_HW.shape))}"
        )
    cells = tile_HW.reshape(rows, h, columns, w).swapaxes(1, 2).reshape(rows * columns, h, w)
    return cells[:channels].copy()
