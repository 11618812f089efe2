"""What the stages refuse although every file in itself is whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.made_up import noise_frames
from pipeline.artifacts import (
    ArtifactError,
    Bitstreams,
    ModelName,
    model_folder,
    prepared_folder,
    streams_file,
)
from pipeline.coding.points import Point
from pipeline.data.batches import Batches
from pipeline.inference import edge
from pipeline.nets.split import SplitNet
from pipeline.params import parse
from pipeline.training.checkpoint import save_model
from stages.evaluate import curves
from stages.measure import serve_streams
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
        assert list(open_model(name, parse(values).tasks).decoders) == TASKS
        return
    with pytest.raises(ArtifactError, match=words):
        open_model(name, parse(values).tasks)


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

    def serve(streams, names=frames.names):
        coded = Bitstreams(streams, names, "any")
        return serve_streams(path, coded, Point("png", 8), shape_Chw, net, batches, 1)

    coded, pictures = serve(streams)
    assert coded.header_N.tolist() == [31, 31]
    assert coded.bytes_N.tolist() == [len(stream) for stream in streams]
    assert pictures["reconstruction"].shape == (1, 32, 32, 3)

    foreign = [streams[0], *edge.encode(features_NChw[1:], 8, "jpeg-90")]
    with pytest.raises(ArtifactError, match=r"png\.safetensors: coded by jpeg-90 at 8 bits"):
        serve(foreign)
    with pytest.raises(ArtifactError, match=r"coded by png at 5 bits, not by png at 8 bits"):
        serve(edge.encode(features_NChw, 5, "png"))
    damaged = streams[1][:-9] + bytes(9)
    with pytest.raises(ArtifactError, match=r"png\.safetensors: bitstream 1: a damaged bitstream"):
        serve([streams[0], damaged])
    with pytest.raises(ArtifactError, match="is of other frames than"):
        serve(streams, ("other", "frames"))


def test_a_chart_joins_the_points_that_no_other_beats() -> None:
    rate = {"png": 4.0, "jpeg-60": 2.5, "png@5": 2.0, "png@2": 1.0}
    miou = {"png": 0.5, "jpeg-60": 0.3, "png@5": 0.49, "png@2": 0.2}
    psnr = {"png": 20.0, "jpeg-60": 20.5, "png@5": 17.0, "png@2": 17.0}
    values = {x: {"bpfe": rate[x], "miou": miou[x], "psnr": psnr[x]} for x in rate}
    found = dict(zip(rate, curves(values), strict=True))
    assert {x: at["bpfe"] for x, at in found.items()} == rate
    assert [x for x, at in found.items() if "miou" in at] == ["png", "png@5", "png@2"]
    # JPEG-60 beats the first point here, which stays because the table of runs shows it.
    assert [x for x, at in found.items() if "psnr" in at] == ["png", "jpeg-60", "png@2"]
