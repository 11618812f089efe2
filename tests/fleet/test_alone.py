"""One fleet at a time; its marks are the same from one to the next."""

from pathlib import Path

import pytest

from pipeline.fleet.alone import FleetError, alone


def test_a_second_fleet_is_refused(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(FleetError, match="runs here already"), alone(tmp_path):
        pass


def test_the_mark_stays_and_is_its_own(tmp_path: Path) -> None:
    marks = []
    for folder in ("a", "a", "b"):
        with alone(tmp_path / folder) as mark:
            marks.append(mark)
    assert marks[0] == marks[1] != marks[2]
    assert marks[0].endswith("/")
