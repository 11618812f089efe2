"""The evaluate stage: what it refuses although every file in itself is whole, and its chart."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.artifacts import (
    ArtifactError,
    ModelName,
    pictures_file,
    streams_file,
    write_streams,
)
from pipeline.coding.pictures import encode_picture
from pipeline.coding.points import Point
from pipeline.data.batches import Batches
from pipeline.data.frames import Frames
from pipeline.inference import edge
from pipeline.nets.split import SplitNet
from stages.evaluate import curves, serve_codec, serve_point

NAME = ModelName("encoder2", "proposed", 0)


@pytest.fixture
def batches() -> Batches:
    generator = np.random.default_rng(0)
    image_NHW3 = generator.integers(0, 256, (2, 32, 32, 3), np.uint8)
    label_NHW = generator.integers(0, 19, (2, 32, 32), np.uint8)
    return Batches(Frames(("a", "b"), image_NHW3, label_NHW, None), device="cpu")


def test_a_stream_is_of_the_point_and_the_frames_its_file_is_named_after(
    batches: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    net = SplitNet("encoder2", ["reconstruction"]).eval()
    features_NChw = np.concatenate([x.numpy() for x in edge.features(net, batches)])
    streams = edge.encode(features_NChw, Point("png", 8))

    def serve(streams: list[bytes], names: tuple[str, ...] = ("a", "b")):
        write_streams(streams_file(NAME, "png"), names, streams, "any 1.0")
        return serve_point(NAME, "png", Point("png", 8), None, net, batches, 1)

    served = serve(streams)
    assert served.coder == "any 1.0"
    assert served.first == streams[0]
    assert served.coded.header_N.tolist() == [31, 31]
    assert served.coded.bytes_N.tolist() == [len(stream) for stream in streams]
    assert served.pictures["reconstruction"].shape == (1, 32, 32, 3)

    foreign = [streams[0], *edge.encode(features_NChw[1:], Point("jpeg-90", 8))]
    with pytest.raises(ArtifactError, match=r"png\.zip: bitstream 1 is coded by jpeg-90 at 8 bits"):
        serve(foreign)
    with pytest.raises(ArtifactError, match="is coded by png at 5 bits, not by png at 8 bits"):
        serve(edge.encode(features_NChw, Point("png", 5)))
    damaged = streams[1][:-9] + bytes(9)
    with pytest.raises(ArtifactError, match=r"png\.zip: bitstream 1: a damaged bitstream.*repro"):
        serve([streams[0], damaged])
    with pytest.raises(ArtifactError, match="is of other frames than"):
        serve(streams, ("other", "frames"))


def test_coded_pictures_are_of_the_frames_their_file_is_opened_for(
    batches: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    net = SplitNet("encoder2", ["reconstruction"]).eval()
    coded = [encode_picture(x, "webp-60") for x in batches.frames.image_NHW3]

    def serve(coded: list[bytes], names: tuple[str, ...] = ("a", "b"), suffix: str = ".webp"):
        write_streams(pictures_file("webp-60"), names, coded, "Pillow", suffix=suffix)
        return serve_codec("webp-60", net, batches)

    assert serve(coded).bytes_N.tolist() == [len(x) for x in coded]
    with pytest.raises(ArtifactError, match=r"webp-60\.zip: a picture of 9 bytes cannot be dec"):
        serve([coded[0], bytes(9)])
    with pytest.raises(ArtifactError, match="is of other frames than"):
        serve(coded, ("other", "frames"))
    with pytest.raises(ArtifactError, match="is no bitstream"):
        serve(coded, suffix=".jpeg")


def test_a_chart_joins_the_points_that_no_other_dominates() -> None:
    rate = {"png": 4.0, "jpeg-60": 2.5, "png@5": 2.0, "png@2": 1.0}
    miou = {"png": 0.5, "jpeg-60": 0.3, "png@5": 0.49, "png@2": 0.2}
    psnr = {"png": 20.0, "jpeg-60": 20.5, "png@5": 17.0, "png@2": 17.0}
    values = {x: {"bpfe": rate[x], "miou": miou[x], "psnr": psnr[x]} for x in rate}
    found = dict(zip(rate, curves(values), strict=True))
    assert {x: at["bpfe"] for x, at in found.items()} == rate
    assert [x for x, at in found.items() if "miou" in at] == ["png", "png@5", "png@2"]
    # JPEG-60 dominates the first point here, which stays because the table of runs shows it.
    assert [x for x, at in found.items() if "psnr" in at] == ["png", "jpeg-60", "png@2"]
