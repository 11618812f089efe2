"""Coverage-guided fuzzing of the decoder: any bytes give levels or a BitstreamError, nothing else.

    uv run --with atheris python -m tests.fuzz.bitstream -runs=1000000 -seed=1

No input may take more than `MOST_MIB` of memory either; that is read from the kernel, so it needs
Linux. Half of the inputs get the right length and checksum, and half of those an image of the size
that their header names, so that they reach the codecs. The fuzzer starts from the golden files.
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

with atheris.instrument_imports(include=["pipeline", "PIL"]):
    from pipeline.coding.bitstream import MAX_ELEMENTS, BitstreamError, decode_levels
    from pipeline.coding.tiling import tile_size

GOLDEN = Path(__file__).parents[1] / "data" / "bitstreams"
GUARDED = 28
"""Bytes of a header of version 2 before the codec's name."""
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


def mended(stream: bytes, image_too: bool) -> bytes:
    """Return a stream of version 2 with the right length and checksum, and size of its image."""
    name_end = GUARDED + stream[19]
    rest = stream[GUARDED:]
    shape = struct.unpack("<3H", stream[4:10])
    if image_too and shape[0]:
        rest = stream[GUARDED:name_end] + with_size(stream[name_end:], *tile_size(shape))
    start = stream[:20] + struct.pack("<I", max(len(stream) - name_end, 0))
    return start + struct.pack("<I", crc32(rest, crc32(start))) + rest


def one_input(data: bytes) -> None:
    """Decode one input. The last byte says what of it is mended first: nothing, header, image."""
    mend, stream = data[-1] if data else 0, data[:-1]
    if mend % 2 and len(stream) > GUARDED and stream[3] == 2:
        stream = mended(stream, image_too=bool(mend & 2))
    before = resident_kib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    decode(stream)
    global most_kib
    most_kib = max(most_kib, taken := resident_kib("VmHWM") - before)
    assert taken < 1024 * MOST_MIB, f"{len(stream)} bytes took {taken} KiB"
    total = ends.total()
    if total % 100_000 == 0:
        print(
            f"{total} inputs, {ends['decoded']} decoded, {len(ends)} ways to end, "
            f"{most_kib} KiB at most for one",
            flush=True,
        )


def decode(stream: bytes) -> None:
    """Decode and count how it ends; anything but levels and a BitstreamError is raised."""
    try:
        levels = decode_levels(stream)
    except BitstreamError as error:
        words = re.findall(r"[a-z]{3,}", str(error))
        ends[" ".join(words[:12]) if stream[:3] == b"CFS" else "no magic"] += 1
    else:
        ends["decoded"] += 1
        assert levels.levels_Chw.size <= MAX_ELEMENTS


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as corpus:
        for path in GOLDEN.glob("*.cfs"):
            for last in (b"\0", b"\1", b"\3"):
                Path(corpus, f"{path.stem}{last[0]}").write_bytes(path.read_bytes() + last)
        atheris.Setup([*sys.argv, "-max_len=1500", corpus], one_input)
        atheris.Fuzz()
