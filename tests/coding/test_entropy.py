"""The learned prior against SciPy's logistic distribution and against differences."""

import numpy as np
import pytest
import torch
from scipy.stats import logistic

from pipeline.coding.entropy import FactorizedPrior


@pytest.fixture
def prior() -> FactorizedPrior:
    """A prior of three channels, none of whose parameters is a special value."""
    made, generator = FactorizedPrior(3), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for values in made.parameters():
            values.copy_(torch.randn(values.shape, generator=generator))
    return made


def density(prior: FactorizedPrior, channel: int, values: np.ndarray) -> np.ndarray:
    """Return the probability that a value of a channel is rounded to each whole number."""
    logits, means, scales = (
        x[channel].detach().double().numpy()
        for x in (prior.logits_KM, prior.means_KM, prior.log_scales_KM.double().exp())
    )
    weights = np.exp(logits) / np.exp(logits).sum()
    return sum(
        w * (logistic.cdf(values + 0.5, m, s) - logistic.cdf(values - 0.5, m, s))
        for w, m, s in zip(weights, means, scales, strict=True)
    )


def test_bits_are_minus_log2_of_the_probability(prior: FactorizedPrior) -> None:
    values_BKhw = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1)) * 3
    expected_B = [
        sum(-np.log2(density(prior, k, x_Khw[k].double().numpy())).sum() for k in range(3))
        for x_Khw in values_BKhw
    ]
    np.testing.assert_allclose(prior.bits(values_BKhw).detach(), expected_B, rtol=1e-5)


def test_the_probabilities_of_all_whole_numbers_are_1(prior: FactorizedPrior) -> None:
    values_KS = torch.arange(-400, 401).repeat(3, 1)
    p_KS = prior.cdf(values_KS + 0.5) - prior.cdf(values_KS - 0.5)
    np.testing.assert_allclose(p_KS.sum(1), 1, rtol=1e-9)
    for channel in range(3):
        expected_S = density(prior, channel, np.arange(-400.0, 401))
        np.testing.assert_allclose(p_KS[channel], expected_S, atol=1e-9)


def test_the_gradient_of_the_bits_is_their_change(prior: FactorizedPrior) -> None:
    prior.double()
    values_BKhw = torch.randn(1, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda values, *parameters: prior.bits(values), (values_BKhw, *prior.parameters())
    )


def test_a_value_far_out_still_has_bits_and_a_gradient(prior: FactorizedPrior) -> None:
    far = torch.full((1, 3, 1, 1), 1e4, requires_grad=True)
    bits_B = prior.bits(far)
    bits_B.sum().backward()
    assert torch.isfinite(bits_B).all()
    assert far.grad is not None
    assert (far.grad > 0).all()


def test_a_start_is_as_wide_as_it_is_told() -> None:
    deviations = [0.5, 2.0, 30.0]
    made = FactorizedPrior(3)
    made.start(torch.tensor(deviations))
    grid = np.arange(-400.0, 401)
    for channel, wanted in enumerate(deviations):
        p = density(made, channel, grid)
        assert (p * grid).sum() == pytest.approx(0, abs=1e-6)
        # It is a first guess, which one step of training already moves.
        assert 0.5 < np.sqrt((p * grid**2).sum()) / wanted < 1.5
