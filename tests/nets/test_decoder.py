"""The decoders: layers, sizes, and their initial variance."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from pipeline.nets.decoder import DECODERS

# Restated from the paper and its authors' logs: the widths between the steps.
PLANS = {
    ("segmentation", 512): ([512, 256, 128, 64, 32, 16], 19),
    ("reconstruction", 512): ([512, 256, 128, 64, 32, 16], 3),
    ("disparity", 512): ([512, 512, 256, 128, 64, 32], 1),
    ("segmentation", 256): ([256, 128, 64, 32, 16], 19),
    ("reconstruction", 256): ([256, 128, 64, 32, 16], 3),
    ("disparity", 256): ([256, 256, 128, 64, 32], 1),
}
STRIDES = {512: 32, 256: 16}


def build(task: str, channels: int) -> nn.Module:
    with torch.device("meta"):
        return DECODERS[task](channels, STRIDES[channels])


@pytest.mark.parametrize(("task", "channels"), PLANS)
def test_layers(task: str, channels: int) -> None:
    widths, outputs = PLANS[task, channels]
    expected = []
    for before, after in pairwise(widths):
        expected.append(("ConvTranspose2d", before, after, (2, 2), (2, 2), (0, 0)))
        expected.append(("Conv2d", after, after, (3, 3), (1, 1), (1, 1)))
    expected.append(("Conv2d", widths[-1], outputs, (1, 1), (1, 1), (0, 0)))
    leaves = [x for x in build(task, channels).modules() if not list(x.children())]
    # No activation and no normalisation: nothing but these.
    assert [
        (type(x).__name__, x.in_channels, x.out_channels, x.kernel_size, x.stride, x.padding)
        for x in leaves
    ] == expected


@pytest.mark.parametrize(("task", "channels"), PLANS)
def test_a_new_decoder_neither_drowns_nor_blows_up_the_signal(task: str, channels: int) -> None:
    torch.manual_seed(0)
    net = DECODERS[task](channels, STRIDES[channels])
    with torch.no_grad():
        out_BKHW = net(torch.randn(2, channels, 12, 12))
    # Away from the borders, where the padding is no signal.
    spread = out_BKHW[..., 32:-32, 32:-32].std().item()
    assert 0.5 < spread < 2


def test_parameters_of_the_authors_log() -> None:
    assert sum(x.numel() for x in build("segmentation", 256).parameters()) == 370_723
