"""The evaluate stage's work against the usual loop over samples.

    python -m benchmarks.evaluate [--width 256] [--height 128] [--frames 64] [--rounds 3]
        [--device auto] [--record]

Ours: the next batch is decoded while the cloud half runs on this one, and the sums are taken on the
device. The usual loop: one sample at a time is decoded, run, and scored by numpy. Both work from
the same bitstreams (PNG and JPEG-90) to the same sums, which are compared.
"""

import argparse
import copy
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.device_clock import now
from benchmarks.made_up import features_of, noise_frames
from benchmarks.record import CORES, load, record
from pipeline.coding.bitstream import decode_features
from pipeline.coding.points import Point
from pipeline.data.batches import Batches
from pipeline.data.frames import Frames, disparity_px
from pipeline.inference import cloud, edge
from pipeline.labels import CLASSES
from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet
from pipeline.training.runtime import open_runtime, seed_all

TASKS = ("segmentation", "disparity", "reconstruction")
CODECS_TIMED = ("png", "jpeg-90")


def by_sample(
    net: SplitNet, frames: Frames, streams: Sequence[bytes], device: torch.device
) -> dict[str, np.ndarray]:
    """The usual loop: confusions, squared errors of disparity and image, by sample."""
    assert frames.disparity_NHW is not None
    confusion, disparity_error, image_error = [], [], []
    for index, stream in enumerate(streams):
        features_1Chw = torch.from_numpy(decode_features(stream))[None].to(device)
        predictions = {task: x[0].cpu().numpy() for task, x in net.back(features_1Chw).items()}
        label_HW = frames.label_NHW[index].astype(np.int64)
        scored_HW = label_HW != 255
        predicted_HW = predictions["segmentation"].argmax(0)
        cells = len(CLASSES) * label_HW[scored_HW] + predicted_HW[scored_HW]
        confusion.append(np.bincount(cells, minlength=len(CLASSES) ** 2))
        truth_HW = disparity_px(frames.disparity_NHW[index])
        error_HW = (predictions["disparity"][0] - truth_HW) ** 2
        disparity_error.append(error_HW[truth_HW > 0].sum(dtype=np.float64))
        image_3HW = frames.image_NHW3[index].transpose(2, 0, 1) / np.float32(255)
        error_3HW = (predictions["reconstruction"].clip(0, 1) - image_3HW) ** 2
        image_error.append(error_3HW.sum(dtype=np.float64))
    return {
        "confusion": np.stack(confusion).reshape(-1, len(CLASSES), len(CLASSES)),
        "disparity_squared_error": np.array(disparity_error),
        "image_squared_error": np.array(image_error),
    }


def compare(
    encoder: str, codec: str, frames: Frames, device: torch.device, rounds: int
) -> tuple[float, float, float]:
    """Frames per second by sample and by ours, and their ratio: medians over rounds."""
    _, channels, stride = ENCODERS[encoder]
    count, height, width, _ = frames.image_NHW3.shape
    shape_Chw = (channels, height // stride, width // stride)
    streams = edge.encode(features_of((count, *shape_Chw)), Point(codec, 8))
    seed_all(0)
    usual_net = SplitNet(encoder, TASKS).eval().to(device)
    net = copy.deepcopy(usual_net).to(memory_format=torch.channels_last)
    batches = Batches(frames, device=device)
    rows = []
    with torch.no_grad():
        for _ in range(1 + rounds):
            start = now(device)
            expected = by_sample(usual_net, frames, streams, device)
            middle = now(device)
            sums = cloud.serve(net, batches, cloud.decode(streams, shape_Chw, device)).sums
            end = now(device)
            rows.append((count / (middle - start), count / (end - middle)))
    found = {key: x for parts in sums.values() for key, x in parts.items()}
    # An argmax between two near-equal logits may fall either way.
    moved = np.abs(found["confusion"] - expected["confusion"]).sum() / 2
    assert moved <= 1e-3 * expected["confusion"].sum()
    for key in ("disparity_squared_error", "image_squared_error"):
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-3)
    usual, ours = zip(*rows[1:], strict=True)
    ratio = statistics.median(b / a for a, b in zip(usual, ours, strict=True))
    return statistics.median(usual), statistics.median(ours), ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--record", action="store_true", help="keep it in runs.jsonl")
    options = parser.parse_args()

    size = {"width": options.width, "height": options.height}
    results = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        open_runtime(options.device, "float32", "off") as runtime,
        load() as others,
    ):
        frames = noise_frames(Path(folder) / "frames", options.frames, **size)
        for encoder in ENCODERS:
            for codec in CODECS_TIMED:
                results[f"{encoder} {codec}"] = compare(
                    encoder, codec, frames, runtime.device, options.rounds
                )
    what = f"{options.frames} frames of {options.width}x{options.height} on {runtime.device.type}"
    print(f"{what}; frames/s, medians of {options.rounds} rounds")
    print(f"{'':17} by sample    ours  ratio")
    for name, (usual, ours, ratio) in results.items():
        print(f"{name:17} {usual:9.1f} {ours:7.1f} {ratio:6.2f}")
    print(f"others used {others.cores:.1f} of {CORES} cores")
    if options.record:
        rows = [
            {
                "model, codec": name,
                "ours / by sample": ratio,
                "by sample (frames/s)": usual,
                "ours (frames/s)": ours,
            }
            for name, (usual, ours, ratio) in results.items()
        ]
        record("Evaluate", what, rows, others)


if __name__ == "__main__":
    main()
