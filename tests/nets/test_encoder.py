"""Encoders against torchvision's own ResNet-34, and weights that are refused.

Long on purpose: what holds of one thing is in one place.
"""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import resnet34
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.models.resnet import BasicBlock
from torchvision.transforms.functional import normalize

from pipeline.nets import encoder as encoder_module
from pipeline.nets.decoder import decoder_state
from pipeline.nets.encoder import ENCODERS, WeightsError, backbone_state
from pipeline.nets.split import SplitNet

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


@pytest.fixture(scope="module")
def expected(file: Path) -> dict[str, Tensor]:
    """Every entry of encoder2 once the file is read."""
    return ENCODERS["encoder2"].build(str(file)).state_dict()


def assert_reads(path: Path, expected: dict[str, Tensor]) -> None:
    found = ENCODERS["encoder2"].build(str(path)).state_dict()
    assert found.keys() == expected.keys()
    for key, value in found.items():
        assert value.dtype == expected[key].dtype
        torch.testing.assert_close(value, expected[key], rtol=0, atol=0, msg=key)


def test_file_is_what_the_encoder_starts_from(
    expected: dict[str, Tensor], state: dict[str, Tensor]
) -> None:
    # Layer by layer in the same order: names apart, the entries are torchvision's.
    own = [x for key, x in state.items() if not key.startswith(("layer4.", "fc."))]
    assert len(own) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(own, expected.values(), strict=True))


def test_pth(tmp_path: Path, state: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    torch.save(state, tmp_path / "a.pth")
    assert_reads(tmp_path / "a.pth", expected)


def test_without_classifier_and_counters(
    tmp_path: Path, state: dict[str, Tensor], expected: dict[str, Tensor]
) -> None:
    some = {k: v for k, v in state.items() if not k.startswith("fc.") and "tracked" not in k}
    assert 0 < len(some) < len(state)
    save_file(some, tmp_path / "a.safetensors")
    assert_reads(tmp_path / "a.safetensors", expected)


def test_half_precision(
    tmp_path: Path, state: dict[str, Tensor], expected: dict[str, Tensor]
) -> None:
    halves = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    torch.save(halves, tmp_path / "a.pth")
    rounded = {k: v.half().float() if v.is_floating_point() else v for k, v in expected.items()}
    assert_reads(tmp_path / "a.pth", rounded)


def test_imagenet_asks_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def no_download(*, weights: object, **options: object) -> nn.Module:
        asked.append(weights)
        return resnet34()

    monkeypatch.setattr("torchvision.models.resnet34", no_download)
    ENCODERS["encoder2"].build("imagenet")
    ENCODERS["encoder2"].build("none")
    assert [str(x) for x in asked] == ["ResNet34_Weights.IMAGENET1K_V1", "None"]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_residual_blocks_begin_as_identities(encoder: str) -> None:
    net = ENCODERS[encoder].build("none").eval()
    block = net[4][0]
    x_1Chw = torch.rand(1, 64, 4, 6)
    assert torch.equal(block(x_1Chw), x_1Chw)


def test_constants_are_torchvisions() -> None:
    from torchvision.models import ResNet34_Weights

    transform = ResNet34_Weights.IMAGENET1K_V1.transforms()
    assert list(encoder_module.IMAGENET_MEAN) == list(transform.mean)
    assert list(encoder_module.IMAGENET_STD) == list(transform.std)


# Files that do not fit


class Foreign:
    """Something that runs code when a careless reader unpickles it."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.target,)


def hollow(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same names and shapes over a single stored number each, so that files are small."""
    return {k: torch.zeros((), dtype=v.dtype).expand(v.shape) for k, v in state.items()}


@pytest.fixture(params=["pth", "safetensors"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def assert_refused(path: Path, *words: str) -> None:
    with pytest.raises(WeightsError) as error:
        ENCODERS["encoder1"].build(str(path))
    for word in ("model.file", str(path), *words):
        assert word in str(error.value)


def test_hollow_files_are_read(tmp_path: Path, state: dict[str, Tensor]) -> None:
    # So that what refuses the files below is what they are meant for.
    torch.save(hollow(state), tmp_path / "a.pth")
    ENCODERS["encoder1"].build(str(tmp_path / "a.pth"))


def test_wrong_shape(tmp_path: Path, state: dict[str, Tensor]) -> None:
    wrong = hollow(state) | {"layer2.0.conv1.weight": torch.zeros(1).expand(128, 64, 1, 1)}
    torch.save(wrong, tmp_path / "a.pth")
    assert_refused(
        tmp_path / "a.pth", "layer2.0.conv1.weight", "(128, 64, 1, 1)", "(128, 64, 3, 3)"
    )


def test_missing_entry(tmp_path: Path, state: dict[str, Tensor]) -> None:
    some = hollow(state)
    del some["layer3.5.bn2.running_var"]
    torch.save(some, tmp_path / "a.pth")
    assert_refused(tmp_path / "a.pth", "lacks 1", "layer3.5.bn2.running_var")


def test_deeper_net(tmp_path: Path, state: dict[str, Tensor]) -> None:
    more = hollow(state) | {"layer3.6.conv1.weight": torch.zeros(1)}
    torch.save(more, tmp_path / "a.pth")
    assert_refused(tmp_path / "a.pth", "unknown", "layer3.6.conv1.weight")


def test_another_net(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    entries = {"stem.weight": torch.zeros(3)}
    torch.save(entries, path) if kind == "pth" else save_file(entries, path)
    assert_refused(path, "lacks", "ResNet-34")


@pytest.mark.parametrize(
    "content", [{"state_dict": {"conv1.weight": torch.zeros(1)}, "epoch": 3}, [torch.zeros(2)]]
)
def test_checkpoint_around_a_state_dict(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "a.pth")
    assert_refused(tmp_path / "a.pth", "plain state dict")


def test_names_that_are_no_text(tmp_path: Path) -> None:
    torch.save({0: torch.zeros(2)}, tmp_path / "a.pth")
    assert_refused(tmp_path / "a.pth")


@pytest.mark.parametrize("plain", [False, True])
def test_foreign_pickle_is_refused_unread(tmp_path: Path, plain: bool) -> None:
    path, trace = tmp_path / "a.pth", tmp_path / "ran"
    content = {"conv1.weight": Foreign(trace)}
    if plain:
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path)
    assert_refused(path)
    assert not trace.exists()


def test_truncated(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    entries = {"conv1.weight": torch.rand(64, 3, 7, 7)}
    torch.save(entries, path) if kind == "pth" else save_file(entries, path)
    whole = path.read_bytes()
    for cut in (0, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert_refused(path)


def test_text(tmp_path: Path, kind: str) -> None:
    (tmp_path / f"a.{kind}").write_text("<html>404 Not Found</html>\n" * 10)
    assert_refused(tmp_path / f"a.{kind}")


def test_no_file(tmp_path: Path) -> None:
    assert_refused(tmp_path / "gone.pth", "no such file")
    assert_refused(tmp_path, "no such file")


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
    assert 0.5 < float(spread["variance"]) < 2
    assert float(spread["torch"]) < 0.1


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
