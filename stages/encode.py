"""Quantise the exported features and code them, once for each point of a curve."""

from pipeline.artifacts import (
    Bitstreams,
    ModelName,
    features_file,
    read_features,
    streams_file,
    write_streams,
)
from pipeline.coding.codecs import find_codec
from pipeline.coding.points import read_point
from pipeline.inference import edge
from stages.settings import Number, Text, load, run


def main(encoder: Text, arm: Text, seed: Number) -> None:
    """Quantise and code the exported features of one model at every point of `codecs`."""
    params = load()
    name = ModelName(encoder, arm, seed)
    features = read_features(features_file(name))
    for point in params.codecs:
        codec, bits = read_point(point, params.quantizer.bits)
        streams = edge.encode(features.features_NChw, bits, codec, params.quantizer.keep)
        coded = Bitstreams(streams, features.names, find_codec(codec).coder)
        write_streams(streams_file(name, point), coded)
        bpfe = 8 * sum(map(len, streams)) / features.features_NChw.size
        print(f"{name} {point}: {len(streams)} bitstreams, {bpfe:.3f} bits per feature element")


if __name__ == "__main__":
    run(main)
