"""The rate loss against equations 1 to 5 written out in loops."""

import warnings

import numpy as np
import pytest
import torch
from scipy.fft import dctn

from pipeline.coding.forms import FORMS, RateForm
from pipeline.coding.rate import (
    in_units,
    rate_in_form,
    rate_loss,
    rate_per_image,
    to_deviations,
    to_unit_range,
)

SHAPES = [(2, 3, 4, 8), (1, 1, 1, 1), (3, 2, 5, 3), (2, 4, 1, 7), (1, 5, 16, 1), (1, 2, 8, 16)]


def expected_rate(features_Chw, prediction=True, transform=True):
    """L_r of one image from the definition: loops for the residual, scipy for the transform."""
    total = 0.0
    for channel in features_Chw:
        residual = channel.copy()
        if prediction:
            for y, x in np.ndindex(channel.shape):
                left = channel[y, x - 1] if x else 0
                above = channel[y - 1, x] if y else 0
                residual[y, x] = ((channel[y, x] - left) + (channel[y, x] - above)) / 2
        total += np.abs(dctn(residual, norm="ortho") if transform else residual).sum()
    return total / features_Chw.size


def some_features(shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("transform", [True, False])
@pytest.mark.parametrize("prediction", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_rate_is_the_definition(shape, prediction, transform, layout):
    features_BChw = some_features(shape)
    expected = [expected_rate(image, prediction, transform) for image in features_BChw.numpy()]
    features_BChw = features_BChw.contiguous(memory_format=layout)
    rate_B = rate_per_image(features_BChw, prediction, transform)
    np.testing.assert_allclose(rate_B, expected, rtol=1e-12)
    loss = rate_loss(features_BChw, prediction, transform)
    np.testing.assert_allclose(loss, np.mean(expected), rtol=1e-12)
    loss = rate_loss(features_BChw.float(), prediction, transform)
    np.testing.assert_allclose(loss, np.mean(expected), rtol=1e-5)


def test_a_case_worked_out_by_hand():
    """Z of [[1, 2], [3, 5]] is [[1, 1.5], [2.5, 2.5]]; its DCT 3.75, -0.25, -1.25, 0.25."""
    features_BChw = torch.tensor([[[[1.0, 2.0], [3.0, 5.0]]]])
    assert rate_loss(features_BChw).item() == pytest.approx(5.5 / 4)
    assert rate_loss(features_BChw, transform=False).item() == pytest.approx(7.5 / 4)


@pytest.mark.parametrize("transform", [True, False])
@pytest.mark.parametrize("prediction", [True, False])
def test_the_gradient_is_that_of_the_rate(prediction, transform):
    features_BChw = some_features((2, 3, 3, 5)).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: rate_per_image(x, prediction, transform), (features_BChw,)
    )
    assert torch.autograd.gradcheck(lambda x: rate_loss(to_unit_range(x)), (features_BChw,))


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_the_derivative_at_zero_is_one(zero):
    """With every coefficient 0, L_r grows along F as the plain sum of coefficients does."""
    features_BChw = torch.full((2, 3, 4, 5), zero, dtype=torch.float64, requires_grad=True)
    rate_loss(features_BChw).backward()
    expected = np.empty((4, 5))
    for y, x in np.ndindex(4, 5):
        unit = np.zeros((4, 5))
        unit[y, x] = 1
        residual = unit.copy()
        residual[:, 1:] -= unit[:, :-1] / 2
        residual[1:] -= unit[:-1] / 2
        expected[y, x] = dctn(residual, norm="ortho").sum() / features_BChw.numel()
    for image in features_BChw.grad:
        for channel in image:
            np.testing.assert_allclose(channel, expected, atol=1e-15)


def test_the_rate_of_levels_does_not_depend_on_the_scale_of_the_features():
    features_BChw = some_features((2, 3, 4, 5))
    rate = rate_per_image(to_unit_range(features_BChw))
    shifted = rate_per_image(to_unit_range(7 * features_BChw - 3))
    torch.testing.assert_close(shifted, rate)


def test_the_unit_range_is_each_image_between_its_extremes():
    features_BChw = some_features((3, 2, 4, 5), torch.float32)
    for image, unit in zip(features_BChw, to_unit_range(features_BChw), strict=True):
        low, high = image.min(), image.max()
        torch.testing.assert_close(unit, (image - low) / (high - low))
        assert (unit.min(), unit.max()) == (0, 1)


def test_the_rate_of_deviations_depends_on_neither_scale_nor_range():
    features_BChw = some_features((2, 3, 4, 5))
    rate = rate_per_image(to_deviations(features_BChw))
    torch.testing.assert_close(rate_per_image(to_deviations(7 * features_BChw)), rate)
    # One far value stretches the range: in its units L_r falls, in deviations it does not.
    stretched = features_BChw.clone()
    stretched[:, 0, 0, 0] = 3 * features_BChw.amax((1, 2, 3))
    assert (
        rate_per_image(to_unit_range(stretched)) < rate_per_image(to_unit_range(features_BChw))
    ).all()
    assert (rate_per_image(to_deviations(stretched)) > 0.8 * rate).all()


def test_deviations_are_each_images_own():
    features_BChw = some_features((3, 2, 4, 5), torch.float32)
    for image, unit in zip(features_BChw, to_deviations(features_BChw), strict=True):
        torch.testing.assert_close(unit, image / image.std(correction=0))
    assert torch.autograd.gradcheck(
        lambda x: rate_loss(to_deviations(x)), (some_features((2, 2, 3, 4)).requires_grad_(),)
    )


@pytest.mark.parametrize("value", [0.0, 3.0, -1e30])
def test_an_image_of_one_value_has_a_finite_gradient_in_deviations(value):
    features_BChw = torch.full((2, 3, 4, 5), value)
    features_BChw[0] = some_features((3, 4, 5), torch.float32)
    features_BChw.requires_grad_()
    rate_loss(to_deviations(features_BChw)).backward()
    assert features_BChw.grad.isfinite().all()


@pytest.mark.parametrize("value", [0.0, 3.0, -1e30])
def test_a_constant_image_is_zero_with_a_finite_gradient(value):
    features_BChw = torch.full((2, 3, 4, 5), value)
    features_BChw[0] = some_features((3, 4, 5), torch.float32)
    features_BChw.requires_grad_()
    unit_BChw = to_unit_range(features_BChw)
    rate_loss(unit_BChw).backward()
    assert not unit_BChw[1].any()
    assert features_BChw.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_autocast_does_not_cost_precision(dtype):
    features_BChw = some_features((2, 3, 4, 8)).to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = rate_loss(to_unit_range(features_BChw))
    exact = rate_loss(to_unit_range(features_BChw.double()))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)
    assert features_BChw.grad.dtype == dtype


def test_the_rate_compiles_whole_and_without_a_warning():
    def step(features_BChw):
        return rate_loss(to_unit_range(features_BChw))

    compiled = torch.compile(step, backend="eager", fullgraph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for shape in [(4, 3, 9, 11), (2, 3, 6, 11)]:
            features_BChw = some_features(shape, torch.float32).requires_grad_()
            (gradient,) = torch.autograd.grad(compiled(features_BChw), features_BChw)
            (expected,) = torch.autograd.grad(step(features_BChw), features_BChw)
            torch.testing.assert_close(gradient, expected)


def test_training_may_follow_a_validation_that_asked_first():
    features_BChw = some_features((1, 2, 13, 7), torch.float32)
    with torch.inference_mode():
        rate_loss(features_BChw)
    rate_loss(features_BChw.requires_grad_()).backward()
    assert features_BChw.grad.isfinite().all()


def test_features_without_a_batch_are_refused():
    with pytest.raises(ValueError, match="B x C x h x w"):
        rate_loss(torch.zeros(2, 3, 4))


def in_units_by_hand(image_Chw, of):
    """One image in a unit, from the words of `UNITS`."""
    if of == "levels":
        return (image_Chw - image_Chw.min()) / (image_Chw.max() - image_Chw.min())
    return image_Chw / image_Chw.std() if of == "deviation" else image_Chw


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_form_is_the_definition_in_its_unit(form):
    # The range of the features is below 1.
    features_BChw = some_features((2, 3, 4, 5)) / 16
    units = [in_units_by_hand(image, form.of) for image in features_BChw.numpy()]
    np.testing.assert_allclose(in_units(features_BChw, form.of), units, rtol=1e-12)
    expected = [expected_rate(unit, form.prediction, form.transform) for unit in units]
    np.testing.assert_allclose(rate_in_form(features_BChw, form), expected, rtol=1e-12)


def test_a_rate_is_predicted_and_transformed_unless_told_otherwise():
    features_BChw = some_features((2, 3, 4, 5))
    expected = rate_in_form(features_BChw, RateForm("features", True, True))
    assert torch.equal(rate_per_image(features_BChw), expected)


def test_an_image_of_one_value_is_left_as_it_is_in_deviations():
    features_BChw = torch.full((1, 2, 3, 4), 3.0)
    assert torch.equal(to_deviations(features_BChw), features_BChw)


def test_the_forms_are_all_that_there_are_each_with_a_name_of_its_own():
    assert len({str(form) for form in FORMS}) == 3 * 2 * 2
    assert str(RateForm("levels", True, True)) == "levels-prediction-transform"
    assert str(RateForm("features", False, True)) == "features-transform"
    assert str(RateForm("deviation", False, False)) == "deviation"
    # The order in which diagnostics are written.
    assert FORMS[0] == RateForm("levels", True, True)
    assert FORMS[-1] == RateForm("deviation", False, False)
