"""What the report reads of the stages before it, as it needs it."""

import math
from collections.abc import Sequence

from pipeline.artifacts import (
    ModelName,
    check_made_of,
    diagnostics_file,
    examples_file,
    model_description,
    prepared_folder,
    read_evaluation,
    read_examples,
    read_history,
    read_rate_loss,
    read_streams,
    streams_file,
    sums_file,
)
from pipeline.coding.bitstream import decode_levels
from pipeline.coding.codecs import CODECS
from pipeline.coding.forms import RateForm
from pipeline.coding.points import read_point
from pipeline.coding.statistics import level_statistics
from pipeline.coding.tiling import tile
from pipeline.data.frames import Frames, disparity_px, open_frames
from pipeline.params import Params
from pipeline.report.found.models import Measured
from pipeline.report.looks import Looks, Tile
from pipeline.report.text.names import codec_title
from pipeline.scoring.trivial import Truths

LEVEL_FRAMES = 64
"""So many bitstreams, evenly spread, are decoded to describe their levels."""
TRIVIAL_FRAMES = 256
"""So many frames are enough for the three constants of a trivial prediction."""


def levels(name: ModelName, params: Params) -> dict[str, float]:
    """Return what the levels of a model's first lossless point look like, if it has one."""
    for point in lossless(params)[:1]:
        streams = read_streams(streams_file(name, point)).streams
        step = math.ceil(len(streams) / LEVEL_FRAMES)
        return level_statistics(map(decode_levels, streams[::step]))._asdict()
    return {}


def truths(split: str) -> Truths:
    """Return the frames of a split; to train on, at most `TRIVIAL_FRAMES`, evenly spread."""
    frames = open_frames(prepared_folder(split))
    step = math.ceil(len(frames.names) / TRIVIAL_FRAMES) if split == "train" else 1
    disparity_NHW = frames.disparity_NHW
    return Truths(
        frames.image_NHW3[::step],
        frames.label_NHW[::step],
        None if disparity_NHW is None else disparity_px(disparity_NHW[::step]),
    )


def lossless(params: Params) -> tuple[str, ...]:
    """Return the points that keep the levels as they are: a lossless codec, at any depth."""
    codec_of = {name: read_point(name, params.quantizer.bits).codec for name in params.codecs}
    return tuple(name for name, codec in codec_of.items() if CODECS[codec].lossless)


def measured(names: Sequence[ModelName], params: Params, frames: Frames) -> list[Measured]:
    """Return what the stages before have left of each model, its codecs in the order of params.

    Raises ArtifactError unless models, bitstreams and frames are those that were measured.
    """
    found = {name: read_evaluation(sums_file(name)) for name in names}
    check_made_of({sums_file(name): evaluation.made_of for name, evaluation in found.items()})
    form = RateForm(params.loss.rate_of, params.loss.prediction, params.loss.transform)
    return [
        Measured(
            **name._asdict(),
            elements=evaluation.elements,
            pixels=frames.label_NHW[0].size,
            codecs={codec: evaluation.points[codec] for codec in params.codecs},
            uncompressed=evaluation.uncompressed,
            pictures=evaluation.pictures,
            rate_loss_N=read_rate_loss(diagnostics_file(name), str(form)),
            levels=levels(name, params),
            trained_on=model_description(name).get("runtime", {}),
            coders=evaluation.coders,
        )
        for name, evaluation in found.items()
    ]


def looks(names: Sequence[ModelName], codecs: Sequence[str]) -> Looks:
    """Return what there is to see of the two arms of one encoder."""
    return Looks(
        histories={name.arm: read_history(name) for name in names},
        tiles={name.arm: first_tile(name, codecs) for name in names},
        examples={name.arm: read_examples(examples_file(name)) for name in names},
    )


def first_tile(name: ModelName, codecs: Sequence[str]) -> Tile:
    """Return the first frame's features as the codecs see them, and what each makes of them."""
    streams = {codec: read_streams(streams_file(name, codec)).streams[0] for codec in codecs}
    ends = dict.fromkeys([codecs[0], codecs[-1]])
    sizes = ", ".join(f"{len(streams[x]):,} bytes as {codec_title(x)}" for x in ends)
    levels_Chw = decode_levels(streams[codecs[0]]).levels_Chw
    return Tile(f"{name.arm}: {sizes}", tile(levels_Chw))
