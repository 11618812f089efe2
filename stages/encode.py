"""Quantise the exported features and code them, once for each point of a curve."""

from pipeline.artifacts import (
    Bitstreams,
    ModelName,
    features_file,
    join_streams,
    read_features,
    streams_file,
    write_streams,
)
from pipeline.coding.codecs import find_codec
from pipeline.coding.points import read_point
from pipeline.inference import edge
from pipeline.shards import done_files, rows_of, unfinished, work_folder
from stages.resume import work_of
from stages.settings import Number, Text, load, run


def main(encoder: Text, arm: Text, seed: Number) -> None:
    """Quantise and code the exported features of one model at every point of `codecs`."""
    params = load()
    name = ModelName(encoder, arm, seed)
    features = read_features(features_file(name))
    count, keep = len(features.names), params.quantizer.keep
    points = {point: read_point(point, params.quantizer.bits) for point in params.codecs}
    coders = {point: find_codec(codec).coder for point, (codec, _) in points.items()}
    settings = {"points": points, "keep": keep, "coders": coders}
    with work_folder(work_of("encode", name, settings, [features_file(name)])) as work:
        for point, (codec, bits) in points.items():
            for shard, done in unfinished(work / point, count):
                features_NChw = rows_of(features.features_NChw, shard)
                streams = edge.encode(features_NChw, bits, codec, keep)
                names = features.names[shard.start : shard.stop]
                write_streams(done, Bitstreams(streams, names, coders[point]))
            size = join_streams(streams_file(name, point), done_files(work / point, count))
            bpfe = 8 * size / features.features_NChw.size
            print(f"{name} {point}: {count} bitstreams, {bpfe:.3f} bits per feature element")


if __name__ == "__main__":
    run(main)
