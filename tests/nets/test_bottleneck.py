"""The bottleneck against NumPy's principal components."""

import numpy as np
import pytest
import torch

from pipeline.coding.klt import klt_of
from pipeline.nets.bottleneck import Bottleneck


def features(frames: int = 6, channels: int = 5) -> torch.Tensor:
    """Return features of correlated channels, none below 0."""
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(channels, channels, generator=generator)
    x_BChw = torch.randn(frames, channels, 3, 4, generator=generator)
    return torch.einsum("kc,bchw->bkhw", mix, x_BChw).relu()


@torch.no_grad()
def test_it_starts_as_the_klt_in_steps_of_the_quantiser() -> None:
    x_BChw = features()
    made = Bottleneck(5, 3)
    made.start(klt_of(x.numpy() for x in x_BChw.split(2)), step=0.5)
    rows_NC = x_BChw.double().permute(0, 2, 3, 1).reshape(-1, 5).numpy()
    mean_C = rows_NC.mean(0)
    *_, basis_CC = np.linalg.svd(rows_NC - mean_C)
    expected_NK = (rows_NC - mean_C) @ basis_CC[:3].T / (0.5 * rows_NC.std())
    y_NK = made.compress(x_BChw).permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    np.testing.assert_allclose(np.abs(y_NK), np.abs(expected_NK), atol=1e-4)
    spread_K = made.prior.log_scales_KM.exp()[:, 0] / 0.4
    np.testing.assert_allclose(spread_K, expected_NK.std(0), rtol=1e-4)


@torch.no_grad()
def test_with_all_components_the_features_come_back() -> None:
    x_BChw = features()
    made = Bottleneck(5, 5)
    made.start(klt_of([x_BChw.numpy()]), step=1.0)
    np.testing.assert_allclose(made.expand(made.compress(x_BChw)), x_BChw, atol=1e-4)
    assert made.expand(torch.full((1, 5, 1, 1), -1e3)).min() >= 0


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_rounds_no_component(dtype: torch.dtype) -> None:
    x_BChw = features().to(dtype)
    made = Bottleneck(5, 3)
    made.start(klt_of([x_BChw.float().numpy()]), step=0.01)
    expected = made.compress(x_BChw.float())
    back = made.expand(expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(made.compress(x_BChw), expected)
        assert torch.equal(made.expand(expected), back)
        assert made.bits(expected).dtype == torch.float32
