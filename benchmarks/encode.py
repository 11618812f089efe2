"""Quantising and coding against its codec's own time, and against the usual loops.

    python -m benchmarks.encode [--width 512] [--height 256] [--frames 64] [--rounds 5] [--record]

Each round times, on the same features of each encoder, one after the other:

- the codec alone on ready tiles, on one core and on all;
- the stage's work from features to bitstreams (`edge.encode`), on all cores;
- the usual loop: per image, channels copied into a tile one by one, saved to a file, its size read;
- the same with every element copied by itself (on two images: it is slow).

Target: the stage's wall time at most 1.15 x the codec's own time summed over images, by the number
of cores. On a machine that others use too, compare with the codec on all cores, or the CPU times.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.clock import Timing, timed
from benchmarks.made_up import features_of
from benchmarks.record import CORES, load, record
from pipeline.coding.codecs import CODECS
from pipeline.coding.points import Point
from pipeline.coding.quantizer import quantize
from pipeline.coding.tiling import grid, tile
from pipeline.inference import edge
from pipeline.nets.encoder import ENCODERS

CODECS_TIMED = {"png": ("png", {}), "jpeg-90": ("jpg", {"quality": 90})}
"""Codec -> suffix and options that make Pillow write the same file."""
BITS = 8
ELEMENT_LOOP_FRAMES = 2


def by_channel(levels_Chw: np.ndarray, path: Path, options: dict[str, Any]) -> int:
    """The usual loop over channels; returns the size of the file."""
    channels, h, w = levels_Chw.shape
    rows, columns = grid(channels)
    tile_HW = np.zeros((rows * h, columns * w), np.uint8)
    for c in range(channels):
        y, x = c // columns * h, c % columns * w
        tile_HW[y : y + h, x : x + w] = levels_Chw[c]
    Image.fromarray(tile_HW).save(path, **options)
    return path.stat().st_size


def by_element(levels_Chw: np.ndarray, path: Path, options: dict[str, Any]) -> int:
    """The usual loop over elements; returns the size of the file."""
    channels, h, w = levels_Chw.shape
    rows, columns = grid(channels)
    tile_HW = np.zeros((rows * h, columns * w), np.uint8)
    for c in range(channels):
        for i in range(h):
            for j in range(w):
                tile_HW[c // columns * h + i, c % columns * w + j] = levels_Chw[c, i, j]
    Image.fromarray(tile_HW).save(path, **options)
    return path.stat().st_size


class Result(NamedTuple):
    """Medians over rounds, the first left out, for one encoder and codec."""

    codec_ms: float
    """Of one image, on one core."""
    against_sum: float
    """Wall time of the stage's work over (codec's time summed / cores)."""
    against_cores: float
    """Wall time of the stage's work over the codec's on all cores."""
    against_cpu: float
    """CPU time of the stage's work over the codec's on one core."""
    channel_ratio: float
    """Wall time of the loop over channels over ours."""
    element_ratio: float


def compare(features_NChw: np.ndarray, codec: str, folder: Path, rounds: int) -> Result:
    levels_NChw = np.stack([quantize(x, BITS).levels_Chw for x in features_NChw])
    tiles = [tile(x) for x in levels_NChw]
    code = CODECS[codec].encode
    suffix, options = CODECS_TIMED[codec]
    path = folder / f"tile.{suffix}"

    def on_all_cores() -> None:
        with ThreadPoolExecutor(CORES) as threads:
            list(threads.map(code, tiles))

    def loop(one: Callable[..., int], frames: int) -> Timing:
        timing = timed(lambda: [one(x, path, options) for x in levels_NChw[:frames]])
        scale = len(levels_NChw) / frames
        return Timing(timing.wall * scale, timing.cpu * scale)

    results = []
    for _ in range(1 + rounds):
        alone = timed(lambda: [code(x) for x in tiles])
        cores = timed(on_all_cores)
        ours = timed(lambda: edge.encode(features_NChw, Point(codec, BITS)))
        channels = loop(by_channel, len(levels_NChw))
        elements = loop(by_element, ELEMENT_LOOP_FRAMES)
        results.append(
            Result(
                codec_ms=1000 * alone.cpu / len(tiles),
                against_sum=ours.wall / (alone.wall / CORES),
                against_cores=ours.wall / cores.wall,
                against_cpu=ours.cpu / alone.cpu,
                channel_ratio=channels.wall / ours.wall,
                element_ratio=elements.wall / ours.wall,
            )
        )
    return Result(*(statistics.median(x) for x in zip(*results[1:], strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=512, help="of the frame")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record", action="store_true", help="keep it in runs.jsonl")
    options = parser.parse_args()

    results = {}
    with tempfile.TemporaryDirectory() as folder, load() as others:
        for name, encoder in ENCODERS.items():
            h, w = options.height // encoder.stride, options.width // encoder.stride
            features = features_of((options.frames, encoder.channels, h, w))
            for codec in CODECS_TIMED:
                results[f"{name} {codec}"] = compare(features, codec, Path(folder), options.rounds)
    print(f"{options.frames} frames of {options.width}x{options.height}; the stage's work, of")
    print(f"{'':17} codec ms  sum/{CORES} cores  all cores  CPU time  channel loop  element loop")
    for name, x in results.items():
        print(
            f"{name:17} {x.codec_ms:8.2f} {x.against_sum:12.2f} {x.against_cores:10.2f}"
            f" {x.against_cpu:9.2f} {x.channel_ratio:11.1f} x {x.element_ratio:11.1f} x"
        )
    print(f"others used {others.cores:.1f} of {CORES} cores")
    if options.record:
        rows = [
            {
                "model, codec": name,
                "codec (ms an image)": x.codec_ms,
                "ours / (codec / cores)": x.against_sum,
                "ours / codec on all cores": x.against_cores,
                "CPU time, ours / codec": x.against_cpu,
                "channel loop / ours": x.channel_ratio,
                "element loop / ours": x.element_ratio,
            }
            for name, x in results.items()
        ]
        size = f"{options.frames} frames of {options.width}x{options.height}"
        record("Encode", size, rows, others)


if __name__ == "__main__":
    main()
