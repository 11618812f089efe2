"""The quantiser against exact fractions, and its noise while training."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pipeline.coding.quantizer import Levels, add_noise, clipped, dequantize, quantize

FEATURES = arrays(
    np.float32,
    array_shapes(min_dims=3, max_dims=3, max_side=5),
    elements=st.floats(-1e4, 1e4, width=32),
)


@given(features_Chw=FEATURES, bits=st.integers(1, 16))
def test_the_round_trip_is_off_by_half_a_step_at_most(features_Chw, bits):
    levels = quantize(features_Chw, bits)
    assert (levels.low, levels.high) == (features_Chw.min(), features_Chw.max())
    assert levels.levels_Chw.min() == 0
    assert levels.levels_Chw.max() == (0 if levels.low == levels.high else 2**bits - 1)
    back = dequantize(levels)
    assert levels.levels_Chw.dtype == (np.uint8 if bits <= 8 else np.uint16)
    assert back.dtype == np.float32
    half_a_step = (levels.high - levels.low) / (2**bits - 1) / 2
    float32_rounding = np.spacing(np.float32(max(abs(levels.low), abs(levels.high))))
    error = np.abs(back.astype(np.float64) - features_Chw)
    assert error.max() <= half_a_step * (1 + 1e-9) + float32_rounding
    assert (back.min(), back.max()) == (features_Chw.min(), features_Chw.max())


def test_levels_worked_out_by_hand():
    levels = quantize(np.array([[[-1.0, -0.8, 0.0, 0.49, 2.0]]]), bits=2)
    assert levels.levels_Chw.tolist() == [[[0, 0, 1, 1, 3]]]
    np.testing.assert_allclose(dequantize(levels), [[[-1, -1, 0, 0, 2]]], atol=1e-15)


@pytest.mark.parametrize("shape", [(101, 16, 32), (3, 100, 200), (16384, 1, 3)])
def test_an_image_of_many_features_is_quantised_as_one(shape):
    features_Chw = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    above = features_Chw.astype(np.float64) - features_Chw.min()
    assert (quantize(features_Chw, 8).levels_Chw == np.rint(above / above.max() * 255)).all()


@pytest.mark.parametrize("value", [0.0, -3.7, 1e-40, 3e38])
def test_a_constant_tensor_is_level_zero_and_comes_back_exactly(value):
    features_Chw = np.full((3, 2, 5), value, np.float32)
    levels = quantize(features_Chw, 8)
    assert not levels.levels_Chw.any()
    np.testing.assert_array_equal(dequantize(levels), features_Chw)


def test_the_whole_of_float32_is_a_range_and_no_more():
    extremes = np.array([[[-3.4e38, 0, 3.4e38]]], np.float32)
    np.testing.assert_array_equal(dequantize(quantize(extremes, 8))[..., ::2], extremes[..., ::2])
    with pytest.raises(ValueError, match="float32"):
        quantize(np.array([[[0.0, 1e39]]]), 8)


@settings(max_examples=30)
@given(arrays(np.float64, (1, 2, 3), elements=st.floats(-1e30, 1e30)))
def test_float64_features_keep_a_float32_range(features_Chw):
    levels = quantize(features_Chw, 16)
    assert levels.low == np.float32(features_Chw.min())
    assert levels.high == np.float32(features_Chw.max())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_an_error_that_says_where(bad):
    features_Chw = np.zeros((3, 4, 5), np.float32)
    features_Chw[1, 2, 3] = features_Chw[2, 0, 0] = bad
    with pytest.raises(ValueError, match=r"2 of 60 .* channel 1, row 2, column 3"):
        quantize(features_Chw, 8)


def levels_of(value, dtype=np.uint8):
    return np.full((1, 1, 1), value, dtype)


ONE = torch.zeros(1, 1, 1, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quantize(ONE[0].numpy(), 0), "1 to 16 bits, not 0"),
        (lambda: quantize(ONE[0].numpy(), 17), "1 to 16 bits, not 17"),
        (lambda: add_noise(ONE, noise="half-step", bits=17), "1 to 16 bits, not 17"),
        (lambda: add_noise(ONE, noise="gauss"), "half-step, fixed or none, not 'gauss'"),
        (lambda: add_noise(ONE, noise="fixed", amplitude=-1.0), "0 or more, not -1.0"),
        (lambda: Levels(levels_of(0, np.uint16), 0.0, 1.0, 8), "uint8"),
        (lambda: Levels(levels_of(0), 0.0, 1.0, 9), "uint16"),
        (lambda: Levels(levels_of(16), 0.0, 1.0, 4), "level 16 does not fit 4 bits"),
        (lambda: Levels(levels_of(0)[0], 0.0, 1.0, 8), "C x h x w"),
        (lambda: Levels(levels_of(0), 0.1, 1.0, 8), "float32 values"),
        (lambda: Levels(levels_of(0), 0.0, 1e300, 8), "float32 values"),
        (lambda: Levels(levels_of(0), float("nan"), 1.0, 8), "float32 values"),
        (lambda: Levels(levels_of(0), 2.0, 1.0, 8), "must not be above"),
        (lambda: quantize(np.zeros((4, 5)), 8), "C x h x w"),
        (lambda: quantize(np.zeros((0, 3, 3)), 8), "C x h x w"),
        (lambda: quantize(np.zeros((1, 2, 2)), 8, 50.0), "more than 50 and up to 100"),
        (lambda: quantize(np.zeros((1, 2, 2)), 8, 100.1), "more than 50 and up to 100"),
        (lambda: quantize(np.zeros((1, 2, 2)), 8, float("nan")), "more than 50 and up to 100"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_noise_fills_half_a_step_of_each_image_or_a_fixed_amplitude():
    features_BChw = torch.randn(3, 16, 8, 8) * torch.tensor([1.0, 10.0, 100.0]).view(3, 1, 1, 1)
    noise = add_noise(features_BChw, noise="half-step", bits=4) - features_BChw
    for image, difference in zip(features_BChw, noise, strict=True):
        half_a_step = (image.max() - image.min()) / 15 / 2
        assert 0.95 < difference.abs().max() / half_a_step < 1.001
        assert difference.mean().abs() < 0.1 * half_a_step
    noise = add_noise(torch.zeros(2, 16, 8, 8), noise="fixed", amplitude=0.002)
    assert 0.0019 < noise.abs().max() <= 0.002
    assert noise.min() < -0.0019


def test_nothing_to_do_is_the_tensor_itself():
    features_BChw = torch.randn(1, 2, 3, 4)
    assert add_noise(features_BChw, noise="none") is features_BChw
    assert clipped(features_BChw, 100.0) is features_BChw


@pytest.mark.parametrize("noise", ["half-step", "fixed"])
def test_noise_lets_the_gradient_through_as_it_is(noise):
    features_BChw = torch.randn(2, 3, 4, 5, requires_grad=True)
    weight = torch.randn(2, 3, 4, 5)
    (add_noise(features_BChw, noise=noise, bits=2, amplitude=0.5) * weight).sum().backward()
    assert torch.equal(features_BChw.grad, weight)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_noise_keeps_dtype_and_layout_under_autocast(dtype):
    features_BChw = torch.randn(2, 3, 4, 5).to(dtype).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        noisy = add_noise(features_BChw, noise="half-step")
    assert noisy.dtype == dtype
    assert noisy.stride() == features_BChw.stride()
    # A range wider than half a float16.
    extremes = torch.tensor([-6e4, 6e4], dtype=torch.float16).view(1, 1, 1, 2)
    assert add_noise(extremes, noise="half-step").isfinite().all()


def test_noise_compiles_whole():
    step = torch.compile(
        lambda x: add_noise(x, noise="half-step", bits=8), backend="eager", fullgraph=True
    )
    features_BChw = torch.rand(2, 3, 4, 5)
    assert (step(features_BChw) - features_BChw).abs().max() <= 0.5 / 255 * 1.001


@pytest.mark.parametrize("percent", [99.0, 90.0, 60.0, 50.1])
def test_a_narrower_range_clips_as_much_at_either_end(percent):
    features_Chw = np.arange(4 * 50 * 50, dtype=np.float64).reshape(4, 50, 50)
    features_Chw[3, 49, 49] = 1e6  # one large feature stretches no such range
    levels = quantize(features_Chw, 8, percent)
    assert levels.high < 1e4
    low, high = features_Chw < levels.low, features_Chw > levels.high
    assert abs(100 * (low | high).mean() - (100 - percent)) < 0.05
    assert levels.levels_Chw[low].max() == 0
    assert levels.levels_Chw[high].min() == 255
    assert abs(int(low.sum()) - int(high.sum())) <= 1


def test_training_clips_where_the_quantiser_does():
    features_BChw = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 4, 20, 20)))
    seen_BChw = clipped(features_BChw, 95.0)
    for image_Chw, seen_Chw in zip(features_BChw, seen_BChw, strict=True):
        levels = quantize(image_Chw.numpy(), 8, 95.0)
        expected = np.clip(image_Chw.numpy(), levels.low, levels.high)
        np.testing.assert_allclose(seen_Chw.numpy(), expected, rtol=1e-5)


def test_a_clipped_feature_gets_no_gradient_and_does_not_move_the_range():
    features_BChw = torch.linspace(0, 1, 101).reshape(1, 1, 1, 101).requires_grad_()
    add_noise(features_BChw, noise="half-step", bits=8, range_percent=91.0).sum().backward()
    assert features_BChw.grad.flatten().tolist() == [0.0] * 5 + [1.0] * 91 + [0.0] * 5
