"""Quantise the exported features and code them, once for each point of a curve."""

import math
from itertools import chain

from pipeline.artifacts import (
    ArtifactError,
    ModelName,
    array_rows,
    array_shape,
    features_file,
    fitted_file,
    prepared_folder,
    streams_file,
    streams_folder,
    write_streams,
)
from pipeline.coding.codecs import find_codec
from pipeline.coding.fitted import read_fitted
from pipeline.coding.tables import CODER
from pipeline.data.frames import frame_names
from pipeline.files import whole_folder
from pipeline.inference import edge
from pipeline.nets.encoder import ENCODERS
from stages.settings import Number, Text, load, points, run


def main(encoder: Text, arm: Text, seed: Number) -> None:
    """Quantise and code the exported features of one model at every point of its arm."""
    params = load()
    name = ModelName(encoder, arm, seed)
    path = features_file(name)
    count = array_shape(path)[0]
    elements = math.prod(ENCODERS[encoder].shape(params.data.height, params.data.width))
    names = frame_names(prepared_folder("val"))
    if count != len(names):
        raise ArtifactError(f"{path} is of {count} frames, not of {len(names)}; run `dvc repro`")
    wanted = points(params, arm)
    fitted = read_fitted(fitted_file(name), wanted)
    # All points appear together, so that no file of an earlier setting stays among them.
    with whole_folder(streams_folder(name)) as folder:
        for title, point in wanted.items():
            some = (
                edge.encode(features_NChw, point, fitted[title], params.quantizer.range_percent)
                for features_NChw in array_rows(path)
            )
            coder = CODER if point.fitted else find_codec(point.codec).coder
            file = folder / streams_file(name, title).name
            size = write_streams(file, names, chain.from_iterable(some), coder)
            bpfe = 8 * size / count / elements
            print(f"{name} {title}: {count} bitstreams, {bpfe:.3f} bits per feature element")


if __name__ == "__main__":
    run(main)
