"""Holds that painted faces are where a pinhole camera sees them, and that near hides far."""

import numpy as np
import pytest

from pipeline.labels import ID_OF
from pipeline.streets.camera import Camera
from pipeline.streets.canvas import OBJECT_BASE, PARTS, SKY_SHADES, Air, Canvas, Paint

FOCAL_FULL, BASELINE = 2262.0, 0.209


def test_what_stands_on_the_ground_has_the_disparity_of_its_foot() -> None:
    camera = Camera(512, 256, 1.2, 110.0)
    canvas = Canvas(camera)
    paint = Paint(np.ones((PARTS, 3), np.float32), np.full(PARTS, ID_OF["person"], np.uint8))
    canvas.face((1.1, 12.0), (1.9, 12.0), 1.8, np.full((9, 5), 20, np.uint8), paint)
    rows, columns = np.nonzero(canvas.disparity_HW)
    np.testing.assert_allclose(canvas.disparity_HW[rows, columns], FOCAL_FULL * BASELINE / 12)
    focal = FOCAL_FULL / 4
    assert rows.max() == pytest.approx(110 + focal * 1.2 / 12, abs=1)
    assert rows.min() == pytest.approx(110 - focal * 0.6 / 12, abs=1)
    assert columns.min() == pytest.approx(256 + focal * 1.1 / 12, abs=1)
    assert columns.max() == pytest.approx(256 + focal * 1.9 / 12, abs=1)


def test_slanted_faces_follow_the_plane_and_near_hides_far_in_any_order() -> None:
    camera = Camera(301, 150, 1.2, 70.0)
    paint = Paint(np.ones((PARTS, 3), np.float32), np.full(PARTS, ID_OF["building"], np.uint8))
    codes = np.full((8, 16), 20, np.uint8)
    faces = [((-6.0, 2.0), (-2.0, 40.0)), ((5.0, 60.0), (3.0, 6.0)), ((-9.0, 25.0), (9.0, 25.0))]
    drawn = []
    for order in (faces, faces[::-1]):
        canvas = Canvas(camera)
        for start, end in order:
            canvas.face(start, end, 5, codes, paint)
        drawn.append(canvas.disparity_HW)
    np.testing.assert_array_equal(*drawn)

    focal = FOCAL_FULL * 301 / 2048
    expected = np.zeros((150, 301))
    for row, column in np.ndindex(150, 301):
        across, up = (column + 0.5 - 150.5) / focal, (70.0 - row - 0.5) / focal
        for (x0, z0), (x1, z1) in faces:
            # The ray (across * z, z) meets the line from (x0, z0) to (x1, z1).
            along = (across * z0 - x0) / ((x1 - x0) - across * (z1 - z0))
            depth = z0 + along * (z1 - z0)
            if 0 <= along < 1 and depth > 3.8 and 0 <= 1.2 + up * depth < 5:
                expected[row, column] = max(expected[row, column], FOCAL_FULL * BASELINE / depth)
    agree = np.isclose(drawn[0], expected, rtol=1e-3)
    assert agree.mean() > 0.998


def test_textures_are_not_mirrored_nor_turned_over() -> None:
    paint = Paint(np.ones((PARTS, 3), np.float32), np.arange(PARTS, dtype=np.uint8))
    quarters = np.array([[1, 2], [3, 4]], np.uint8).repeat(8, axis=0).repeat(8, axis=1) * 16 + 9
    for start, end in (((-3.0, 12.0), (3.0, 12.0)), ((-3.0, 8.0), (3.0, 20.0))):
        canvas = Canvas(Camera(200, 100, 1.2, 40.0))
        canvas.face(start, end, 2.4, quarters, paint)
        rows, columns = np.nonzero(canvas.disparity_HW)
        part = (canvas.index_HW[rows, columns] - canvas.index_HW[rows, columns].min()) // 16 + 1
        # The eye is half as high as the face, so its upper half is what lies above the horizon.
        np.testing.assert_array_equal(np.isin(part, (1, 2)), rows < 40)
        focal = FOCAL_FULL * 200 / 2048
        middle = 100 + focal * (start[0] + end[0]) / (start[1] + end[1])
        np.testing.assert_array_equal(np.isin(part, (1, 3)), columns + 0.5 < middle)


def test_a_face_seen_from_its_other_side_is_mirrored() -> None:
    paint = Paint(np.ones((PARTS, 3), np.float32), np.arange(PARTS, dtype=np.uint8))
    codes = np.random.default_rng(0).integers(16, 128, (20, 30), dtype=np.uint8)
    images = []
    for ends, texture in (
        (((2.0, 2.0), (5.0, 30.0)), codes),
        (((5.0, 30.0), (2.0, 2.0)), codes[:, ::-1]),
    ):
        canvas = Canvas(Camera(201, 100, 1.2, 40.0))
        canvas.face(*ends, 3.0, texture, paint)
        images.append(canvas)
    assert (images[0].disparity_HW > 0).sum() > 1000
    np.testing.assert_allclose(images[0].disparity_HW, images[1].disparity_HW, rtol=1e-6)
    assert (images[0].index_HW == images[1].index_HW).mean() > 0.99


def test_a_canvas_without_a_face_develops() -> None:
    canvas = Canvas(Camera(4, 2, 1.2, 1.0))
    paint = Paint(np.ones((PARTS, 3), np.float32), np.full(PARTS, ID_OF["road"], np.uint8))
    air = Air(np.full((SKY_SHADES, 3), 200, np.float32), np.ones(3, np.float32), 0.0, np.ones(3))
    image_HW3, label_HW = canvas.develop(paint, air)
    assert (image_HW3 == 200).all()
    assert (label_HW == ID_OF["sky"]).all()


@pytest.mark.parametrize("turned", [False, True])
def test_a_texture_stays_in_place_where_its_near_end_is_cut_off(turned: bool) -> None:
    paint = Paint(np.ones((PARTS, 3), np.float32), np.arange(PARTS, dtype=np.uint8))
    stripes = np.arange(20, 40, dtype=np.uint8)[None].repeat(4, axis=0)
    ends = ((1.5, 1.0), (1.5, 21.0))
    canvas = Canvas(Camera(400, 100, 1.2, 40.0))
    if turned:
        canvas.face(ends[1], ends[0], 2.0, stripes[:, ::-1], paint)
    else:
        canvas.face(*ends, 2.0, stripes, paint)
    row = canvas.index_HW[40] - OBJECT_BASE
    columns = np.flatnonzero(canvas.disparity_HW[40])
    depths = FOCAL_FULL * 400 / 2048 * 1.5 / (columns + 0.5 - 200)
    assert 3.8 < depths.min() < 4.0
    assert 19 < depths.max() < 21
    inside = np.abs(depths - np.rint(depths)) > 0.01
    np.testing.assert_array_equal(row[columns][inside], 20 + (depths[inside] - 1).astype(int))
