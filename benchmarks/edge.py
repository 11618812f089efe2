"""The edge half by ONNX Runtime beside torch's, on the validation frames: what differs, how fast.

    python -m benchmarks.edge [encoder2-entropy-0 ...]

Needs `dvc repro` before it. Torch's features are those of the pipeline. Symbols are those of the
first point of the model's curve that is fitted with a step.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from commands.bundle import make
from pipeline.artifacts import (
    ModelName,
    features_file,
    model_folder,
    open_streams,
    prepared_folder,
    streams_file,
)
from pipeline.data.frames import open_frames
from pipeline.inference.onnx import Edge
from pipeline.nets.stored import load_model
from stages.settings import load, points


def main() -> None:
    """Print a line for each model."""
    print("| model | features differ | symbols differ | equal bitstreams | ONNX, ms | torch, ms |")
    print("|---|---|---|---|---|---|")
    for model in sys.argv[1:] or ["encoder2-benchmark-0", "encoder2-entropy-0"]:
        encoder, arm, seed = model.split("-")
        print(compared(ModelName(encoder, arm, int(seed))), flush=True)


def compared(name: ModelName) -> str:
    """Return the line of one model."""
    point = next(k for k, x in points(load(), name.arm).items() if x.step is not None)
    image_NHW3 = open_frames(prepared_folder("val")).image_NHW3
    torch_NChw = np.load(features_file(name))
    net, _ = load_model(model_folder(name))
    with tempfile.TemporaryDirectory() as folder:
        _, bundle = make(str(name), point, Path(folder) / "bundle")
        edge = Edge(bundle)
        onnx_NChw = np.stack([edge.features(np.asarray(x)) for x in image_NHW3])
        streams = [edge.encode(np.asarray(x)) for x in image_NHW3]
        assert streams == [edge.encode(np.asarray(x)) for x in image_NHW3], "not the same again"
        of_onnx, of_torch = [], []
        for image_HW3 in image_NHW3[:32]:  # by turns, so that other work slows both
            picture_HW3 = np.array(image_HW3)
            start = time.perf_counter()
            edge.features(picture_HW3)
            half = time.perf_counter()
            with torch.no_grad():
                net.front(torch.from_numpy(picture_HW3).permute(2, 0, 1)[None].float() / 255)
            of_onnx.append(1000 * (half - start))
            of_torch.append(1000 * (time.perf_counter() - half))
    fitted = bundle.fitted
    assert fitted is not None
    pairs = [[fitted.symbols(x) for x in both] for both in zip(onnx_NChw, torch_NChw, strict=True)]
    steps = np.array([np.abs(a - b) for a, b in pairs])
    with open_streams(streams_file(name, point)) as kept:
        equal = sum(a == b for a, b in zip(streams, kept, strict=True))
    return (
        f"| {name} at {point} | by up to {np.abs(onnx_NChw - torch_NChw).max():.1e}, deviation "
        f"{torch_NChw.std():.2f} | {np.count_nonzero(steps)} of {steps.size:,}, by up to "
        f"{steps.max()} | {equal} of {len(streams)} | {statistics.median(of_onnx):.1f} | "
        f"{statistics.median(of_torch):.1f} |"
    )


if __name__ == "__main__":
    main()
