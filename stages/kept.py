"""What a report needs of bitstreams and frames: a little, that can be noted where they stay.

In a workspace that holds bitstreams and frames it is read off them. A folder that came from
another machine holds the notes instead.
"""

import math
from collections.abc import Sequence

from pipeline.artifacts import (
    FRAMES_FILE,
    FrameFacts,
    ModelName,
    Sent,
    prepared_folder,
    read_json,
    read_sent,
    read_streams,
    sent_file,
    streams_file,
    write_sent,
)
from pipeline.coding.bitstream import decode_levels
from pipeline.coding.codecs import CODECS
from pipeline.coding.points import read_point
from pipeline.coding.statistics import level_statistics
from pipeline.coding.tiling import tile
from pipeline.data.frames import disparity_px, open_frames
from pipeline.files import write_json
from pipeline.scoring.trivial import Truths, trivial_scores

LEVEL_FRAMES = 64
"""So many bitstreams, evenly spread, are decoded to describe their levels."""
TRIVIAL_FRAMES = 256
"""So many frames are enough for the three constants of a trivial prediction."""


def lossless(codecs: Sequence[str], bits: int) -> tuple[str, ...]:
    """Return the points that keep the levels as they are: a lossless codec, at any depth."""
    codec_of = {name: read_point(name, bits).codec for name in codecs}
    return tuple(name for name, codec in codec_of.items() if CODECS[codec].lossless)


def levels(name: ModelName, points: Sequence[str]) -> dict[str, float]:
    """Return what the levels of a model look like at the first of its lossless points, if any."""
    if sent_file(name).is_file():
        return dict(read_sent(sent_file(name)).levels)
    for point in points[:1]:
        streams = read_streams(streams_file(name, point)).streams
        step = math.ceil(len(streams) / LEVEL_FRAMES)
        return level_statistics(map(decode_levels, streams[::step]))._asdict()
    return {}


def sent(name: ModelName, codecs: Sequence[str], bits: int) -> Sent:
    """Return what a report shows of a model's bitstreams."""
    if sent_file(name).is_file():
        return read_sent(sent_file(name))
    streams = {codec: read_streams(streams_file(name, codec)).streams[0] for codec in codecs}
    tile_HW = tile(decode_levels(streams[codecs[0]]).levels_Chw)
    sizes = {codec: len(stream) for codec, stream in streams.items()}
    return Sent(levels(name, lossless(codecs, bits)), tile_HW, sizes)


def note_sent(name: ModelName, codecs: Sequence[str], bits: int) -> None:
    """Write down what a report shows of a model's bitstreams."""
    write_sent(sent_file(name), sent(name, codecs, bits))


def frame_facts(tasks: Sequence[str]) -> FrameFacts:
    """Return what a report says of the frames."""
    if FRAMES_FILE.is_file():
        noted = read_json(FRAMES_FILE)
        return FrameFacts(*(noted[name] for name in FrameFacts._fields))
    train, val = (open_frames(prepared_folder(split)) for split in ("train", "val"))
    trivial = trivial_scores(truths("train"), truths("val"))
    return FrameFacts(
        trained=len(train.names),
        tested=len(val.names),
        pixels=val.label_NHW[0].size,
        trivial={task: score for task, score in trivial.items() if task in tasks},
    )


def note_frames(tasks: Sequence[str]) -> None:
    """Write down what a report says of the frames."""
    write_json(FRAMES_FILE, frame_facts(tasks)._asdict())


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
