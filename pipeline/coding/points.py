"""Points of a rate-accuracy curve: transform, quantiser and coder in one name.

| name               | transform         | quantiser                             | coder          |
|--------------------|-------------------|---------------------------------------|----------------|
| `png`, `jpeg-90@5` | none              | min-max of each image (see `quantize`) | CODECS, a tile |
| `table@4`          | none              | the same                              | one table of   |
| `table/1.2`        | none              | a fixed step                          | counts for     |
| `klt/1.2`          | KLT over channels | a fixed step                          | each channel   |

A number after `@` is the depth in bits. A number after `/` is the step, in the unit that the tables
are fitted in: see `pipeline.coding.fit`.
"""

import math
import re
from typing import NamedTuple

from pipeline.coding.codecs import CodecError, codec_names, find_codec

TABLE = "table"
KLT = "klt"
TABLE_BITS = 8
"""The deepest levels of a table, which has one entry for each level."""


class Point(NamedTuple):
    """How features become bitstreams."""

    codec: str
    """Name in CODECS, or `table`: the range coder with fitted tables."""
    bits: int | None
    """Depth of the min-max quantiser, in bits per level; None with a fixed step."""
    step: float | None = None
    """Fixed step, above 0; None with the min-max quantiser."""
    klt: bool = False
    """Whether channels are transformed before the quantiser."""

    @property
    def fitted(self) -> bool:
        """Whether edge and cloud need tables that were fitted on training frames."""
        return self.codec == TABLE


def read_point(name: str, bits: int) -> Point:
    """Return the point of a name; `png` alone is PNG at `bits` bits.

    Raises CodecError if there is no such codec, if the depth is not a whole number from 1 to what
    the codec takes, if the step is not a number above 0, or if a codec has what it cannot have.
    """
    codec, sign, number = re.fullmatch(r"([^@/]*)([@/]?)(.*)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    if codec not in (TABLE, KLT):
        deepest = _deepest(codec)
        if sign == "/":
            raise CodecError(
                f"{name!r} has a step, but {codec} takes levels of the min-max quantiser; allowed: "
                f"{codec}, or a depth in bits such as {codec}@{min(deepest, 5)}"
            )
        return Point(codec, _depth(name, codec, number if sign else str(bits), deepest))
    if sign == "/":
        if not (re.fullmatch(r"[0-9]+(\.[0-9]+)?", number) and 0 < float(number) < math.inf):
            raise CodecError(
                f"{name!r} has the step {number!r}; allowed after the /: a number above 0, such as "
                f"{codec}/1.2"
            )
        return Point(TABLE, None, float(number), klt=codec == KLT)
    if codec == KLT:
        raise CodecError(f"{name!r}: klt needs a fixed step and takes no depth, such as klt/1.2")
    if not sign:
        raise CodecError(f"{name!r} needs a depth or a fixed step, such as table@4 or table/1.2")
    return Point(TABLE, _depth(name, codec, number, TABLE_BITS))


def _deepest(codec: str) -> int:
    try:
        return find_codec(codec).max_bits
    except CodecError:
        raise CodecError(
            f"there is no codec {codec!r}; allowed are {codec_names()}, {TABLE}, {KLT}"
        ) from None


def _depth(name: str, codec: str, depth: str, deepest: int) -> int:
    if not (depth.isascii() and depth.isdecimal() and int(depth) >= 1):
        raise CodecError(
            f"{name!r} has the depth {depth!r}; allowed after the @: a whole number of bits from 1 "
            f"to {deepest}"
        )
    if int(depth) > deepest:
        raise CodecError(
            f"{name} would be coded at {depth} bits, but {codec} takes at most {deepest} bits a "
            f"level; lower the bits, or give it a depth of its own such as {codec}@{deepest}"
        )
    return int(depth)
