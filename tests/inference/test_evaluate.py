"""What one point costs and how it is served, against the parts done by hand."""

import numpy as np
import pytest
import torch

from benchmarks.made_up import noise_frames
from pipeline.coding.bitstream import BitstreamError, decode_features, read_header
from pipeline.coding.pictures import decode_picture, encode_picture
from pipeline.coding.points import Point
from pipeline.data.batches import Batches
from pipeline.inference import edge
from pipeline.inference.evaluate import serve_pictures, serve_streams, serve_uncoded
from pipeline.nets.split import SplitNet
from pipeline.scoring.metrics import SCORES
from pipeline.scoring.sums import SUMS
from tests.support.tiny_training import TASKS, tiny_net

COUNT = edge.BATCH + 2
SHAPE = (8, 8, 16)


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Batches:
    folder = tmp_path_factory.mktemp("evaluate") / "val"
    return Batches(noise_frames(folder, COUNT, width=64, height=32), device="cpu")


@pytest.fixture(scope="module")
def net() -> SplitNet:
    torch.manual_seed(0)
    return tiny_net().eval()


def assert_served(found: dict, predictions: dict, batches: Batches) -> None:
    """The sums are those of predictions made at once, by score: near-equal logits may swap."""
    truth = batches.take(np.arange(COUNT))
    assert list(found) == list(TASKS)
    for task, prediction in predictions.items():
        expected = {k: x.numpy() for k, x in SUMS[task](prediction, truth).items()}
        score = SCORES[task].compute
        assert score(found[task]) == pytest.approx(score(expected), rel=1e-3), task


@torch.no_grad()
def test_a_point_is_served_as_its_bitstreams_say(net: SplitNet, batches: Batches) -> None:
    image_B3HW = batches.take(np.arange(COUNT)).image_B3HW
    features_NChw = net.front(image_B3HW)
    assert_served(serve_uncoded(net, batches), net.back(features_NChw), batches)
    streams = edge.encode(features_NChw.numpy(), Point("png", 3))
    coded, pictures = serve_streams(net, batches, streams, Point("png", 3), SHAPE, shown=3)
    assert coded.header_N.tolist() == [read_header(x).size for x in streams]
    assert coded.bytes_N.tolist() == [len(x) for x in streams]
    decoded_NChw = torch.from_numpy(np.stack([decode_features(x) for x in streams]))
    assert_served(dict(coded.sums), net.back(decoded_NChw), batches)
    assert {task: x.shape for task, x in pictures.items()} == dict.fromkeys(TASKS, (3, 32, 64, 3))


@torch.no_grad()
def test_streams_of_another_point_or_shape_are_refused(net: SplitNet, batches: Batches) -> None:
    streams = edge.encode(np.zeros((COUNT, *SHAPE), np.float32), Point("png", 3))
    with pytest.raises(BitstreamError, match="bitstream 0 is coded by png at 3 bits, not by png"):
        serve_streams(net, batches, streams, Point("png", 4), SHAPE, shown=0)
    with pytest.raises(BitstreamError, match=r"bitstream 0 holds features of shape \(8, 8, 16\)"):
        serve_streams(net, batches, streams, Point("png", 3), (8, 8, 8), shown=0)


@torch.no_grad()
def test_a_coded_picture_is_served_by_the_whole_net_and_is_its_own_reconstruction(
    net: SplitNet,
    batches: Batches,
) -> None:
    pictures = [encode_picture(x, "webp-60") for x in batches.frames.image_NHW3]
    coded = serve_pictures(net, batches, pictures)
    assert set(coded.header_N) <= {20, 21}
    assert coded.bytes_N.tolist() == [len(x) for x in pictures]
    arrived_NHW3 = torch.from_numpy(np.stack([decode_picture(x) for x in pictures]))
    arrived_N3HW = arrived_NHW3.permute(0, 3, 1, 2).float() / 255
    predictions = dict(net(arrived_N3HW).predictions, reconstruction=arrived_N3HW)
    assert_served(dict(coded.sums), predictions, batches)
