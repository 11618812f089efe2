"""Codec points by name: the depth they say, the default depth, and what is refused."""

import pytest

from pipeline.coding.codecs import CodecError
from pipeline.coding.points import read_point


def test_a_point_has_its_own_depth_or_the_default() -> None:
    for name, expected in {"png": 6, "png@5": 5, "png@1": 1, "png@16": 16}.items():
        assert read_point(name, 6) == ("png", expected)
    assert read_point("jpeg-80@8", 6) == ("jpeg-80", 8)


@pytest.mark.parametrize("depth", ["", "0", "five", "5@6", "-5", "\N{SUPERSCRIPT TWO}"])
def test_a_depth_is_a_whole_number(depth: str) -> None:
    with pytest.raises(CodecError, match="whole number of bits from 1 to 16"):
        read_point(f"png@{depth}", 12)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bpg@5", "there is no codec 'bpg'"),
        ("png@17", "png takes at most 16 bits"),
        ("jpeg-80", "would be coded at 12 bits, but jpeg-80 takes at most 8 bits a level"),
    ],
)
def test_a_point_that_cannot_be_is_refused(name: str, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        read_point(name, 12)
