"""The edge half: features of all frames in order, and bitstreams of them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.made_up import features_of, noise_frames
from pipeline.coding.bitstream import (
    BitstreamError,
    decode_features,
    decode_levels,
    encode_features,
    encode_fitted,
)
from pipeline.coding.codecs import CodecError
from pipeline.coding.fit import fit_points
from pipeline.coding.points import Point, read_point
from pipeline.coding.quantizer import quantize
from pipeline.data.batches import Batches
from pipeline.inference import cloud, edge
from pipeline.nets.split import SplitNet
from pipeline.source import in_order


def test_features_are_those_of_each_frame_alone(tmp_path: Path) -> None:
    """More frames than a batch, and a last batch that is not full."""
    count = edge.BATCH + 3
    frames = noise_frames(tmp_path / "val", count, width=64, height=32)
    torch.manual_seed(0)
    net = SplitNet("encoder2", ["reconstruction"]).eval()
    parts = list(edge.features(net, Batches(frames, device="cpu")))
    assert [len(part) for part in parts] == [edge.BATCH, 3]
    assert not parts[0].requires_grad
    found_NChw = torch.cat(parts)
    for index in (0, edge.BATCH, count - 1):
        image_13HW = torch.from_numpy(np.array(frames.image_NHW3[index])).permute(2, 0, 1)[None]
        with torch.no_grad():
            alone_Chw = net.front(image_13HW / 255)[0]
        torch.testing.assert_close(found_NChw[index], alone_Chw, rtol=1e-4, atol=1e-5)
    some = torch.cat(list(edge.features(net, Batches(frames, device="cpu"), np.array([2, 9]))))
    torch.testing.assert_close(some, found_NChw[[2, 9]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("bits", "codec"), [(8, "png"), (5, "png"), (8, "jpeg-80"), (4, "jpeg-80")]
)
def test_a_bitstream_per_image_in_order(bits: int, codec: str) -> None:
    features_NChw = features_of((5, 6, 4, 8))
    streams = edge.encode(features_NChw, Point(codec, bits))
    assert streams == [encode_features(x, bits, codec) for x in features_NChw]
    if codec == "png":
        for stream, features_Chw in zip(streams, features_NChw, strict=True):
            expected = quantize(features_Chw, bits)
            np.testing.assert_array_equal(decode_levels(stream).levels_Chw, expected.levels_Chw)


@pytest.mark.parametrize("name", ["table@4", "table/0.5", "klt/0.5"])
def test_a_fitted_point_is_coded_and_decoded_with_what_both_halves_know(name: str) -> None:
    features_NChw, point = features_of((5, 6, 4, 8)), read_point(name, 8)
    fitted = fit_points([features_NChw], {name: point})[name]
    streams = edge.encode(features_NChw, point, fitted, 99.0)
    assert streams == [encode_fitted(x, fitted, 99.0) for x in features_NChw]
    (found_NChw,) = cloud.decode(streams, (6, 4, 8), torch.device("cpu"), fitted)
    expected_NChw = np.stack([decode_features(x, fitted) for x in streams])
    np.testing.assert_array_equal(found_NChw.numpy(), expected_NChw)
    with pytest.raises(BitstreamError, match="bitstream 0: a bitstream of the tables"):
        list(cloud.decode(streams, (6, 4, 8), torch.device("cpu")))


def test_what_cannot_be_coded_is_said() -> None:
    features_NChw = features_of((2, 4, 4, 4))
    with pytest.raises(CodecError, match="no codec 'bpg'"):
        edge.encode(features_NChw, Point("bpg", 8))
    with pytest.raises(CodecError, match="at most 8 bits"):
        edge.encode(features_NChw, Point("jpeg-90", 10))
    features_NChw[1, 2, 0, 3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        edge.encode(features_NChw, Point("png", 8))


def test_coding_starts_without_torch(repository: Path) -> None:
    code = "import sys, pipeline.inference.edge; print({'torch', 'pandas'} & {*sys.modules})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, cwd=repository, capture_output=True, text=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("frames", "batch", "world"), [(10, 4, 1), (8, 4, 1), (7, 3, 2), (1, 4, 3)]
)
def test_every_frame_is_drawn_once_by_one_process(frames: int, batch: int, world: int) -> None:
    orders = [in_order(frames, batch, rank=rank, world=world) for rank in range(world)]
    assert all(len(part) <= batch for order in orders for part in order)
    for order in orders:
        drawn = [int(i) for part in order for i in part]
        assert drawn == sorted(drawn)
    everyone = sorted(int(i) for order in orders for part in order for i in part)
    assert everyone == list(range(frames))
