"""Fit what edge and cloud know beside a bitstream: tables, and the KLT.

They are fitted on training frames; those of the entropy arm come from its learned prior.
"""

from collections.abc import Mapping

import numpy as np
import torch

from pipeline.artifacts import ModelName, fitted_file, model_folder, prepared_folder
from pipeline.coding.fit import fit_points, fit_prior
from pipeline.coding.fitted import Fitted, write_fitted
from pipeline.coding.klt import FITTED_FRAMES
from pipeline.coding.points import Point
from pipeline.data.batches import Batches
from pipeline.data.frames import open_frames
from pipeline.device import open_device
from pipeline.inference import edge
from pipeline.nets.split import SplitNet
from pipeline.nets.stored import load_model
from pipeline.params import Params
from pipeline.source import evenly
from stages.settings import Number, Text, load, points, run


def main(encoder: Text, arm: Text, seed: Number) -> None:
    """Fit the tables of one model at every point of its arm that has some."""
    params = load()
    name, tasks = ModelName(encoder, arm, seed), list(params.tasks)
    net, _ = load_model(model_folder(name), **name._asdict(), tasks=tasks)
    wanted = {title: point for title, point in points(params, arm).items() if point.fitted}
    if not wanted:
        write_fitted(fitted_file(name), {})
        return
    if net.bottleneck is not None:
        fitted = prior_tables(net, wanted, params)
        write_fitted(fitted_file(name), fitted)
        print(f"{name}: {len(fitted)} points from the learned prior")
        return
    device = open_device(params.machine.device)
    batches = Batches(open_frames(prepared_folder("train")), device=device, resident=False)
    some = evenly(len(batches), FITTED_FRAMES)
    features = [x.cpu().numpy() for x in edge.features(net.to(device), batches, some)]
    fitted = fit_points(features, wanted, params.quantizer.range_percent)
    write_fitted(fitted_file(name), fitted)
    print(f"{name}: {len(fitted)} points fitted on {len(some)} training frames")


def prior_tables(net: SplitNet, wanted: Mapping[str, Point], params: Params) -> dict[str, Fitted]:
    """Return the tables of each point from the prior that a net of the entropy arm has learned."""
    assert net.bottleneck is not None
    prior, shape = net.bottleneck.prior, net.shape(params.data.height, params.data.width)

    def cdf(y_KS: np.ndarray) -> np.ndarray:
        return prior.cdf(torch.from_numpy(y_KS.copy())).numpy()

    return {
        name: fit_prior(name, point.step, shape, cdf)
        for name, point in wanted.items()
        if point.step is not None
    }


if __name__ == "__main__":
    run(main)
