"""What the stages refuse although every file in itself is whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.made_up import noise_frames
from pipeline.artifacts import (
    ArtifactError,
    ModelName,
    model_folder,
    prepared_folder,
    streams_file,
    write_streams,
)
from pipeline.coding.points import Point
from pipeline.data.batches import Batches
from pipeline.inference import edge
from pipeline.nets.split import SplitNet
from pipeline.params import parse
from pipeline.training.checkpoint import save_model
from stages.evaluate import serve_streams
from stages.models import open_model

TASKS = ["segmentation", "disparity", "reconstruction"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"arm": "benchmark"}, "whose arm is benchmark, not proposed"),
        ({"seed": 3}, "whose seed is 3, not 0"),
        ({"tasks": TASKS[:2]}, "whose tasks is .'segmentation', 'disparity'., not"),
    ],
    ids=str,
)
def test_a_model_is_the_one_its_folder_is_named_after(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    values: dict[str, Any],
    changes: dict[str, Any],
    words: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    name = ModelName("encoder2", "proposed", 0)
    described = {**name._asdict(), "tasks": TASKS, **changes}
    save_model(model_folder(name), SplitNet("encoder2", described["tasks"]), described)
    if words is None:
        assert list(open_model(name, parse(values)).decoders) == TASKS
        return
    with pytest.raises(ArtifactError, match=words):
        open_model(name, parse(values))


def test_a_stream_is_of_the_codec_its_file_is_named_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = streams_file(ModelName("encoder2", "proposed", 0), "png")
    frames = noise_frames(prepared_folder("val"), 2, width=32, height=32)
    net = SplitNet("encoder2", ["reconstruction"]).eval()
    batches = Batches(frames, device="cpu")
    features_NChw = np.concatenate([x.numpy() for x in edge.features(net, batches)])
    shape_Chw = features_NChw.shape[1:]
    streams = edge.encode(features_NChw, 8, "png")
    write_streams(path, streams, frames.names)
    coded, pictures = serve_streams(path, Point("png", 8), shape_Chw, net, batches, 1)
    assert coded.header_N.tolist() == [23, 23]
    assert coded.bytes_N.tolist() == [len(stream) for stream in streams]
    assert pictures["reconstruction"].shape == (1, 32, 32, 3)

    foreign = [streams[0], *edge.encode(features_NChw[1:], 8, "jpeg-90")]
    write_streams(path, foreign, frames.names)
    with pytest.raises(ArtifactError, match=r"png\.safetensors: coded by jpeg-90 at 8 bits"):
        serve_streams(path, Point("png", 8), shape_Chw, net, batches, 0)
    write_streams(path, edge.encode(features_NChw, 5, "png"), frames.names)
    with pytest.raises(ArtifactError, match=r"coded by png at 5 bits, not by png at 8 bits"):
        serve_streams(path, Point("png", 8), shape_Chw, net, batches, 0)
    write_streams(path, [streams[0], streams[1][:-9]], frames.names)
    with pytest.raises(ArtifactError, match=r"png\.safetensors: bitstream 1: .* cannot be decoded"):
        serve_streams(path, Point("png", 8), shape_Chw, net, batches, 0)
    write_streams(path, streams, ["other", "frames"])
    with pytest.raises(ArtifactError, match="is of other frames than"):
        serve_streams(path, Point("png", 8), shape_Chw, net, batches, 0)
