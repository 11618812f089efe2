"""Holds that things stand on the ground at their place, at their size, and with their labels."""

import numpy as np
import pytest

from pipeline.labels import ID_OF
from pipeline.streets.camera import Camera
from pipeline.streets.canvas import SKY_SHADES, Air, Canvas
from pipeline.streets.ground import ground_paint
from pipeline.streets.placing import Placed, paint_things, place, placed, shadows_of
from pipeline.streets.street import Street, plan

FOCAL_FULL, BASELINE = 2262.0, 0.209
FOCAL, EYE, HORIZON = FOCAL_FULL / 2, 1.2, 200.0


@pytest.fixture
def street() -> Street:
    drawn = plan(np.random.default_rng(0))
    return drawn._replace(middle_m=-1.5, bend_per_m=0.002)


def painted(street: Street, thing: Placed) -> tuple[Canvas, np.ndarray]:
    """Paint one thing alone; return the canvas and the labels."""
    canvas = Canvas(Camera(1024, 512, EYE, HORIZON))
    rng = np.random.default_rng(0)
    paint_things(canvas, street, [thing], rng)
    white = np.full((SKY_SHADES, 3), 255, np.float32)
    air = Air(white, white[0], 0.0, np.ones(3, np.float32))
    return canvas, canvas.develop(ground_paint(rng, street), air)[1]


@pytest.mark.parametrize(("lateral", "z"), [(2.0, 8.0), (-3.0, 17.5), (6.0, 40.0)])
def test_a_flat_thing(street: Street, lateral: float, z: float) -> None:
    canvas, _ = painted(street, placed(("bin",), lateral, z, 1, np.random.default_rng(0), 1.2))
    rows, columns = np.nonzero(canvas.disparity_HW)
    np.testing.assert_allclose(
        canvas.disparity_HW[rows, columns], FOCAL_FULL * BASELINE / z, rtol=1e-5
    )
    # A bin is 0.6 m by 1.1 m; the road's middle is at -1.5 m + 0.002 z^2 / 2.
    x = -1.5 + lateral + 0.001 * z**2
    assert columns.min() == pytest.approx(512 + FOCAL * (x - 0.36) / z, abs=1)
    assert columns.max() + 1 == pytest.approx(512 + FOCAL * (x + 0.36) / z, abs=1)
    assert rows.max() + 1 == pytest.approx(HORIZON + FOCAL * EYE / z, abs=1)
    assert rows.min() == pytest.approx(HORIZON + FOCAL * (EYE - 1.32) / z, abs=1)


@pytest.mark.parametrize(("side", "lateral"), [(1, 5.0), (-1, -2.0)])
def test_a_box_has_an_end_and_the_side_towards_the_camera(
    street: Street, side: int, lateral: float
) -> None:
    # A bus is 12 m by 2.5 m by 3 m.
    straight = street._replace(bend_per_m=0.0)
    bus = placed(("bus",), lateral, 14.0, side, np.random.default_rng(0))
    canvas, label_HW = painted(straight, bus)
    rows, columns = np.nonzero(canvas.disparity_HW)
    depth = FOCAL_FULL * BASELINE / canvas.disparity_HW[rows, columns]
    x = lateral - 1.5
    inner = x - np.sign(x) * 1.25
    on_end = np.isclose(depth, 14.0)
    assert on_end.sum() == pytest.approx(2.5 * 3.0 * (FOCAL / 14) ** 2, rel=0.1)
    assert 13.99 < depth.min() < depth.max() < 26.01
    assert depth.max() > 24
    across = (columns[~on_end] + 0.5 - 512) / FOCAL * depth[~on_end]
    np.testing.assert_allclose(across, inner, atol=0.05)
    assert set(label_HW[rows, columns]) == {ID_OF["bus"]}


@pytest.mark.parametrize(
    ("name", "upper", "lower"),
    [
        ("rider end", "rider", "bicycle"),
        ("motorcyclist side", "rider", "motorcycle"),
        ("bicycle side", "bicycle", "bicycle"),
        ("warning", "traffic sign", "pole"),
        ("red light", "traffic light", "pole"),
        ("lamp", "pole", "pole"),
    ],
)
def test_parts_have_their_labels(street: Street, name: str, upper: str, lower: str) -> None:
    canvas, label_HW = painted(street, placed((name,), 2.0, 9.0, 1, np.random.default_rng(0)))
    rows = np.flatnonzero((canvas.disparity_HW > 0).any(axis=1))
    for row, label in ((rows[2], upper), (rows[-2], lower)):
        found = label_HW[row][canvas.disparity_HW[row] > 0]
        assert set(found) == {ID_OF[label]}


def test_vehicles_of_a_lane_do_not_overlap_and_keep_to_their_lane() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        street = plan(rng)
        boxes = [thing for thing in place(street, rng) if thing.is_box]
        for thing in boxes:
            assert abs(thing.lateral_m) + thing.half_width_m < street.half_road_m + 0.2
            assert (thing.side > 0) == (thing.lateral_m > 0)
        for one in boxes:
            for other in boxes:
                apart = abs(one.lateral_m - other.lateral_m)
                if one is not other and apart < one.half_width_m + other.half_width_m - 0.45:
                    near, far = sorted((one, other), key=lambda thing: thing.depth_m)
                    assert near.depth_m + near.length_m < far.depth_m


def test_a_shadow_lies_under_its_vehicle_and_away_from_the_sun(street: Street) -> None:
    sunny = street._replace(sun=1.0, sun_side=1)
    car = placed(("saloon car",), 3.0, 12.0, 1, np.random.default_rng(0))
    reaching, under = shadows_of(sunny, [car])
    assert under.lateral_m == pytest.approx((2.1, 3.9))
    assert reaching.lateral_m == pytest.approx((1.1, 3.9))
    for shadow in (reaching, under):
        assert shadow.depth_m == pytest.approx((11.8, 16.8))
        assert 0 < shadow.light < 1
