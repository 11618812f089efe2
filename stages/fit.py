"""Fit what edge and cloud know beside a bitstream: tables, and the KLT, on training frames."""

import numpy as np

from pipeline.artifacts import ModelName, fitted_file, model_folder, prepared_folder
from pipeline.coding.fit import fit_points
from pipeline.coding.fitted import write_fitted
from pipeline.data.batches import Batches
from pipeline.data.frames import open_frames
from pipeline.device import open_device
from pipeline.inference import edge
from pipeline.nets.stored import load_model
from stages.settings import Number, Text, load, points, run

FRAMES = 240
"""So many training frames are enough. Their features are 126 MB for Encoder2 at 512x256."""


def main(encoder: Text, arm: Text, seed: Number) -> None:
    """Fit the tables of one model at every point of its arm that has some."""
    params = load()
    name, tasks = ModelName(encoder, arm, seed), list(params.tasks)
    net, _ = load_model(model_folder(name), **name._asdict(), tasks=tasks)
    device = open_device(params.machine.device)
    batches = Batches(open_frames(prepared_folder("train")), device=device, resident=False)
    some = np.unique(np.linspace(0, len(batches) - 1, FRAMES).round().astype(int))
    features = [x.cpu().numpy() for x in edge.features(net.to(device), batches, some)]
    fitted = fit_points(features, points(params, arm), params.quantizer.range_percent)
    write_fitted(fitted_file(name), fitted)
    print(f"{name}: {len(fitted)} points fitted on {len(some)} training frames")


if __name__ == "__main__":
    run(main)
