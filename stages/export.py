"""Run the edge half over the validation set; keep its features and what is measured on them."""

import numpy as np

from pipeline.artifacts import (
    Diagnostics,
    ModelName,
    array_writer,
    diagnostics_file,
    features_file,
    model_folder,
    prepared_folder,
    write_diagnostics,
)
from pipeline.coding.forms import FORMS
from pipeline.coding.rate import rate_in_form
from pipeline.data.batches import Batches
from pipeline.data.frames import open_frames
from pipeline.device import open_device
from pipeline.inference import edge
from pipeline.nets.stored import load_model
from stages.settings import Number, Text, load, run


def main(encoder: Text, arm: Text, seed: Number) -> None:
    """Export the features of one model, and their rate loss in every form there is.

    Every form, and in a file of its own: so neither export nor encode depends on the settings of
    the rate term, and the benchmark's bitstreams stay when they change.
    """
    params = load()
    name, tasks = ModelName(encoder, arm, seed), list(params.tasks)
    net, _ = load_model(model_folder(name), **name._asdict(), tasks=tasks)
    device = open_device(params.machine.device)
    batches = Batches(open_frames(prepared_folder("val")), device=device)
    shape = (len(batches), *net.shape(params.data.height, params.data.width))
    # Made once: see `scoring.sums.collect`.
    keys = ("span", "deviation", *map(str, FORMS))
    measured = {key: np.empty(len(batches), np.float32) for key in keys}
    done = 0
    with array_writer(features_file(name), shape, np.float32) as write:
        for features_BChw in edge.features(net.to(device), batches):
            write(features_BChw.cpu().numpy())
            values_BK = features_BChw.flatten(1)
            of_batch = {str(form): rate_in_form(features_BChw, form) for form in FORMS}
            of_batch["span"] = values_BK.amax(1) - values_BK.amin(1)
            of_batch["deviation"] = values_BK.std(1, correction=0)
            for key, value_B in of_batch.items():
                measured[key][done : done + len(value_B)] = value_B.cpu()
            done += len(values_BK)
    span_N, deviation_N = measured.pop("span"), measured.pop("deviation")
    write_diagnostics(diagnostics_file(name), Diagnostics(measured, span_N, deviation_N))
    print(f"{name}: features of {shape[0]} frames, {' x '.join(map(str, shape[1:]))}")


if __name__ == "__main__":
    run(main)
