"""Measure how long a frame takes on this machine: networks, and the coders at each point."""

import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.artifacts import (
    ARMS,
    ModelName,
    fitted_file,
    model_folder,
    prepared_folder,
    times_file,
)
from pipeline.coding.bitstream import decode_features
from pipeline.coding.fitted import read_fitted
from pipeline.coding.pictures import decode_picture, encode_picture
from pipeline.data.frames import open_frames
from pipeline.files import write_json
from pipeline.inference import edge
from pipeline.nets.stored import load_model
from stages.settings import Text, load, points, run

FRAMES, ROUNDS = 8, 2
"""A time is the median over so many frames, each of them so often."""


def main(encoder: Text, arm: Text) -> None:
    """Measure the model of the first seed on one thread of the CPU, as on a small device."""
    params = load()
    name, tasks = ModelName(encoder, arm, params.seeds[0]), list(params.tasks)
    torch.set_num_threads(1)
    net, _ = load_model(model_folder(name), **name._asdict(), tasks=tasks)
    image_NHW3 = np.array(open_frames(prepared_folder("val")).image_NHW3[:FRAMES])
    inputs = [torch.from_numpy(x).permute(2, 0, 1)[None].float() / 255 for x in image_NHW3]
    with torch.no_grad():
        sent = [net.front(image_13HW) for image_13HW in inputs]
        times: dict[str, Any] = {
            "processor": processor(),
            "threads": 1,
            "edge": milliseconds(net.front, inputs),
            "cloud": milliseconds(net.back, sent),
        }
    features = [features_1Chw[0].numpy() for features_1Chw in sent]
    wanted = points(params, arm)
    fitted = read_fitted(fitted_file(name), wanted)
    times["points"] = {
        title: coder_times(
            partial(
                edge.encode_one,
                point=point,
                fitted=fitted[title],
                range_percent=params.quantizer.range_percent,
            ),
            partial(decode_features, fitted=fitted[title]),
            features,
        )
        for title, point in wanted.items()
    }
    if arm == ARMS[0]:
        times["pictures"] = {
            codec: coder_times(partial(encode_picture, codec=codec), decode_picture, [*image_NHW3])
            for codec in params.pictures.codecs
        }
    write_json(times_file(encoder, arm), times)
    print(f"{name}: edge {times['edge']:.1f} ms, cloud {times['cloud']:.1f} ms a frame")


def coder_times(
    encode: Callable[[Any], bytes], decode: Callable[[bytes], Any], frames: Sequence[Any]
) -> Mapping[str, float]:
    """Return the milliseconds that a frame takes to encode and to decode."""
    streams = [encode(frame) for frame in frames]
    return {"encode": milliseconds(encode, frames), "decode": milliseconds(decode, streams)}


def milliseconds(work: Callable[[Any], object], inputs: Sequence[Any]) -> float:
    """Return the median time of one call. The first call is not counted: it is slower."""
    work(inputs[0])
    taken = []
    for _ in range(ROUNDS):
        for value in inputs:
            start = time.perf_counter()
            work(value)
            taken.append(time.perf_counter() - start)
    return round(1000 * statistics.median(taken), 3)


def processor() -> str:
    """Return the name of the processor, or of its architecture where the system tells no name."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = (x.split(":", 1)[1].strip() for x in lines if x.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


if __name__ == "__main__":
    run(main)
