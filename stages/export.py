"""Run the edge half over the validation set; keep its features and what is measured on them."""

import numpy as np

from pipeline.artifacts import (
    Features,
    ModelName,
    diagnostics_file,
    features_file,
    hashes,
    prepared_folder,
    weights_file,
    write_diagnostics,
    write_features,
)
from pipeline.coding.forms import FORMS
from pipeline.coding.rate import rate_in_form
from pipeline.data.batches import Batches
from pipeline.data.frames import open_frames
from pipeline.inference import edge
from pipeline.training.device import open_runtime
from stages.models import open_model
from stages.settings import Number, Text, load, run


def main(encoder: Text, arm: Text, seed: Number) -> None:
    """Export the features of one model, and their rate loss in every form there is.

    Every form, and in a file of its own: so neither export nor encode depends on the settings of
    the rate term, and the benchmark's bitstreams stay when they change.
    """
    params = load()
    name = ModelName(encoder, arm, seed)
    net = open_model(name, params)
    frames = open_frames(prepared_folder("val"))
    parts: list[np.ndarray] = []
    losses: dict[str, list[np.ndarray]] = {str(form): [] for form in FORMS}
    with open_runtime(params.train.device, "float32", "off") as runtime:
        net.to(runtime.device)
        for features_BChw in edge.features(net, Batches(frames, device=runtime.device)):
            parts.append(features_BChw.cpu().numpy())
            for form in FORMS:
                losses[str(form)].append(rate_in_form(features_BChw, form).cpu().numpy())
    features = Features(np.concatenate(parts), frames.names)
    write_features(features_file(name), features)
    rate_loss = {form: np.concatenate(values) for form, values in losses.items()}
    write_diagnostics(diagnostics_file(name), rate_loss, hashes([weights_file(name)]))
    shape = " x ".join(map(str, features.features_NChw.shape[1:]))
    print(f"{name}: features of {len(frames.names)} frames, {shape}")


if __name__ == "__main__":
    run(main)
