"""The cloud half: features out of bitstreams, and sums of what the net makes of them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.made_up import features_of, noise_frames
from pipeline.coding.bitstream import BitstreamError, decode_features
from pipeline.coding.points import Point
from pipeline.data.batches import Batches
from pipeline.inference import cloud, edge
from pipeline.inference.pictures import PICTURES
from pipeline.nets.split import SplitNet
from pipeline.scoring.sums import SUMS

CPU = torch.device("cpu")
SHAPE = (6, 4, 8)
PNG = Point("png", 8)
TASKS = ("segmentation", "disparity", "reconstruction")


@pytest.mark.parametrize("count", [1, edge.BATCH, edge.BATCH + 1, 2 * edge.BATCH + 3])
def test_decoded_features_come_in_order(count: int) -> None:
    streams = edge.encode(features_of((count, *SHAPE)), PNG)
    found = list(cloud.decode(streams, SHAPE, CPU))
    assert all(len(part) == edge.BATCH for part in found[:-1])
    expected = np.stack([decode_features(stream) for stream in streams])
    np.testing.assert_array_equal(torch.cat(found).numpy(), expected)


def test_no_bitstream_gives_no_features() -> None:
    assert list(cloud.decode([], SHAPE, CPU)) == []


def test_a_bad_bitstream_is_named_by_its_place() -> None:
    streams = edge.encode(features_of((10, *SHAPE)), PNG)
    cut = [*streams[:9], streams[9][:-5]]
    with pytest.raises(BitstreamError, match=r"bitstream 9: a damaged bitstream"):
        list(cloud.decode(cut, SHAPE, CPU))
    other = [*streams[:3], *edge.encode(features_of((1, 6, 4, 4)), PNG)]
    with pytest.raises(BitstreamError, match=r"bitstream 3 holds features of shape \(6, 4, 4\)"):
        list(cloud.decode(other, SHAPE, CPU))


def test_sums_and_pictures_are_those_of_each_frame_alone(tmp_path: Path) -> None:
    count, shown = edge.BATCH + 2, edge.BATCH + 1
    frames = noise_frames(tmp_path / "val", count, width=64, height=32)
    torch.manual_seed(0)
    net = SplitNet("encoder2", TASKS).eval()
    batches = Batches(frames, device="cpu")
    served = cloud.serve(net, batches, edge.features(net, batches), shown=shown)
    assert list(served.sums) == list(TASKS)
    with torch.no_grad():
        for index in (0, edge.BATCH, count - 1):
            batch = batches.take(np.array([index]))
            for task, prediction in net.back(net.front(batch.image_B3HW)).items():
                for name, alone_1 in SUMS[task](prediction, batch).items():
                    found = served.sums[task][name][index].astype(float)
                    # An argmax between two near-equal logits may fall either way.
                    slack = {"rtol": 1e-3, "atol": 3 if name == "confusion" else 1e-6}
                    np.testing.assert_allclose(found, alone_1[0].numpy(), **slack)
                if index < shown:
                    drawn = PICTURES[task].of_prediction(prediction)[0].astype(int)
                    off = np.abs(served.pictures[task][index] - drawn).max(-1) > 2
                    assert off.mean() < 0.01, task
    assert {task: len(x) for task, x in served.pictures.items()} == dict.fromkeys(TASKS, shown)


def test_features_of_fewer_frames_are_refused(tmp_path: Path) -> None:
    frames = noise_frames(tmp_path / "val", edge.BATCH + 1, width=64, height=32)
    net = SplitNet("encoder2", TASKS).eval()
    batches = Batches(frames, device="cpu")
    first = next(iter(edge.features(net, batches)))
    with pytest.raises(ValueError, match="zip"):
        cloud.serve(net, batches, [first])
