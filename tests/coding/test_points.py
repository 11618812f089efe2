"""Codec points by name: the depth they say, the default depth, and what is refused."""

import pytest

from pipeline.coding.codecs import CodecError
from pipeline.coding.points import Point, read_point


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("png", Point("png", 6)),
        ("png@5", Point("png", 5)),
        ("png@1", Point("png", 1)),
        ("png@16", Point("png", 16)),
        ("jpeg-80", Point("jpeg-80", 6)),
        ("jpeg-80@8", Point("jpeg-80", 8)),
    ],
)
def test_a_point_has_its_own_depth_or_the_default(name: str, expected: Point) -> None:
    assert read_point(name, 6) == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bpg@5", "there is no codec 'bpg'"),
        ("png@", "whole number of bits from 1 to 16"),
        ("png@0", "whole number of bits from 1 to 16"),
        ("png@five", "whole number of bits from 1 to 16"),
        ("png@5@6", "whole number of bits from 1 to 16"),
        ("png@-5", "whole number of bits from 1 to 16"),
        ("png@17", "png takes at most 16 bits"),
        ("jpeg-80", "jpeg-80 takes at most 8 bits a level"),
        ("jpeg-80@9", "jpeg-80 takes at most 8 bits a level"),
    ],
)
def test_a_point_that_cannot_be_is_refused(name: str, words: str) -> None:
    with pytest.raises(CodecError, match=words):
        read_point(name, 12)
