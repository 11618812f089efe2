"""Real bytes of every lossless coder of features beside the ideal length of the same symbols.

    python -m benchmarks.code_length [encoder2-benchmark-0 encoder2-entropy-0 ...]

Needs `dvc repro` before it. The ideal is -log2 of the probability of each symbol under the table
of its channel, which was fitted on training frames: what a perfect range coder writes. Coders that
look at more than one symbol may need less. Bytes are a frame's, without the header of its
bitstream.

Target: the range coder at most 1 % and 8 bytes above the ideal.
"""

import sys
from collections.abc import Mapping

import numpy as np

from pipeline.artifacts import (
    ModelName,
    features_file,
    fitted_file,
    model_folder,
    prepared_folder,
)
from pipeline.coding.bitstream import read_header
from pipeline.coding.fit import fit_points
from pipeline.coding.fitted import Fitted, read_fitted
from pipeline.coding.klt import FITTED_FRAMES
from pipeline.coding.points import Point
from pipeline.coding.quantizer import quantize
from pipeline.data.batches import Batches
from pipeline.data.frames import open_frames
from pipeline.inference import edge
from pipeline.nets.stored import load_model
from pipeline.source import evenly
from stages.settings import load, points

MODELS = ("encoder2-benchmark-0", "encoder2-proposed-0", "encoder2-entropy-0")
OTHERS = ("png", "webp", "gzip", "bz2", "lzma")
BITS = (8, 4, 3)


def main() -> None:
    """Print a table of the named models."""
    print("| model and symbols | ideal | range coder | " + " | ".join(OTHERS) + " |")
    print("|---|---|---|" + "---|" * len(OTHERS))
    for text in sys.argv[1:] or MODELS:
        encoder, arm, seed = text.split("-")
        name = ModelName(encoder, arm, int(seed))
        features_NChw = np.load(features_file(name))
        for title, fitted in tables(name).items():
            ideal = np.mean([ideal_bytes(x, fitted) for x in features_NChw])
            coders = {"table": payload(features_NChw, Point("table", fitted.bits), fitted)}
            if fitted.bits is not None:
                coders |= {x: payload(features_NChw, Point(x, fitted.bits)) for x in OTHERS}
            cells = [
                f"{coders[x]:,.0f} ({100 * (coders[x] / ideal - 1):+.1f} %)" if x in coders else ""
                for x in ("table", *OTHERS)
            ]
            print(f"| {name} {title} | {ideal:,.0f} | " + " | ".join(cells) + " |", flush=True)


def tables(name: ModelName) -> Mapping[str, Fitted]:
    """Return the fitted tables of a model's points and, for levels, of some depths."""
    wanted = {k: x for k, x in points(load(), name.arm).items() if x.fitted}
    found = {k: x for k, x in read_fitted(fitted_file(name), wanted).items() if x is not None}
    if name.arm == "entropy":
        return found
    net, _ = load_model(model_folder(name))
    train = Batches(open_frames(prepared_folder("train")), device="cpu", resident=False)
    some = evenly(len(train), FITTED_FRAMES)
    features = [x.numpy() for x in edge.features(net, train, some)]
    levels = {f"levels of {bits} bits": Point("table", bits) for bits in BITS}
    return fit_points(features, levels) | found


def ideal_bytes(features_Chw: np.ndarray, fitted: Fitted) -> float:
    """Return the ideal length of one frame's symbols, in bytes."""
    if fitted.bits is None:
        symbols_KN = fitted.symbols(features_Chw)
    else:
        levels_Chw = quantize(features_Chw, fitted.bits).levels_Chw
        symbols_KN = levels_Chw.reshape(len(levels_Chw), -1).astype(np.int64)
    share_KS = fitted.counts_KS / fitted.counts_KS.sum(1, keepdims=True)
    return float(-np.log2(np.take_along_axis(share_KS, symbols_KN, 1)).sum()) / 8


def payload(features_NChw: np.ndarray, point: Point, fitted: Fitted | None = None) -> float:
    """Return the mean bytes of a frame's bitstream without its header."""
    streams = edge.encode(features_NChw, point, fitted)
    return float(np.mean([len(x) - read_header(x, fitted).size for x in streams]))


if __name__ == "__main__":
    main()
