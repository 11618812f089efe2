"""What the stages refuse although every file in itself is whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.artifacts import ArtifactError, ModelName, model_folder
from pipeline.coding.bitstream import encode_features
from pipeline.nets.split import SplitNet
from pipeline.params import parse
from pipeline.training.checkpoint import save_model
from stages.evaluate import headers
from stages.models import open_model

TASKS = ["segmentation", "disparity", "reconstruction"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"arm": "benchmark"}, "whose arm is benchmark, not proposed"),
        ({"seed": 3}, "whose seed is 3, not 0"),
        ({"tasks": TASKS[:2]}, "whose tasks is .'segmentation', 'disparity'., not"),
    ],
    ids=str,
)
def test_a_model_is_the_one_its_folder_is_named_after(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    values: dict[str, Any],
    changes: dict[str, Any],
    words: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    name = ModelName("encoder2", "proposed", 0)
    described = {**name._asdict(), "tasks": TASKS, **changes}
    save_model(model_folder(name), SplitNet("encoder2", described["tasks"]), described)
    if words is None:
        assert list(open_model(name, parse(values)).decoders) == TASKS
        return
    with pytest.raises(ArtifactError, match=words):
        open_model(name, parse(values))


def test_a_stream_is_of_the_codec_its_file_is_named_after() -> None:
    features_Chw = np.random.default_rng(0).random((4, 6, 8), np.float32)
    streams = [encode_features(features_Chw, 8, codec) for codec in ("png", "jpeg-90")]
    with pytest.raises(ArtifactError, match="bitstream 1: coded by jpeg-90, not png"):
        headers(streams, Path("streams/png.safetensors"), "png")
    assert headers(streams[:1], Path("streams/png.safetensors"), "png").tolist() == [23]
