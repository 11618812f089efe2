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
    back = dequantize(levels)
    assert levels.levels_Chw.dtype == (np.uint8 if bits <= 8 else np.uint16)
    assert back.dtype == np.float32
    half_a_step = (levels.high - levels.low) / (2**bits - 1) / 2
    float32_rounding = np.spacing(np.float32(max(abs(levels.low), abs(levels.high))))
    error = np.abs(back.astype(np.float64) - features_Chw)
    assert error.max() <= half_a_step * (1 + 1e-9) + float32_rounding
    assert (back.min(), back.max()) == (features_Chw.min(), features_Chw.max())


@given(features_Chw=FEATURES, bits=st.integers(1, 16))
def test_the_range_is_the_extremes_and_fills_the_levels(features_Chw, bits):
    levels = quantize(features_Chw, bits)
    assert (levels.low, levels.high) == (features_Chw.min(), features_Chw.max())
    assert levels.levels_Chw.min() == 0
    assert levels.levels_Chw.max() == (0 if levels.low == levels.high else 2**bits - 1)


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


def test_the_whole_of_float32_is_a_range():
    extremes = np.array([[[-3.4e38, 0, 3.4e38]]], np.float32)
    np.testing.assert_array_equal(dequantize(quantize(extremes, 8))[..., ::2], extremes[..., ::2])


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


@pytest.mark.parametrize("bits", [-1, 0, 17])
def test_bits_outside_the_range_are_refused(bits):
    with pytest.raises(ValueError, match=f"1 to 16 bits, not {bits}"):
        quantize(np.zeros((1, 1, 1)), bits)
    with pytest.raises(ValueError, match=f"1 to 16 bits, not {bits}"):
        add_noise(torch.zeros(1, 1, 1, 1), noise="half-step", bits=bits)


@pytest.mark.parametrize("shape", [(4, 5), (1, 2, 3, 4), (0, 3, 3)])
def test_features_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="C x h x w"):
        quantize(np.zeros(shape), 8)


def test_a_range_beyond_float32_is_refused():
    with pytest.raises(ValueError, match="float32"):
        quantize(np.array([[[0.0, 1e39]]]), 8)


@pytest.mark.parametrize(
    ("levels", "low", "high", "bits", "message"),
    [
        (np.zeros((1, 1, 1), np.uint16), 0.0, 1.0, 8, "uint8"),
        (np.zeros((1, 1, 1), np.uint8), 0.0, 1.0, 9, "uint16"),
        (np.full((1, 1, 1), 16, np.uint8), 0.0, 1.0, 4, "level 16 does not fit 4 bits"),
        (np.zeros((1, 1), np.uint8), 0.0, 1.0, 8, "C x h x w"),
        (np.zeros((1, 1, 1), np.uint8), 0.1, 1.0, 8, "float32 values"),
        (np.zeros((1, 1, 1), np.uint8), 0.0, 1e300, 8, "float32 values"),
        (np.zeros((1, 1, 1), np.uint8), float("nan"), 1.0, 8, "float32 values"),
        (np.zeros((1, 1, 1), np.uint8), 2.0, 1.0, 8, "must not be above"),
    ],
)
def test_levels_that_could_not_be_coded_cannot_be_made(levels, low, high, bits, message):
    with pytest.raises(ValueError, match=message):
        Levels(levels, low, high, bits)


def test_half_step_noise_fills_half_a_step_of_each_image():
    features_BChw = torch.randn(3, 16, 8, 8) * torch.tensor([1.0, 10.0, 100.0]).view(3, 1, 1, 1)
    noise = add_noise(features_BChw, noise="half-step", bits=4) - features_BChw
    for image, difference in zip(features_BChw, noise, strict=True):
        half_a_step = (image.max() - image.min()) / 15 / 2
        assert 0.95 < difference.abs().max() / half_a_step < 1.001
        assert difference.mean().abs() < 0.1 * half_a_step


def test_fixed_noise_stays_within_its_amplitude():
    noise = add_noise(torch.zeros(2, 16, 8, 8), noise="fixed", amplitude=0.002)
    assert 0.0019 < noise.abs().max() <= 0.002
    assert noise.min() < -0.0019


def test_no_noise_is_the_features_themselves():
    features_BChw = torch.randn(1, 2, 3, 4)
    assert add_noise(features_BChw, noise="none") is features_BChw


@pytest.mark.parametrize("noise", ["half-step", "fixed"])
def test_noise_lets_the_gradient_through_as_it_is(noise):
    features_BChw = torch.randn(2, 3, 4, 5, requires_grad=True)
    weight = torch.randn(2, 3, 4, 5)
    (add_noise(features_BChw, noise=noise, bits=2, amplitude=0.5) * weight).sum().backward()
    assert torch.equal(features_BChw.grad, weight)


@pytest.mark.parametrize("noise", ["half-step", "fixed"])
def test_the_same_generator_state_gives_the_same_noise(noise):
    features_BChw = torch.randn(2, 3, 4, 5)
    first, second = (
        add_noise(
            features_BChw,
            noise=noise,
            amplitude=1.0,
            generator=torch.Generator().manual_seed(seed),
        )
        for seed in (7, 7)
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_noise_keeps_dtype_and_layout_under_autocast(dtype):
    features_BChw = torch.randn(2, 3, 4, 5).to(dtype).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        noisy = add_noise(features_BChw, noise="half-step")
    assert noisy.dtype == dtype
    assert noisy.stride() == features_BChw.stride()


def test_half_step_noise_of_a_range_wider_than_float16_is_finite():
    features_BChw = torch.tensor([-6e4, 6e4], dtype=torch.float16).view(1, 1, 1, 2)
    assert add_noise(features_BChw, noise="half-step").isfinite().all()


def test_noise_compiles_whole():
    step = torch.compile(
        lambda x: add_noise(x, noise="half-step", bits=8), backend="eager", fullgraph=True
    )
    features_BChw = torch.rand(2, 3, 4, 5)
    assert (step(features_BChw) - features_BChw).abs().max() <= 0.5 / 255 * 1.001


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"noise": "gauss"}, "half-step, fixed or none, not 'gauss'"),
        ({"noise": "fixed", "amplitude": -1.0}, "0 or more, not -1.0"),
    ],
)
def test_noise_that_is_not_there_is_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        add_noise(torch.zeros(1, 1, 1, 1), **setting)


@pytest.mark.parametrize("keep", [99.0, 90.0, 60.0])
def test_a_range_that_keeps_less_clips_as_much_at_either_end(keep):
    features_Chw = np.arange(4 * 50 * 50, dtype=np.float64).reshape(4, 50, 50)
    levels = quantize(features_Chw, 8, range_percent)
    outside = (features_Chw < levels.low) | (features_Chw > levels.high)
    assert abs(100 * outside.mean() - (100 - range_percent)) < 0.05
    assert levels.levels_Chw[features_Chw < levels.low].max() == 0
    assert levels.levels_Chw[features_Chw > levels.high].min() == 255
    below, above = (features_Chw < levels.low).sum(), (features_Chw > levels.high).sum()
    assert abs(int(below) - int(above)) <= 1


def test_one_large_feature_stretches_the_range_only_if_all_are_kept():
    features_Chw = np.random.default_rng(0).random((4, 50, 50))
    features_Chw[1, 2, 3] = 1000.0
    assert quantize(features_Chw, 8).high == 1000
    assert quantize(features_Chw, 8, 99.9).high <= 1


@pytest.mark.parametrize("keep", [50.0, 0.0, 100.1, float("nan")])
def test_a_share_that_is_none_is_refused(keep):
    with pytest.raises(ValueError, match="more than 50 and up to 100"):
        quantize(np.zeros((1, 2, 2)), 8, range_percent)


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


def test_all_features_kept_is_the_tensor_itself():
    features_BChw = torch.rand(2, 3, 4, 5)
    assert clipped(features_BChw, 100.0) is features_BChw


def test_noise_is_of_eight_bits_and_of_no_amplitude_unless_told_otherwise():
    features_BChw = torch.linspace(0, 1, 4000).reshape(1, 4, 10, 100)
    noise = add_noise(features_BChw, noise="half-step") - features_BChw
    assert 0.99 / 255 / 2 < noise.abs().max() < 1.001 / 255 / 2
    assert torch.equal(add_noise(features_BChw, noise="fixed"), features_BChw)


def test_just_over_half_of_the_features_may_be_kept():
    levels = quantize(np.arange(1001.0).reshape(1, 1, 1001), 8, 50.1)
    assert (levels.low, levels.high) == (249.5, 750.5)
