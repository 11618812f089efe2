"""Encoders against torchvision's own ResNet-34, and weights that are refused."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import ResNet34_Weights, resnet34
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.models.resnet import BasicBlock
from torchvision.transforms.functional import normalize

from pipeline.nets.decoder import decoder_state
from pipeline.nets.encoder import (
    ENCODERS,
    IMAGENET_MEAN,
    IMAGENET_STD,
    WeightsError,
    backbone_state,
    read_weights,
)
from pipeline.nets.split import SplitNet
from tests.support.foreign import Foreign

LAST = {"encoder1": "layer4", "encoder2": "layer3"}


@pytest.fixture(scope="module")
def backbone() -> nn.Module:
    """A ResNet-34 of torchvision's with statistics as training would leave them."""
    torch.manual_seed(0)
    net = resnet34().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.2)
            nn.init.normal_(module.bias, std=0.1)
    return net


@pytest.fixture(scope="module")
def state(backbone: nn.Module) -> dict[str, Tensor]:
    return backbone.state_dict()


@pytest.fixture(scope="module")
def file(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state dict as torchvision has it, with its classifier."""
    path = tmp_path_factory.mktemp("weights") / "resnet34.safetensors"
    save_file(state, path)
    return path


@pytest.mark.parametrize("name", LAST)
@torch.no_grad()
def test_front_equals_torchvision(backbone: nn.Module, file: Path, name: str) -> None:
    image_B3HW = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    oracle = create_feature_extractor(backbone, [LAST[name]])
    normal = normalize(image_B3HW, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    net = SplitNet(name, ["reconstruction"], str(file)).eval()
    torch.testing.assert_close(net.front(image_B3HW), oracle(normal)[LAST[name]])


def test_constants_and_imagenet_are_torchvisions(monkeypatch: pytest.MonkeyPatch) -> None:
    transform = ResNet34_Weights.IMAGENET1K_V1.transforms()
    assert list(IMAGENET_MEAN) == list(transform.mean)
    assert list(IMAGENET_STD) == list(transform.std)
    asked = []

    def no_download(*, weights: object, **options: object) -> nn.Module:
        asked.append(weights)
        return resnet34()

    monkeypatch.setattr("torchvision.models.resnet34", no_download)
    ENCODERS["encoder2"].build("imagenet")
    ENCODERS["encoder2"].build("none")
    assert asked == [ResNet34_Weights.IMAGENET1K_V1, None]


def test_a_file_is_what_the_encoder_starts_from(tmp_path: Path, state: dict[str, Tensor]) -> None:
    """As torchvision has it, in half precision too, and without what converters leave out."""
    some = {k: v for k, v in state.items() if not k.startswith("fc.") and "tracked" not in k}
    halves = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    torch.save(state, tmp_path / "a.pth")
    torch.save(halves, tmp_path / "half.pth")
    save_file(some, tmp_path / "some.safetensors")
    for name, content in (("a.pth", state), ("half.pth", halves), ("some.safetensors", state)):
        found = ENCODERS["encoder2"].build(str(tmp_path / name)).state_dict()
        # Layer by layer in the same order: names apart, the entries are torchvision's.
        own = [x for key, x in content.items() if not key.startswith(("layer4.", "fc."))]
        for value, expected in zip(found.values(), own, strict=True):
            assert value.dtype in (torch.float32, torch.int64)
            assert torch.equal(value, expected.to(value.dtype))


# Files that do not fit


def assert_refused(path: Path, *words: str) -> None:
    with pytest.raises(WeightsError) as error:
        read_weights(path)
    for word in ("model.file", str(path), *words):
        assert word in str(error.value)


HOLLOW = {
    # Names and shapes over a single stored number each, so that files are small.
    k: torch.zeros((), dtype=v.dtype).expand(v.shape)
    for k, v in resnet34().state_dict().items()
}
LACKING = {k: v for k, v in HOLLOW.items() if k != "layer3.5.bn2.running_var"}
ONE = torch.zeros(1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HOLLOW, []),  # so that the others are refused for what they are meant for
        (LACKING, ["lacks 1", "layer3.5.bn2.running_var"]),
        (HOLLOW | {"layer3.6.conv1.weight": ONE}, ["unknown", "layer3.6.conv1.weight"]),
        (
            HOLLOW | {"layer2.0.conv1.weight": ONE.expand(128, 64, 1, 1)},
            ["layer2.0.conv1.weight", "(128, 64, 1, 1)", "(128, 64, 3, 3)"],
        ),
        ({"stem.weight": ONE}, ["lacks", "ResNet-34"]),
        ({"state_dict": {"conv1.weight": ONE}, "epoch": 3}, ["plain state dict"]),
        ([ONE], ["plain state dict"]),
        ({0: ONE}, ["plain state dict"]),
    ],
)
def test_another_content_is_refused(tmp_path: Path, content: object, words: list[str]) -> None:
    torch.save(content, tmp_path / "a.pth")
    if not words:
        ENCODERS["encoder1"].build(str(tmp_path / "a.pth"))
        return
    with pytest.raises(WeightsError) as error:
        ENCODERS["encoder1"].build(str(tmp_path / "a.pth"))
    assert all(word in str(error.value) for word in ("model.file", "a.pth", *words))


def test_what_is_no_such_file_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    assert_refused(tmp_path / "gone.pth", "no such file")
    assert_refused(tmp_path, "no such file")
    trace, pth = tmp_path / "ran", tmp_path / "a.pth"
    pickle.loads(pickle.dumps(Foreign(trace)))
    trace.unlink()  # so the trap works
    torch.save({"conv1.weight": Foreign(trace)}, pth)
    assert_refused(pth, "could run foreign code")
    pth.write_bytes(pickle.dumps({"conv1.weight": Foreign(trace)}, protocol=2))
    assert_refused(pth)
    assert not trace.exists()
    weights = {"conv1.weight": torch.rand(64, 3, 7, 7)}
    torch.save(weights, pth)
    save_file(weights, tmp_path / "a.safetensors")
    for path in (pth, tmp_path / "a.safetensors"):
        whole = path.read_bytes()
        for content in (b"", whole[: len(whole) // 2], whole[:-1], b"<html>404</html>\n" * 10):
            path.write_bytes(content)
            assert_refused(path)


# Initial weights


def test_residual_blocks_start_as_identities_or_as_torchvisions() -> None:
    for start, expected in (("zero", 0.0), ("torch", 1.0)):
        net = SplitNet("encoder2", ["disparity"], residual_init=start)
        scales = [x.bn2.weight for x in net.encoder.modules() if isinstance(x, BasicBlock)]
        assert len(scales) == 13
        assert all((scale == expected).all() for scale in scales)


def test_decoders_start_at_unit_variance_or_as_torchs() -> None:
    torch.manual_seed(0)
    features = torch.randn(4, 256, 6, 6)
    spread = {
        start: SplitNet("encoder2", ["disparity"], decoder_init=start)
        .back(features)["disparity"]
        .std()
        for start in ("variance", "torch")
    }
    assert 0.5 < spread["variance"].item() < 2
    assert spread["torch"].item() < 0.1


def test_weights_go_from_a_model_into_another(tmp_path: Path) -> None:
    trained = SplitNet("encoder1", ["disparity"])
    with torch.no_grad():
        for value in trained.encoder.parameters():
            value.copy_(torch.randn_like(value))
    file = tmp_path / "backbone.safetensors"
    state = backbone_state(trained.encoder) | decoder_state(trained.decoders, "encoder1")
    save_file({k: v.half() for k, v in state.items()}, file)
    found = SplitNet("encoder1", ["disparity", "segmentation"], str(file), decoder_init="file")
    for key, value in found.decoders["disparity"].state_dict().items():
        torch.testing.assert_close(
            value, trained.decoders["disparity"].state_dict()[key].half().float()
        )
    ignored = SplitNet("encoder1", ["disparity"], str(file)).decoders["disparity"]
    assert not torch.equal(ignored[0].weight, found.decoders["disparity"][0].weight)
    for encoder, blocks in (("encoder1", 8), ("encoder2", 7)):
        state = SplitNet(encoder, ["disparity"], str(file)).encoder.state_dict()
        assert len({key.split(".")[0] for key in state}) == blocks - 2  # relu and pool have none
        for key, value in state.items():
            if not key.endswith("num_batches_tracked"):
                torch.testing.assert_close(value, trained.encoder.state_dict()[key].half().float())


def test_a_decoder_of_another_shape_is_refused(tmp_path: Path) -> None:
    small = SplitNet("encoder2", ["disparity"])
    state = backbone_state(SplitNet("encoder1", []).encoder)
    wrong = {
        k.replace("encoder2", "encoder1"): v
        for k, v in decoder_state(small.decoders, "encoder2").items()
    }
    save_file(state | wrong, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="another decoder of disparity for encoder1"):
        SplitNet("encoder1", ["disparity"], str(tmp_path / "a.safetensors"), decoder_init="file")
