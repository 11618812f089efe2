"""Points of a rate-accuracy curve: a codec at a depth, `png@5`."""

from typing import NamedTuple

from pipeline.coding.codecs import CodecError, find_codec


class Point(NamedTuple):
    """How features become bitstreams: levels of `bits` bits, coded by `codec`."""

    codec: str
    """Name in CODECS."""
    bits: int
    """Depth of the quantiser, in bits per level."""


def read_point(name: str, bits: int) -> Point:
    """Return the point of a name: `png@5` is PNG at 5 bits, `png` is PNG at `bits` bits.

    Raises CodecError if there is no such codec, if the depth is not a whole number of at least 1,
    or if the codec cannot hold so many bits.
    """
    codec, own_depth, depth = name.partition("@")
    deepest = find_codec(codec).max_bits
    if own_depth:
        if not (depth.isascii() and depth.isdecimal() and int(depth) >= 1):
            raise CodecError(
                f"{name!r} has the depth {depth!r}; allowed after the @: a whole number of bits "
                f"from 1 to {deepest}"
            )
        bits = int(depth)
    if bits > deepest:
        raise CodecError(
            f"{name} would be coded at {bits} bits, but {codec} takes at most {deepest} bits a "
            f"level; lower the bits, or give it a depth of its own such as {codec}@{deepest}"
        )
    return Point(codec, bits)
