"""Four frames all the way, room by room, without stages: frame to features to bits to scores."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.coding.bitstream import decode_features, encode_features
from pipeline.data.batches import Batches
from pipeline.data.frames import open_frames
from pipeline.data.prepare import prepare_split
from pipeline.nets.split import SplitNet
from pipeline.scoring.metrics import SCORES, bits_per_element
from pipeline.scoring.sums import SUMS
from pipeline.streets.write import write_streets

TASKS = ("segmentation", "disparity", "reconstruction")


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Batches:
    root: Path = tmp_path_factory.mktemp("release")
    write_streets(root, seed=5, train=1, val=4, width=128, height=64, workers=1)
    prepare_split(root, "val", root / "val", width=64, height=32, disparity=True, workers=1)
    return Batches(open_frames(root / "val"), device="cpu")


def test_scores_of_decoded_features_are_those_of_the_features(batches: Batches) -> None:
    """At 16 bits and without loss in the codec the detour over bits must not show."""
    torch.manual_seed(0)
    net = SplitNet("encoder2", TASKS).eval()
    batch = batches.take(np.arange(4))
    with torch.no_grad():
        features_BChw = net.front(batch.image_B3HW)
        streams = [encode_features(x, 16, "png") for x in features_BChw.numpy()]
        decoded_BChw = torch.from_numpy(np.stack([decode_features(x) for x in streams]))
        direct, detour = net.back(features_BChw), net.back(decoded_BChw)
    for task in TASKS:
        scores = [
            SCORES[task].compute({k: v.numpy() for k, v in SUMS[task](x[task], batch).items()})
            for x in (direct, detour)
        ]
        assert scores[0] == pytest.approx(scores[1], rel=1e-3)
        assert np.isfinite(scores[0])


def test_fewer_bits_cost_less_and_change_more(batches: Batches) -> None:
    torch.manual_seed(0)
    net = SplitNet("encoder2", TASKS).eval()
    with torch.no_grad():
        features_BChw = net.front(batches.take(np.arange(4)).image_B3HW).numpy()
    rates, errors = [], []
    for bits in (8, 6, 4, 2):
        streams = [encode_features(x, bits, "png") for x in features_BChw]
        sizes = np.array([len(x) for x in streams])
        rates.append(bits_per_element(sizes, elements=features_BChw[0].size))
        errors.append(
            np.abs(np.stack([decode_features(x) for x in streams]) - features_BChw).mean()
        )
    assert rates == sorted(rates, reverse=True)
    assert errors == sorted(errors)
