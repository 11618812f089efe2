"""Holds what a drawn frame is: its geometry, its classes, its invalid pixels, its randomness."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.labels import CLASSES, ID_OF, LABELS
from pipeline.streets.draw import SPLITS, Scene, draw

FOCAL_FULL, BASELINE = 2262.0, 0.209
WIDTH, HEIGHT = 256, 128


@pytest.fixture(scope="module")
def scenes() -> dict[str, list[Scene]]:
    return {split: [draw(0, split, n, WIDTH, HEIGHT) for n in range(40)] for split in SPLITS}


def _decoded(scene: Scene) -> NDArray[np.float64]:
    return (scene.disparity_HW - 1.0) / 256


def _share(scene: Scene, name: str) -> float:
    return float((scene.label_HW == ID_OF[name]).mean())


def test_same_arguments_give_the_same_frame_and_others_another() -> None:
    first = draw(3, "train", 5, 96, 48)
    draw(3, "train", 6, 96, 48)
    again = draw(3, "train", 5, 96, 48)
    for field in ("image_HW3", "label_HW", "disparity_HW"):
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
    assert first.camera == again.camera
    for other in ((4, "train", 5), (3, "val", 5), (3, "train", 6)):
        scene = draw(*other, 96, 48)
        assert (scene.label_HW != first.label_HW).mean() > 0.05
        assert scene.camera != first.camera


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 65), (64, 256), (301, 64), (130, 65)])
def test_any_size(size: tuple[int, int]) -> None:
    width, height = size
    for index in range(4):
        scene = draw(1, "val", index, width, height)
        assert scene.image_HW3.shape == (height, width, 3)
        assert scene.label_HW.shape == scene.disparity_HW.shape == (height, width)
        assert scene.image_HW3.dtype == scene.label_HW.dtype == np.uint8
        assert scene.disparity_HW.dtype == np.uint16
        assert scene.disparity_HW.max() <= 126 * 256 + 1


def test_the_same_street_at_two_sizes() -> None:
    small, large = draw(0, "train", 2, 128, 64), draw(0, "train", 2, 384, 192)
    centres = large.label_HW[1::3, 1::3]
    assert (small.label_HW == centres).mean() > 0.93
    both = (small.disparity_HW > 0) & (large.disparity_HW[1::3, 1::3] > 0)
    apart = np.abs(_decoded(small) - _decoded(large)[1::3, 1::3])[both]
    assert np.median(apart) < 0.02


def test_labels_are_official_ids(scenes: dict[str, list[Scene]]) -> None:
    for scene in (*scenes["train"], *scenes["val"]):
        assert set(np.unique(scene.label_HW)) <= {label.id for label in LABELS}


def test_surfaces_have_texture_and_frames_differ_in_brightness_and_hue(
    scenes: dict[str, list[Scene]],
) -> None:
    both = [*scenes["train"], *scenes["val"]]
    for name in ("road", "building", "vegetation"):
        for scene in both:
            there = scene.image_HW3[scene.label_HW == ID_OF[name]].astype(float)
            assert len(there) < 100 or there.mean(axis=1).std() > 3, name
    means = np.array([scene.image_HW3.reshape(-1, 3).mean(axis=0) for scene in both])
    assert means.mean(axis=1).std() > 5
    assert (means[:, 0] / means[:, 2]).std() > 0.02
    assert min(scene.image_HW3.std() for scene in both) > 20


@pytest.mark.parametrize("split", ["train", "val"])
def test_all_classes_occur_and_rare_ones_are_rare(
    scenes: dict[str, list[Scene]], split: str
) -> None:
    share = {name: np.mean([_share(s, name) for s in scenes[split]]) for name in CLASSES}
    assert min(share.values()) > 0
    assert share["road"] > 0.25
    assert share["building"] > 0.1
    assert share["vegetation"] > 0.05
    for name in ("motorcycle", "bicycle", "rider", "traffic light", "person", "wall", "fence"):
        assert share[name] < 0.02, name
    for name in ("train", "bus", "truck", "motorcycle"):
        assert np.mean([_share(s, name) > 0 for s in scenes[split]]) < 0.5, name
    void = 1 - sum(share.values())
    assert 0 < void < 0.12


def test_things_are_where_they_belong(scenes: dict[str, list[Scene]]) -> None:
    for scene in (*scenes["train"], *scenes["val"]):
        horizon = scene.camera.horizon_row
        sky = np.flatnonzero((scene.label_HW == ID_OF["sky"]).any(axis=1))
        assert not len(sky) or sky[-1] + 0.5 < horizon
        for name in ("road", "sidewalk", "terrain"):
            assert not (scene.label_HW[: int(horizon)] == ID_OF[name]).any()
        if _share(scene, "traffic light") > 0.001:
            assert _share(scene, "pole") > 0


@pytest.mark.parametrize(
    ("name", "floors"),
    [
        ("car", ("road", "parking")),
        ("bus", ("road", "parking")),
        ("train", ("road", "rail track", "sidewalk")),
        ("person", ("sidewalk", "road")),
        ("rider", ("bicycle", "motorcycle", "road")),
    ],
)
def test_things_stand_on_what_they_should(
    scenes: dict[str, list[Scene]], name: str, floors: tuple[str, ...]
) -> None:
    below: list[int] = []
    for scene in (*scenes["train"], *scenes["val"]):
        thing = scene.label_HW == ID_OF[name]
        lowest = HEIGHT - 1 - thing[::-1].argmax(axis=0)
        columns = np.flatnonzero(lowest[:-1] == lowest[1:])
        columns = columns[(lowest[columns] > scene.camera.horizon_row) & thing.any(axis=0)[columns]]
        columns = columns[lowest[columns] < HEIGHT - 1]
        below.extend(scene.label_HW[lowest[columns] + 1, columns])
    counts = np.bincount(below, minlength=34)
    counts[[ID_OF[n] for n in ("car", "ego vehicle", "static", "dynamic")]] = 0
    assert counts.sum() > 100
    assert counts[[ID_OF[floor] for floor in floors]].sum() > 0.7 * counts.sum(), counts


def test_road_disparity_is_that_of_a_flat_ground(scenes: dict[str, list[Scene]]) -> None:
    for scene in scenes["train"][:10]:
        seen = (scene.label_HW == ID_OF["road"]) & (scene.disparity_HW > 0)
        rows, _ = np.nonzero(seen)
        disparity = _decoded(scene)[seen]
        slope, offset = np.polyfit(rows + 0.5, disparity, 1)
        np.testing.assert_allclose(disparity, slope * (rows + 0.5) + offset, atol=1 / 256)
        # A ray through a row v below the horizon meets the ground at focal * eye / v; with the
        # full camera's focal * baseline this is the disparity.
        focal = FOCAL_FULL * WIDTH / 2048
        eye = FOCAL_FULL * BASELINE / (slope * focal)
        assert 1.0 < eye < 1.4
        assert eye == pytest.approx(scene.camera.eye_m, rel=1e-3)
        assert -offset / slope == pytest.approx(scene.camera.horizon_row, abs=0.05)
        assert 0.3 * HEIGHT < scene.camera.horizon_row < 0.5 * HEIGHT


def test_sky_has_no_disparity_and_82_to_87_percent_is_valid(
    scenes: dict[str, list[Scene]],
) -> None:
    both = [*scenes["train"], *scenes["val"]]
    for scene in both:
        assert not scene.disparity_HW[scene.label_HW == ID_OF["sky"]].any()
    assert 0.13 < np.mean([(scene.disparity_HW == 0).mean() for scene in both]) < 0.18
    top = max(_decoded(scene).max() for scene in both)
    assert 90 < top <= 126


def test_disparity_grows_downwards_and_towards_the_camera(scenes: dict[str, list[Scene]]) -> None:
    for scene in scenes["val"][:10]:
        road = (scene.label_HW == ID_OF["road"]) & (scene.disparity_HW > 0)
        means = [_decoded(scene)[row][road[row]].mean() for row in range(HEIGHT) if road[row].any()]
        assert (np.diff(means) > 0).all()
        thing = np.isin(scene.label_HW, [ID_OF["car"], ID_OF["building"]])
        nearer = _decoded(scene)[thing & (scene.disparity_HW > 0)]
        assert nearer.min() > 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((0, "test", 0, 8, 8), "train, val"),
        ((-1, "train", 0, 8, 8), "seed is -1"),
        ((0, "train", -2, 8, 8), "index -2"),
        ((0, "train", 0, 0, 8), "0 x 8"),
    ],
)
def test_bad_arguments_are_told(arguments: tuple[int, str, int, int, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        draw(*arguments)
