"""The split network: its halves, its tasks, and its state."""

import pytest
import torch

from pipeline.nets.encoder import ENCODERS
from pipeline.nets.split import SplitNet, StackedPredictions

TASKS = ("segmentation", "disparity", "reconstruction")
CHANNELS = {"segmentation": 19, "disparity": 1, "reconstruction": 3}


@pytest.mark.parametrize(
    ("encoder", "shape"), [("encoder1", (512, 8, 16)), ("encoder2", (256, 16, 32))]
)
def test_shapes_at_the_papers_size(encoder: str, shape: tuple[int, int, int]) -> None:
    with torch.device("meta"):
        net = SplitNet(encoder, TASKS)
        image_B3HW = torch.empty(2, 3, 256, 512)
    features_BChw = net.front(image_B3HW)
    assert features_BChw.shape == (2, *shape)
    assert ENCODERS[encoder].channels == shape[0]
    assert 256 // ENCODERS[encoder].stride == shape[1]
    predictions = net.back(features_BChw)
    assert list(predictions) == list(TASKS)
    for task, prediction in predictions.items():
        assert prediction.shape == (2, CHANNELS[task], 256, 512)


@pytest.fixture(scope="module")
def net() -> SplitNet:
    torch.manual_seed(0)
    return SplitNet("encoder2", TASKS).eval()


@pytest.fixture(scope="module")
def image_B3HW() -> torch.Tensor:
    return torch.rand(2, 3, 32, 64, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_surrogate_stands_between_the_halves(net: SplitNet, image_B3HW: torch.Tensor) -> None:
    plain = net(image_B3HW)
    assert torch.equal(plain.features_BChw, net.front(image_B3HW))
    output = net(image_B3HW, lambda x: 2 * x + 1)
    # The features handed out are those before it: they are what the edge codes.
    torch.testing.assert_close(output.features_BChw, plain.features_BChw, rtol=0, atol=0)
    expected = net.back(2 * plain.features_BChw + 1)
    for task in TASKS:
        torch.testing.assert_close(output.predictions[task], expected[task], rtol=0, atol=0)
        assert not torch.equal(output.predictions[task], plain.predictions[task])


@torch.no_grad()
def test_tasks_stack_in_their_order(net: SplitNet, image_B3HW: torch.Tensor) -> None:
    order = ("reconstruction", "segmentation")
    other = SplitNet("encoder2", order)
    assert list(other.decoders) == list(order)
    state = {k: v for k, v in net.state_dict().items() if not k.startswith("decoders.disparity")}
    other.load_state_dict(state)
    stacked = StackedPredictions(other.eval())(image_B3HW)
    assert stacked.shape == (2, 3 + 19, 32, 64)
    predictions = net(image_B3HW).predictions
    torch.testing.assert_close(stacked[:, :3], predictions["reconstruction"])
    torch.testing.assert_close(stacked[:, 3:], predictions["segmentation"])
