"""Predictions whose scores are known: the truth itself, and constants."""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.artifacts import Coded, Sums
from pipeline.data.batches import Batch
from pipeline.inference import cloud
from pipeline.inference.edge import BATCH
from pipeline.labels import VOID
from pipeline.scoring.coded import per_image, rates_and_scores
from pipeline.scoring.metrics import SCORES

IMAGES = BATCH + 2


class Frames:
    """Frames to serve, from memory."""

    def __init__(self, truth: Batch) -> None:
        self.truth = truth

    def __len__(self) -> int:
        return len(self.truth.image_B3HW)

    def over(self, order: Sequence[np.ndarray]) -> Iterator[Batch]:
        for indices in order:
            yield Batch(*(x[torch.from_numpy(indices)] for x in self.truth if x is not None))


class Net:
    """A back of a network whose features are the numbers of the frames."""

    def __init__(self, back: Callable[[Tensor], dict[str, Tensor]]) -> None:
        self.back = back


pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def sums_of(truth: Batch, back: Callable[[Tensor], dict[str, Tensor]]) -> dict[str, Sums]:
    """The sums over the frames of what `back` predicts, served as bitstreams are."""
    features = torch.arange(len(truth.image_B3HW)).split(BATCH)
    return dict(cloud.serve(Net(back), Frames(truth), features).sums)  # type: ignore[arg-type]


def perfect_sums() -> dict[str, Sums]:
    rng = torch.Generator().manual_seed(0)
    label_BHW = torch.randint(0, 19, (IMAGES, 6, 8), generator=rng)
    label_BHW[torch.rand(label_BHW.shape, generator=rng) < 0.2] = VOID
    disparity_BHW = 126 * torch.rand(IMAGES, 6, 8, generator=rng)
    disparity_BHW[torch.rand(disparity_BHW.shape, generator=rng) < 0.2] = 0
    truth = Batch(torch.rand(IMAGES, 3, 6, 8, generator=rng), label_BHW, disparity_BHW)
    known_BHW = torch.where(label_BHW == VOID, 0, label_BHW)
    logits_BKHW = functional.one_hot(known_BHW, 19).movedim(-1, 1).float()
    return sums_of(
        truth,
        lambda frames_B: {
            "segmentation": logits_BKHW[frames_B],
            "disparity": disparity_BHW[frames_B, None],
            "reconstruction": truth.image_B3HW[frames_B],
        },
    )


PERFECT = perfect_sums()
BULK_N = np.random.default_rng(0).integers(500, 2000, IMAGES)


def test_the_truth_has_the_best_scores_there_are() -> None:
    values = rates_and_scores(Coded(np.zeros(IMAGES), BULK_N, PERFECT), 128)
    assert (values["miou"], values["irmse"], values["psnr"]) == (1, math.inf, math.inf)
    assert not PERFECT["disparity"]["disparity_squared_error"].any()
    assert PERFECT["disparity"]["disparity_pixels"].all()
    # What cannot be drawn over images is not there.
    of_images = per_image(Coded(np.zeros(IMAGES), BULK_N, PERFECT), 128)
    assert (of_images["miou"] == 1).all()
    assert np.isnan([of_images["irmse"], of_images["psnr"]]).all()


def test_constants_have_the_scores_worked_out_by_hand() -> None:
    truth = Batch(
        torch.tensor([[0.25, 0.75], [1.0, 0.5]]).repeat(2, 3, 1, 1),
        torch.tensor([[[0, 0], [1, VOID]], [[0, 1], [2, 0]]]),
        torch.tensor([[[0.0, 3.0], [9.0, 5.0]], [[6.0, 0.0], [0.0, 0.0]]]),
    )
    truth.image_B3HW[1] = 1.0

    def constants(frames_B: Tensor) -> dict[str, Tensor]:
        size = (len(frames_B), 1, 2, 2)
        logits_BKHW = torch.zeros(len(frames_B), 19, 2, 2)
        logits_BKHW[:, 0] = 1
        return {
            "segmentation": logits_BKHW,
            "disparity": torch.full(size, 5.0),
            "reconstruction": torch.full((len(frames_B), 3, 2, 2), 0.5),
        }

    sums = sums_of(truth, constants)
    # Class 0 everywhere: 4 hits of 7 pixels that are not void; classes 1 and 2 are never hit.
    assert SCORES["segmentation"].compute(sums["segmentation"]) == pytest.approx((4 / 7) / 3)
    # Errors of 2, 4 and 0 pixels in the first image, of 1 pixel in the second.
    rmse = [math.sqrt((4 + 16 + 0) / 3), 1.0]
    assert SCORES["disparity"].compute(sums["disparity"]) == pytest.approx(2 / sum(rmse))
    # Squares of 1/4, 1/4, 1/2, 0 in the first image: MSE 3/32. In the second 1/4.
    psnr = [10 * math.log10(32 / 3), 10 * math.log10(4)]
    found = SCORES["reconstruction"].compute(sums["reconstruction"])
    assert found == pytest.approx(sum(psnr) / 2)
