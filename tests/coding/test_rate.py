"""The rate loss against equations 1 to 5 written out in loops."""

import warnings

import numpy as np
import pytest
import torch
from scipy.fft import dctn

from pipeline.coding.forms import FORMS, UNITS, RateForm
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
    for unit in UNITS:
        assert torch.autograd.gradcheck(
            lambda x, unit=unit: rate_loss(in_units(x, unit), prediction, transform),
            (features_BChw,),
        )


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


@pytest.mark.parametrize("value", [0.0, 3.0, -1e30])
@pytest.mark.parametrize("in_unit", [to_unit_range, to_deviations])
def test_an_image_of_one_value_has_a_finite_gradient(value, in_unit):
    features_BChw = torch.full((2, 3, 4, 5), value)
    features_BChw[0] = some_features((3, 4, 5), torch.float32)
    features_BChw.requires_grad_()
    unit_BChw = in_unit(features_BChw)
    rate_loss(unit_BChw).backward()
    assert (unit_BChw[1] == (0 if in_unit is to_unit_range else value)).all()
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


def test_other_shapes_and_units_are_refused():
    with pytest.raises(ValueError, match="B x C x h x w"):
        rate_loss(torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match="'pixels'; allowed: levels, features, deviation"):
        in_units(torch.zeros(1, 2, 3, 4), "pixels")


def in_units_by_hand(image_Chw, unit):
    """One image in a unit, from the words of `UNITS`."""
    if unit == "levels":
        return (image_Chw - image_Chw.min()) / (image_Chw.max() - image_Chw.min())
    return image_Chw / image_Chw.std() if unit == "deviation" else image_Chw


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_form_is_the_definition_in_its_unit(form):
    # The range of the features is below 1.
    features_BChw = some_features((2, 3, 4, 5)) / 16
    with torch.inference_mode():  # what validation builds serves training too
        rate_in_form(features_BChw, form)
    rate_in_form(features_BChw.clone().requires_grad_(), form).sum().backward()
    units = [in_units_by_hand(image, form.unit) for image in features_BChw.numpy()]
    np.testing.assert_allclose(in_units(features_BChw, form.unit), units, rtol=1e-12)
    expected = [expected_rate(unit, form.prediction, form.transform) for unit in units]
    np.testing.assert_allclose(rate_in_form(features_BChw, form), expected, rtol=1e-12)


def test_each_form_has_a_name_of_its_own():
    assert len({str(form) for form in FORMS}) == 3 * 2 * 2
    assert str(RateForm("levels", True, True)) == "levels-prediction-transform" == str(FORMS[0])
    assert str(RateForm("features", False, True)) == "features-transform"
    assert str(RateForm("deviation", False, False)) == "deviation"
