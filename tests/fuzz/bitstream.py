"""Coverage-guided fuzzing of the decoder: any bytes give levels or a BitstreamError, nothing else.

    uv run --with atheris python tests/fuzz/bitstream.py -runs=1000000 -seed=1

Half of the inputs get the right length and checksum, so that they reach the codecs. The fuzzer
starts from the golden files. Options are libFuzzer's; an input that breaks the rule is left as a
file `crash-*`.
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

GOLDEN = Path(__file__).parents[1] / "data" / "bitstreams"
GUARDED = 28
"""Bytes of a header of version 2 before the codec's name."""

ends: Counter[str] = Counter()


def one_input(data: bytes) -> None:
    """Decode one input, mended first if its last byte is odd."""
    mend, stream = bool(data) and data[-1] % 2 == 1, data[:-1]
    if mend and len(stream) > GUARDED and stream[3] == 2:
        start = stream[:20] + struct.pack("<I", max(len(stream) - GUARDED - stream[19], 0))
        rest = stream[GUARDED:]
        stream = start + struct.pack("<I", crc32(rest, crc32(start))) + rest
    try:
        levels = decode_levels(stream)
    except BitstreamError as error:
        words = re.findall(r"[a-z]{3,}", str(error))
        ends[" ".join(words[:12]) if stream[:3] == b"CFS" else "no magic"] += 1
    else:
        ends["decoded"] += 1
        assert levels.levels_Chw.size <= MAX_ELEMENTS
    total = ends.total()
    if total % 100_000 == 0:
        print(f"{total} inputs, {ends['decoded']} decoded, {len(ends)} ways to end", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as corpus:
        for path in GOLDEN.glob("*.cfs"):
            for last in (b"\0", b"\1"):
                Path(corpus, f"{path.stem}{last[0]}").write_bytes(path.read_bytes() + last)
        atheris.Setup([*sys.argv, "-max_len=1500", corpus], one_input)
        atheris.Fuzz()
