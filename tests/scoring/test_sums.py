"""Per-image sums against explicit loops."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.scoring.sums import SUMS, collect, sums_of

CLASSES = 19


class Truth(NamedTuple):
    image_B3HW: Tensor
    label_BHW: Tensor
    disparity_BHW: Tensor | None


def truth(batch: int = 3, height: int = 5, width: int = 7, seed: int = 0) -> Truth:
    generator = torch.Generator().manual_seed(seed)
    label_BHW = torch.randint(0, CLASSES + 4, (batch, height, width), generator=generator)
    disparity_BHW = 100 * torch.rand(batch, height, width, generator=generator)
    return Truth(
        torch.rand(batch, 3, height, width, generator=generator),
        label_BHW.masked_fill(label_BHW >= CLASSES, 255),
        disparity_BHW.masked_fill(disparity_BHW < 15, 0),
    )


def predictions(of: Truth, seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    batch, height, width = of.label_BHW.shape
    return {
        "segmentation": torch.randn(batch, CLASSES, height, width, generator=generator),
        "disparity": 100 * torch.rand(batch, 1, height, width, generator=generator),
        "reconstruction": 1.5 * torch.rand(batch, 3, height, width, generator=generator) - 0.25,
    }


def all_sums(of: Truth, predicted: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for task in SUMS for name, value in SUMS[task](predicted[task], of).items()}


def test_confusion_equals_a_loop_over_pixels() -> None:
    batch = truth()
    logits = predictions(batch)["segmentation"]
    expected = np.zeros((3, CLASSES, CLASSES), np.int64)
    for b, y, x in np.ndindex(batch.label_BHW.shape):
        label = int(batch.label_BHW[b, y, x])
        if label != 255:
            expected[b, label, int(logits[b, :, y, x].argmax())] += 1
    confusion = SUMS["segmentation"](logits, batch)["confusion"]
    assert confusion.dtype == torch.int64
    np.testing.assert_array_equal(confusion.numpy(), expected)


def test_squared_errors_equal_a_loop_over_pixels() -> None:
    batch = truth()
    predicted = predictions(batch)
    sums = all_sums(batch, predicted)
    assert batch.disparity_BHW is not None
    for b in range(3):
        errors = [
            (float(predicted["disparity"][b, 0, y, x]) - float(batch.disparity_BHW[b, y, x])) ** 2
            for y, x in np.ndindex(5, 7)
            if batch.disparity_BHW[b, y, x] > 0
        ]
        assert float(sums["disparity_squared_error"][b]) == pytest.approx(sum(errors), rel=1e-6)
        assert int(sums["disparity_pixels"][b]) == len(errors)
        errors = [
            (min(max(float(p), 0.0), 1.0) - float(t)) ** 2
            for p, t in zip(
                predicted["reconstruction"][b].flatten(), batch.image_B3HW[b].flatten(), strict=True
            )
        ]
        assert float(sums["image_squared_error"][b]) == pytest.approx(sum(errors), rel=1e-6)
        assert int(sums["image_values"][b]) == 3 * 5 * 7
    assert sums["disparity_squared_error"].dtype == torch.float64
    assert sums["image_squared_error"].dtype == torch.float64


def test_the_sums_of_batches_are_joined_by_task() -> None:
    whole = truth()
    predicted = predictions(whole)
    parts = [slice(0, 2), slice(2, 3)]
    of_batches = (
        sums_of({task: x[part] for task, x in predicted.items()}, Truth(*(x[part] for x in whole)))
        for part in parts
    )
    joined = collect(of_batches, len(whole.label_BHW))
    assert set(joined) == set(SUMS)
    for task, sums in joined.items():
        expected = SUMS[task](predicted[task], whole)
        assert set(sums) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(sums[name], value.numpy())


def test_sums_of_fewer_images_than_there_are_are_refused() -> None:
    whole = truth()
    with pytest.raises(ValueError, match="sums of 3 images, not of 4"):
        collect([sums_of(predictions(whole), whole)], 4)


def test_bf16_predictions_are_summed_in_full_precision() -> None:
    batch = truth(2, 64, 65)
    rounded = {task: value.bfloat16() for task, value in predictions(batch).items()}
    expected = all_sums(batch, {task: value.double() for task, value in rounded.items()})
    for name, value in all_sums(batch, rounded).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=0)


def test_void_only_image_sums_to_nothing() -> None:
    batch = truth(2)
    void = Truth(batch.image_B3HW, torch.full_like(batch.label_BHW, 255), torch.zeros(2, 5, 7))
    predicted = predictions(void)
    predicted["disparity"][:] = float("nan")
    sums = all_sums(void, predicted)
    for name in ("confusion", "disparity_squared_error", "disparity_pixels"):
        assert not sums[name].any()


def test_missing_disparity_is_an_error() -> None:
    batch = truth()
    with pytest.raises(ValueError, match="leave it out of tasks"):
        SUMS["disparity"](predictions(batch)["disparity"], batch._replace(disparity_BHW=None))


@pytest.mark.parametrize("task", SUMS)
def test_another_size_is_an_error(task: str) -> None:
    batch = truth()
    with pytest.raises(ValueError, match="must be equal"):
        SUMS[task](predictions(batch)[task][..., :-1], batch)


@pytest.mark.parametrize("label", [-1, 19, 33])
def test_label_outside_the_classes_is_an_error(label: int) -> None:
    batch = truth()
    batch.label_BHW[1, 2, 3] = label
    with pytest.raises(ValueError, match=rf"\[{label}\].*0 to 18"):
        SUMS["segmentation"](predictions(batch)["segmentation"], batch)


def test_a_disparity_below_one_pixel_is_valid() -> None:
    batch = truth(1, 1, 2)._replace(disparity_BHW=torch.tensor([[[0.25, 0.0]]]))
    sums = SUMS["disparity"](torch.full((1, 1, 1, 2), 2.25), batch)
    assert (int(sums["disparity_pixels"]), float(sums["disparity_squared_error"])) == (1, 4.0)


@pytest.mark.gpu
def test_cuda_gives_the_same_sums() -> None:
    batch = truth(4, 33, 65)
    predicted = predictions(batch)
    on_device = all_sums(
        Truth(*(field.cuda() for field in batch if field is not None)),
        {task: value.cuda() for task, value in predicted.items()},
    )
    expected = all_sums(batch, predicted)
    for name, value in on_device.items():
        assert value.is_cuda
        torch.testing.assert_close(value.cpu(), expected[name], rtol=1e-6, atol=0)
