"""The channel against its own definition, and senders against what arrives, worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.made_up import noise_frames
from commands.packet_loss import Cloud, lost_packets, whole
from pipeline.artifacts import Coded
from pipeline.coding.fit import fit_points
from pipeline.coding.points import read_point
from pipeline.coding.slices import PACKET, decode_slices, encode_slices
from pipeline.data.batches import Batches
from pipeline.report.colours import Style
from pipeline.scoring.sums import SUMS, collect, sums_of
from tests.support.tiny_training import TASKS, tiny_net

COUNT = 5


@pytest.mark.parametrize("loss", [0.01, 0.1, 0.2])
@pytest.mark.parametrize("burst", [1, 5])
def test_the_channel_loses_what_it_should_in_bursts_as_long_as_they_should_be(
    loss: float, burst: int
) -> None:
    count = 400_000
    lost = lost_packets(count, loss, burst, seed=0)
    starts = np.flatnonzero(np.diff(lost.astype(int), prepend=0) == 1)
    bursts = len(starts)
    # Lengths are geometric, with the deviation sqrt(burst (burst - 1)), as are the gaps.
    assert lost.sum() / bursts == pytest.approx(burst, abs=5 * burst / bursts**0.5)
    assert lost.mean() == pytest.approx(loss, rel=5 * (2 / bursts) ** 0.5)
    np.testing.assert_array_equal(lost, lost_packets(count, loss, burst, seed=0))
    assert (lost != lost_packets(count, loss, burst, seed=1)).any()


def test_nothing_is_lost_without_loss() -> None:
    assert not lost_packets(1000, 0.0, 5, seed=0).any()


def test_a_frame_needs_each_of_its_packets_and_no_other() -> None:
    size_N = np.array([PACKET, PACKET + 1, 3 * PACKET, 1])
    sums = {"disparity": {"disparity_squared_error": np.array([1.0, 2.0, 3.0, 4.0])}}
    nothing = {"disparity": {"disparity_squared_error": np.full(4, 9.0)}}
    sender = whole("it", Style("#000", (1, 0), "circle"), Coded(size_N * 0, size_N, sums), nothing)
    assert sender.packets_N.tolist() == [1, 2, 3, 1]
    lost_NP = np.array([[0, 1, 1], [0, 1, 0], [0, 0, 0], [1, 0, 0]], bool)
    found = sender.serve(lost_NP)["disparity"]["disparity_squared_error"]
    assert found.tolist() == [1.0, 9.0, 3.0, 9.0]


def test_slices_are_served_as_the_features_that_arrive(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = tiny_net().eval()
    batches = Batches(noise_frames(tmp_path / "val", COUNT, width=64, height=32), device="cpu")
    truth = batches.take(np.arange(COUNT))
    with torch.no_grad():
        features_NChw = net.front(truth.image_B3HW).numpy()
    fitted = fit_points([features_NChw], {"klt/0.2": read_point("klt/0.2", 8)})["klt/0.2"]
    slices_N = [encode_slices(x, fitted, 200) for x in features_NChw]
    count_N = [len(x) for x in slices_N]
    assert min(count_N) > 1

    def sums_for(lost_NP: np.ndarray) -> dict:
        arrived = [
            decode_slices([x for x, gone in zip(of, lost, strict=False) if not gone], fitted)
            for of, lost in zip(slices_N, lost_NP, strict=True)
        ]
        with torch.no_grad():
            predictions = net.back(torch.from_numpy(np.stack(arrived)))
        return collect([sums_of(predictions, truth)], COUNT)

    nothing_NP = np.zeros((COUNT, max(count_N)), bool)
    coded = Coded(np.zeros(COUNT), np.zeros(COUNT), sums_for(nothing_NP))
    cloud = Cloud(net, fitted, slices_N, coded, batches)
    generator = np.random.default_rng(0)
    for lost_NP in (nothing_NP, *(generator.random((3, *nothing_NP.shape)) < 0.4)):
        found, expected = cloud.serve(lost_NP), sums_for(lost_NP)
        assert list(found) == list(TASKS) == list(SUMS)
        for task, sums in expected.items():
            for key, value in sums.items():
                np.testing.assert_allclose(found[task][key], value, rtol=1e-4)
    assert (
        expected["disparity"]["disparity_squared_error"]
        != coded.sums["disparity"]["disparity_squared_error"]
    ).any()
