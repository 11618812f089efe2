"""Pictures of predictions and truths: colours mean what the legend says."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from torch import Tensor

from pipeline.inference.pictures import NO_TRUTH, PICTURES, disparity_colours, legend
from pipeline.labels import CLASSES, PALETTE
from pipeline.nets.decoder import DECODERS


class Truth(NamedTuple):
    image_B3HW: Tensor
    label_BHW: Tensor
    disparity_BHW: Tensor | None


def truth() -> Truth:
    generator = torch.Generator().manual_seed(0)
    label_BHW = torch.randint(0, 19, (2, 4, 6), generator=generator)
    label_BHW[0, 0] = 255
    disparity_BHW = 128 * torch.rand((2, 4, 6), generator=generator)
    disparity_BHW[1, 2] = 0
    return Truth(torch.rand((2, 3, 4, 6), generator=generator), label_BHW, disparity_BHW)


def test_every_task_has_a_picture() -> None:
    assert list(PICTURES) == list(DECODERS)


def test_classes_have_the_colours_of_the_palette() -> None:
    given = truth()
    logits_BKHW = torch.nn.functional.one_hot(given.label_BHW % 19, 19).permute(0, 3, 1, 2).float()
    found = PICTURES["segmentation"].of_prediction(logits_BKHW)
    np.testing.assert_array_equal(found, PALETTE[(given.label_BHW % 19).numpy()])
    of_truth = PICTURES["segmentation"].of_truth(given)
    assert (of_truth[0, 0] == 0).all()
    np.testing.assert_array_equal(of_truth[1], PALETTE[given.label_BHW[1].numpy()])
    colours = dict(PICTURES["segmentation"].legend)
    assert colours == {name: tuple(PALETTE[i]) for i, name in enumerate(CLASSES)} | {
        "void": (0, 0, 0)
    }


def test_disparity_goes_by_the_square_root_through_viridis() -> None:
    px = np.linspace(0, 200, 50)
    expected = colormaps["viridis"](np.sqrt(px.clip(0, 128) / 128), bytes=True)[..., :3]
    # Nine stops with straight lines between them, against 256 entries.
    off = np.abs(disparity_colours(px).astype(int) - expected)
    assert off.max() <= 20
    assert off.mean() <= 2


def test_a_disparity_that_is_not_known_is_grey_in_the_truth_alone() -> None:
    given = truth()
    of_truth = PICTURES["disparity"].of_truth(given)
    grey = (of_truth == NO_TRUTH[1]).all(-1)
    np.testing.assert_array_equal(grey, given.disparity_BHW.numpy() <= 0)
    predicted = PICTURES["disparity"].of_prediction(given.disparity_BHW[:, None] - 5)
    assert not (predicted == NO_TRUTH[1]).all(-1).any()


def test_a_picture_is_clipped_and_rounded() -> None:
    values = torch.tensor([-0.2, 0.5, 1.3])[None, :, None, None]
    assert PICTURES["reconstruction"].of_prediction(values).tolist() == [[[[0, 128, 255]]]]
    given = truth()
    image = (255 * given.image_B3HW.permute(0, 2, 3, 1)).round().to(torch.uint8).numpy()
    np.testing.assert_array_equal(PICTURES["reconstruction"].of_truth(given), image)


@pytest.mark.parametrize("task", PICTURES)
def test_a_legend_names_what_is_seen(task: str) -> None:
    given = truth()
    given.label_BHW[:] = 13
    truths = {task: PICTURES[task].of_truth(given)}
    found = legend(task, truths, {"png": {task: truths[task]}})
    if task == "segmentation":
        assert found == (("car", (0, 0, 142)),)
    else:
        assert found == PICTURES[task].legend
