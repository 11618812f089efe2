"""Codec points by name: depth, step and transform they say, and what is refused."""

import pytest

from pipeline.coding.codecs import CodecError
from pipeline.coding.points import Point, read_point


def test_a_point_has_its_own_depth_or_the_default() -> None:
    for name, expected in {"png": 6, "png@5": 5, "png@1": 1, "png@16": 16}.items():
        assert read_point(name, 6) == Point("png", expected)
    assert read_point("jpeg-80@8", 6) == Point("jpeg-80", 8)
    assert not read_point("png", 6).fitted


def test_a_fitted_point_has_a_depth_or_a_step() -> None:
    assert read_point("table@4", 6) == Point("table", 4)
    assert read_point("table/1.2", 6) == Point("table", None, 1.2)
    assert read_point("klt/3", 6) == Point("table", None, 3.0, klt=True)
    assert all(read_point(name, 6).fitted for name in ("table@4", "table/1.2", "klt/3"))


@pytest.mark.parametrize("depth", ["", "0", "five", "5@6", "-5", "\N{SUPERSCRIPT TWO}"])
def test_a_depth_is_a_whole_number(depth: str) -> None:
    with pytest.raises(CodecError, match="whole number of bits from 1 to 16"):
        read_point(f"png@{depth}", 12)


@pytest.mark.parametrize(
    "step", ["", "0", "0.0", "-1", "1e3", "nan", "inf", "1.", "1/2", "9" * 400]
)
@pytest.mark.parametrize("codec", ["table", "klt"])
def test_a_step_is_a_number_above_0(codec: str, step: str) -> None:
    with pytest.raises(CodecError, match=f"allowed after the /: a number above 0, such as {codec}"):
        read_point(f"{codec}/{step}", 12)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bpg@5", "there is no codec 'bpg'.*table, klt"),
        ("", "there is no codec ''"),
        ("png@17", "png takes at most 16 bits"),
        ("jpeg-80", "would be coded at 12 bits, but jpeg-80 takes at most 8 bits a level"),
        ("png/1.2", "'png/1.2' has a step, but png takes levels.*such as png@5"),
        ("table@9", "table takes at most 8 bits"),
        ("table@0", "whole number of bits from 1 to 8"),
        ("table", "needs a depth or a fixed step, such as table@4 or table/1.2"),
        ("klt", "klt needs a fixed step"),
        ("klt@4", "klt needs a fixed step and takes no depth, such as klt/1.2"),
    ],
)
def test_a_point_that_cannot_be_is_refused(name: str, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        read_point(name, 12)
