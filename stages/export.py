"""Run the edge half over the validation set and quantise what it would send."""

import numpy as np
import torch

from pipeline.artifacts import (
    Features,
    ModelName,
    features_file,
    prepared_folder,
    write_features,
)
from pipeline.coding.quantizer import quantize
from pipeline.coding.rate import rate_per_image, to_unit_range
from pipeline.data.batches import Batches
from pipeline.data.frames import open_frames
from pipeline.training.device import open_runtime
from stages.models import open_model
from stages.settings import load, run

BATCH = 16


def main(encoder: str, arm: str, seed: int) -> None:
    """Export the quantised features of one model."""
    params = load()
    name = ModelName(encoder, arm, seed)
    net = open_model(name, params)
    frames = open_frames(prepared_folder("val"))
    levels, rates = [], []
    with open_runtime(params.train.device, "float32", "off") as runtime, torch.no_grad():
        net.to(runtime.device)
        batches = Batches(frames, device=runtime.device)
        starts = range(0, len(frames.names), BATCH)
        order = [np.arange(i, min(i + BATCH, len(frames.names))) for i in starts]
        for batch in batches.over(order):
            features_BChw = net.front(batch.image_B3HW)
            of_BChw = (
                to_unit_range(features_BChw) if params.loss.rate_of == "levels" else features_BChw
            )
            rate_B = rate_per_image(of_BChw, params.loss.prediction, params.loss.transform)
            rates.append(rate_B.cpu().numpy())
            levels += [quantize(x, params.quantizer.bits) for x in features_BChw.cpu().numpy()]
    features = Features(
        levels_NChw=np.stack([x.levels_Chw for x in levels]),
        low_N=np.array([x.low for x in levels], np.float32),
        high_N=np.array([x.high for x in levels], np.float32),
        rate_loss_N=np.concatenate(rates),
        bits=params.quantizer.bits,
        names=frames.names,
    )
    write_features(features_file(name), features)
    shape = " x ".join(map(str, features.levels_NChw.shape[1:]))
    print(f"{name}: features of {len(frames.names)} frames, {shape} at {features.bits} bits")


if __name__ == "__main__":
    run(main)
