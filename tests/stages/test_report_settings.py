"""The settings of the report: what is allowed, and what a mistake is told."""

from typing import Any

import pytest

from pipeline.params import ParamsError, parse


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("resamples", 99, "at least 100"),
        ("resamples", 1000.0, "at least 100"),
        ("level", 1.0, "above 0 and below 1"),
        ("level", 95, "above 0 and below 1"),
        ("joint_loss", -1, "from 0 up to 100"),
        ("joint_loss", 100, "from 0 up to 100"),
        ("hull_loss", 0, "of 0.1 to 100"),
        ("hull_loss", 101, "of 0.1 to 100"),
        ("picture_qualities", 90, "a list"),
        ("picture_qualities", [90, 0], r"picture_qualities\[1\] is 0.* 1 to 100"),
        ("picture_qualities", [90, 30, 90], "picture_qualities names 90 more than once"),
    ],
)
def test_a_mistake_is_told(values: dict[str, Any], key: str, value: object, words: str) -> None:
    values["report"][key] = value
    with pytest.raises(ParamsError, match=words) as caught:
        parse(values)
    assert f"report.{key}" in str(caught.value)


def test_no_pictures_are_a_choice(values: dict[str, Any]) -> None:
    values["report"] |= {"picture_qualities": [], "joint_loss": 0}
    report = parse(values).report
    assert report.picture_qualities == ()
    assert report.joint_loss == 0.0
