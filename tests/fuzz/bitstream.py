"""Coverage-guided fuzzing of the decoder: any bytes give levels, features or an error.

    uv run --with atheris python -m tests.fuzz.bitstream -runs=1000000 -seed=1

An error is a BitstreamError. No input may take more than `MOST_MIB` of memory either; that is read
from the kernel, so it needs Linux. Half of the inputs get the right checksum and fingerprint, and
half of those an image of the size that their header names, so that they reach the coders. The
fuzzer starts from the golden files and from streams of each kind of tables.
Options are libFuzzer's; an input that breaks a rule is left as a file `crash-*`.
"""

import re
import struct
import sys
import tempfile
from collections import Counter
from pathlib import Path
from zlib import crc32

import atheris
import numpy as np

with atheris.instrument_imports(include=["pipeline", "PIL"]):
    from pipeline.coding.bitstream import (
        MAX_ELEMENTS,
        BitstreamError,
        decode_features,
        decode_levels,
        encode_fitted,
    )
    from pipeline.coding.fit import fit_points
    from pipeline.coding.fitted import Fitted
    from pipeline.coding.points import read_point
    from pipeline.coding.tiling import tile_size

GOLDEN = Path(__file__).parents[1] / "data" / "bitstreams"
IMAGE = 28
"""Bytes of a header without tables before the codec's name."""
TABLES = ("table@4", "table/1", "klt/0.5")
FEATURES_NChw = np.random.default_rng(0).exponential(size=(4, 6, 4, 8)).astype(np.float32)
FITTED = [
    None,
    *fit_points([FEATURES_NChw], {name: read_point(name, 8) for name in TABLES}).values(),
]
"""What the decoder knows; an input says which of them."""
PNG_START, JPEG_FRAME = b"\x89PNG\r\n\x1a\n", b"\xff\xc0"

MOST_MIB = 16
"""For streams of at most 1500 bytes, whose image has 1.5 MB of pixels at most."""

ends: Counter[str] = Counter()
most_kib = 0


def resident_kib(line: str) -> int:
    """Return memory of this process: `VmRSS`, as it is now, or `VmHWM`, the most since a reset."""
    (found,) = re.findall(rf"{line}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found)


def with_size(payload: bytes, height: int, width: int) -> bytes:
    """Return a PNG or a JPEG whose head names this size, with right checksums of all its chunks."""
    size = bytearray(payload)
    if payload.startswith(PNG_START):
        size[16:24] = struct.pack(">II", width, height)
        at = len(PNG_START)
        while at + 12 <= len(size):
            end = at + 8 + int.from_bytes(size[at : at + 4], "big")
            if end + 4 <= len(size):
                size[end : end + 4] = struct.pack(">I", crc32(size[at + 4 : end]))
            at = end + 4
    elif (frame := payload.find(JPEG_FRAME)) > 0 and len(payload) > frame + 9:
        size[frame + 5 : frame + 9] = struct.pack(">HH", height % 65536, width % 65536)
    return bytes(size)


def mended(stream: bytes, fitted: Fitted | None, image_too: bool) -> bytes:
    """Return a stream with the right checksum and fingerprint, and size of its image."""
    rest = struct.pack("<I", fitted.fingerprint if fitted else 0) + stream[12:]
    if image_too and fitted is None and len(stream) > IMAGE:
        name_end = IMAGE + stream[IMAGE - 1] - 8
        shape = struct.unpack("<3H", stream[12:18])
        if shape[0]:
            rest = rest[:name_end] + with_size(rest[name_end:], *tile_size(shape))
    start = b"CFS\x03"
    return start + struct.pack("<I", crc32(rest, crc32(start))) + rest


def one_input(data: bytes) -> None:
    """Decode one input. The last byte says what the decoder knows, and what is mended first."""
    last, stream = data[-1] if data else 0, data[:-1]
    fitted = FITTED[last // 4 % len(FITTED)]
    if last % 2 and len(stream) > 12:
        stream = mended(stream, fitted, image_too=bool(last & 2))
    before = resident_kib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    decode(stream, fitted)
    global most_kib
    most_kib = max(most_kib, taken := resident_kib("VmHWM") - before)
    assert taken < 1024 * MOST_MIB, f"{len(stream)} bytes took {taken} KiB"
    total = ends.total()
    if total % 100_000 == 0:
        print(
            f"{total} inputs, {ends['decoded']} decoded, "
            f"{ends['decoded with tables']} with tables, {len(ends)} ways to end, "
            f"{most_kib} KiB at most for one",
            flush=True,
        )


def decode(stream: bytes, fitted: Fitted | None) -> None:
    """Decode and count how it ends; anything but an array and a BitstreamError is raised."""
    try:
        if fitted is None:
            found_Chw = decode_levels(stream).levels_Chw
        else:
            found_Chw = decode_features(stream, fitted)
    except BitstreamError as error:
        words = re.findall(r"[a-z]{3,}", str(error))
        ends[" ".join(words[:12]) if stream[:3] == b"CFS" else "no magic"] += 1
    else:
        ends["decoded with tables" if fitted else "decoded"] += 1
        assert found_Chw.size <= MAX_ELEMENTS


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as corpus:
        for path in GOLDEN.glob("*.cfs"):
            for last in (b"\0", b"\1", b"\3"):
                Path(corpus, f"{path.stem}{last[0]}").write_bytes(path.read_bytes() + last)
        for index, fitted in enumerate(FITTED):
            if fitted is not None:
                stream = encode_fitted(FEATURES_NChw[0], fitted) + bytes([4 * index + 1])
                Path(corpus, f"tables{index}").write_bytes(stream)
        atheris.Setup([*sys.argv, "-max_len=1500", corpus], one_input)
        atheris.Fuzz()
