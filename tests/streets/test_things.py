"""Holds that the tables, the drawings and the streets agree, and that a drawing is to scale."""

import numpy as np
import pytest

from pipeline.labels import CLASSES
from pipeline.streets.canvas import PARTS, SHADES
from pipeline.streets.street import KINDS, plan
from pipeline.streets.textures import drawings, drawn, drawn_together
from pipeline.streets.things import CROSSERS, ROWS, THINGS, paints

SURFACES = {"road", "sidewalk", "building", "wall", "fence", "terrain", "sky"}


def test_each_drawing_is_of_a_thing_and_each_thing_stands_somewhere() -> None:
    assert {name for thing in THINGS.values() for name in thing.drawings} == set(drawings())
    placed = {name for row in ROWS for name in row.things}
    placed |= {name for names, *_ in CROSSERS for name in names}
    assert placed == set(THINGS)


def test_things_and_surfaces_make_up_the_classes() -> None:
    labels = {thing.label for thing in THINGS.values()}
    for thing in THINGS.values():
        parts = drawn_together(thing.drawings)[-1].parts if thing.drawings else ()
        labels |= set(parts)
    assert set(CLASSES) <= labels | SURFACES


@pytest.mark.parametrize("name", sorted(THINGS))
def test_drawings_of_a_thing_share_a_paint(name: str) -> None:
    thing = THINGS[name]
    if not thing.drawings:
        return
    faces = drawn_together(thing.drawings)
    parts = faces[-1].parts
    assert len(parts) < PARTS
    for face in faces:
        assert face.parts == parts[: len(face.parts)]
        assert face.codes_hw.max() < (len(face.parts) + 1) * SHADES
    assert len({paint.colours_P3[1].tobytes() for paint in paints(thing.label, parts)}) > 50


def test_rows_stand_on_lines_that_streets_have() -> None:
    streets = [plan(np.random.default_rng(n)) for n in range(100)]
    assert {row.line for row in ROWS} == {line for x in streets for line in x.lines_m}
    assert {street.kind for street in streets} == set(range(len(KINDS)))
    for street in streets:
        lines = street.lines_m
        assert 0 < lines["inner lane"] < lines["gutter"] < street.half_road_m
        assert street.half_road_m < lines["curb"] <= lines["walk"] + 0.1
        assert lines["walk"] < lines["edge"] < street.edge_m


def test_strokes_are_to_scale() -> None:
    lamp = drawn("lamp")
    px_per_m = lamp.codes_hw.shape[0] / lamp.height_m
    assert lamp.codes_hw.shape[1] / lamp.width_m == pytest.approx(px_per_m, rel=0.01)
    assert (lamp.codes_hw[-1] > 0).sum() == pytest.approx(0.16 * px_per_m, abs=2)
    sign = drawn("no entry")
    part = sign.codes_hw // SHADES
    px_per_m = sign.codes_hw.shape[0] / sign.height_m
    disc = (np.isin(part, [1 + sign.parts.index(p) for p in ("red", "sign")])).sum()
    assert disc == pytest.approx(np.pi * (0.39 * px_per_m) ** 2, rel=0.05)
    bicycle = drawn("bicycle side")
    centre = round((bicycle.height_m - 0.35) * 90), round(1.42 * 90) + 12
    assert bicycle.codes_hw[centre] == 0, "one sees through a wheel"


def test_each_kind_of_street_has_its_share() -> None:
    kinds = np.bincount([plan(np.random.default_rng(n)).kind for n in range(600)])
    # A sixth of the streets have a tram line and are avenues.
    shares = 5 / 6 * np.array((0.42, 0.2, 0.25, 0.13)) + (0, 1 / 6, 0, 0)
    np.testing.assert_allclose(kinds / 600, shares, atol=4 * 0.5 / np.sqrt(600))
