"""Run the edge half over the validation set; keep its features and what is measured on them."""

import torch

from pipeline.artifacts import (
    ModelName,
    diagnostics_file,
    features_file,
    features_to_fill,
    hashes,
    join_diagnostics,
    prepared_folder,
    weights_file,
    write_diagnostics,
)
from pipeline.data.batches import Batches
from pipeline.data.frames import open_frames, some_frames
from pipeline.inference.export import export
from pipeline.shards import done_files, move, unfinished, work_folder
from pipeline.training.device import open_runtime
from stages.models import features_shape, open_model
from stages.resume import work_of
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
    count, shape_Chw = len(frames.names), features_shape(name, frames)
    files = [weights_file(name), *prepared_folder("val").iterdir()]
    with open_runtime(params.train.device, "float32", "off") as runtime:
        computed_by = {"torch": torch.__version__, "device": str(runtime.device)}
        net = net.to(runtime.device)
        with work_folder(work_of("export", name, computed_by, files)) as work:
            features = features_to_fill(work / "features", (count, *shape_Chw), frames.names)
            for shard, done in unfinished(work, count):
                batches = Batches(some_frames(frames, shard), device=runtime.device)
                features_NChw, rate_loss = export(net, batches)
                features.write(shard.start, features_NChw)
                write_diagnostics(done, rate_loss, {})
            made_of = hashes([weights_file(name)])
            join_diagnostics(diagnostics_file(name), done_files(work, count), made_of)
            move(features.path, features_file(name))
    print(f"{name}: features of {count} frames, {' x '.join(map(str, shape_Chw))}")


if __name__ == "__main__":
    run(main)
