"""Run the edge half over the validation set; keep its features and what is measured on them."""

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
from pipeline.data.batches import Batches
from pipeline.data.frames import open_frames
from pipeline.inference.export import export
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
    net = open_model(name, params.tasks)
    frames = open_frames(prepared_folder("val"))
    with open_runtime(params.train.device, "float32", "off") as runtime:
        batches = Batches(frames, device=runtime.device)
        features_NChw, rate_loss = export(net.to(runtime.device), batches)
    features = Features(features_NChw, frames.names)
    write_features(features_file(name), features)
    write_diagnostics(diagnostics_file(name), rate_loss, hashes([weights_file(name)]))
    shape = " x ".join(map(str, features.features_NChw.shape[1:]))
    print(f"{name}: features of {len(frames.names)} frames, {shape}")


if __name__ == "__main__":
    run(main)
