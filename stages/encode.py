"""Quantise the exported features and code them with one codec."""

from typing import Annotated

import typer

from pipeline.artifacts import (
    ModelName,
    features_file,
    read_features,
    streams_file,
    write_streams,
)
from pipeline.inference import edge
from stages.settings import load, run


def main(
    encoder: str,
    arm: str,
    seed: int,
    codec: Annotated[str, typer.Argument(help="png or jpeg-<1..100>")],
) -> None:
    """Quantise and code the exported features of one model with one codec."""
    params = load()
    name = ModelName(encoder, arm, seed)
    features = read_features(features_file(name))
    streams = edge.encode(features.features_NChw, params.quantizer.bits, codec)
    write_streams(streams_file(name, codec), streams, features.names)
    bpfe = 8 * sum(map(len, streams)) / features.features_NChw.size
    print(f"{name} {codec}: {len(streams)} bitstreams, {bpfe:.3f} bits per feature element")


if __name__ == "__main__":
    run(main)
