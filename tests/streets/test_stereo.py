"""Holds which pixels have a disparity, and how it is stored."""

import numpy as np

from pipeline.streets.stereo import encode_disparity, unseen


def test_hidden_pixels_are_those_the_right_camera_does_not_see() -> None:
    rng = np.random.default_rng(0)
    shift = 2 * rng.integers(0, 5, (6, 12)).repeat(4, axis=1)
    width = shift.shape[1]
    expected = np.zeros(shift.shape, bool)
    for row, column in np.ndindex(*shift.shape):
        place = column - shift[row, column]
        nearer = np.flatnonzero(shift[row] > shift[row, column])
        expected[row, column] = place < 0 or any(u - shift[row, u] == place for u in nearer)
    assert 0.1 < expected.mean() < 0.9
    disparity = (shift * (2048 / width)).astype(np.float32)
    np.testing.assert_array_equal(unseen(disparity), expected)


def test_encoding_is_the_official_one() -> None:
    disparity = np.full((40, 400), 20.3, np.float32)
    disparity[:4] = 0
    disparity[-4:] = 130
    code = encode_disparity(disparity, np.random.default_rng(0))
    assert set(np.unique(code)) == {0, round(20.3 * 256) + 1}
    assert not code[:4].any()
    assert not code[-4:].any()
    assert not code[:, :3].any()
