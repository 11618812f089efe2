"""Code the exported features with one codec."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import typer

from pipeline.artifacts import (
    Features,
    ModelName,
    features_file,
    read_features,
    streams_file,
    write_streams,
)
from pipeline.coding.bitstream import encode_levels
from pipeline.coding.quantizer import Levels
from stages.settings import load, run


def main(
    encoder: str,
    arm: str,
    seed: int,
    codec: Annotated[str, typer.Argument(help="png or jpeg-<1..100>")],
) -> None:
    """Code the exported features of one model with one codec."""
    load()
    name = ModelName(encoder, arm, seed)
    features = read_features(features_file(name))
    streams = encode_all(features, codec)
    write_streams(streams_file(name, codec), streams, features.names)
    bpfe = 8 * sum(map(len, streams)) / features.levels_NChw.size
    print(f"{name} {codec}: {len(streams)} bitstreams, {bpfe:.3f} bits per feature element")


def encode_all(features: Features, codec: str) -> list[bytes]:
    """One bitstream per image."""

    def encode(index: int) -> bytes:
        levels = Levels(
            features.levels_NChw[index],
            float(features.low_N[index]),
            float(features.high_N[index]),
            features.bits,
        )
        return encode_levels(levels, codec)

    # Pillow's encoders release the interpreter lock: threads use every core.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(encode, range(len(features.names))))


if __name__ == "__main__":
    run(main)
