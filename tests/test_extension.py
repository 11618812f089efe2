"""A task, a codec and an encoder from outside: only dictionaries grow, and the page shows them."""

import json
import math
import re
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch import Tensor, nn

from pipeline.artifacts import ARMS, PICTURE_ARM
from pipeline.coding.codecs import CODECS, Codec, CodecError
from pipeline.inference.pictures import PICTURES, Picture
from pipeline.nets.decoder import DECODERS, decoder
from pipeline.nets.encoder import ENCODERS, Encoder
from pipeline.scoring.metrics import SCORES, Print, Score, Sums
from pipeline.scoring.sums import SUMS
from pipeline.source import Truth
from pipeline.training.losses import LOSSES, LossSum, TaskLoss
from stages import encode, encode_pictures, evaluate, export, fit, prepare, report, streets, train
from tests.support.tiny_experiment import small_params

POINTS = ["png", "deflate", "deflate@4", "jpeg-60", "jpeg-20"]


# The codec: a tile's bytes, deflated.


def deflate(tile_HW: np.ndarray) -> bytes:
    return zlib.compress(tile_HW.tobytes())


def inflate(payload: bytes, size_HW: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    height, width = size_HW
    try:
        pixels = zlib.decompressobj().decompress(payload, height * width + 1)
        return np.frombuffer(pixels, dtype).reshape(height, width)
    except (zlib.error, ValueError) as error:
        raise CodecError(f"not deflated: {error}") from error


# The task: how bright a pixel is.


def brightness(truth: Truth) -> Tensor:
    return truth.image_B3HW.mean(1)


def brightness_loss(prediction_B1HW: Tensor, truth: Truth) -> LossSum:
    error_BHW = prediction_B1HW[:, 0].float() - brightness(truth)
    return LossSum(error_BHW.square().sum(), torch.full((), float(error_BHW.numel())))


def brightness_sums(prediction_B1HW: Tensor, truth: Truth) -> dict[str, Tensor]:
    error_BHW = prediction_B1HW[:, 0].float() - brightness(truth)
    return {"brightness_error": error_BHW.abs().mean((1, 2), dtype=torch.float64)}


def closeness(sums: Sums, counts_RN: np.ndarray) -> np.ndarray:
    return -np.log(counts_RN @ sums["brightness_error"] / counts_RN.sum(1))


def grey(value_BHW: Tensor) -> np.ndarray:
    byte_BHW = (255 * value_BHW.float().clamp(0, 1)).round().to(torch.uint8).cpu().numpy()
    return np.repeat(byte_BHW[..., None], 3, axis=-1)


# The encoder: one convolution.


def stem(weights: str) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 24, 8, stride=8), nn.ReLU())


@pytest.fixture
def extended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CODECS, "deflate", Codec(deflate, inflate, lossless=True, max_bits=8))
    monkeypatch.setitem(ENCODERS, "stem", Encoder(stem, channels=24, stride=8))
    monkeypatch.setitem(
        DECODERS, "brightness", lambda channels, stride: decoder([channels, 16, 16, 8], 1)
    )
    monkeypatch.setitem(LOSSES, "brightness", TaskLoss(brightness_loss, math.log(2) / 2))
    monkeypatch.setitem(SUMS, "brightness", brightness_sums)
    score = Score("closeness", "Closeness", "nat", closeness, "Brightness", Print("nat", 1, 3))
    monkeypatch.setitem(SCORES, "brightness", score)
    picture = Picture(lambda x_B1HW: grey(x_B1HW[:, 0]), lambda truth: grey(brightness(truth)), ())
    monkeypatch.setitem(PICTURES, "brightness", picture)


@pytest.mark.usefixtures("extended")
def test_what_is_added_runs_from_the_settings_to_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = small_params() | {
        "encoders": ["stem"],
        "codecs": POINTS,
        "tasks": ["brightness", "reconstruction"],
    }
    params["tracking"]["enabled"] = False
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    streets.main()
    prepare.main()
    encode_pictures.main()
    for arm in ARMS:
        train.main("stem", arm, 0)
        fit.main("stem", arm, 0)
        export.main("stem", arm, 0)
        encode.main("stem", arm, 0)
        evaluate.main("stem", arm, 0)
    train.main("stem", PICTURE_ARM, 0)
    evaluate.main("stem", PICTURE_ARM, 0)
    report.main()

    points = pd.read_csv("reports/points.csv")
    assert list(points["codec"].unique()) == [*POINTS, *params["entropy"]["codecs"]]
    assert np.isfinite(points[["bpfe", "closeness", "psnr"]].to_numpy()).all()
    at = points.set_index(["arm", "codec"])
    # Both are lossless, so they serve the same features.
    assert at.loc[("proposed", "png"), "closeness"] == at.loc[("proposed", "deflate"), "closeness"]
    rates = json.loads(Path("reports/bd_rate.json").read_text())
    assert set(rates["bd_rate"]["stem-0"]) == {"closeness", "psnr"}
    page = Path("reports/index.html").read_text()
    shown = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.S)
    for words in ("Stem", "Closeness", "DEFLATE", "Brightness"):
        assert words in shown, words
    for figure in ("rate-accuracy-stem", "predictions-stem-proposed"):
        assert Path(f"reports/figures/{figure}.png").is_file()
    assert "Closeness" in Path("reports/tables/table.md").read_text()
