"""Predictions whose scores are known: the truth itself, as far as the page, and constants."""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pipeline.report.found.findings import Findings, find
from pipeline.report.found.models import Measured
from torch import Tensor
from torch.nn import functional

from pipeline.artifacts import (
    BD_RATE_FILE,
    SCORES_FILE,
    TABLES_FOLDER,
    Evaluation,
    read_evaluation,
    write_evaluation,
)
from pipeline.data.batches import Batch
from pipeline.inference import cloud
from pipeline.inference.edge import BATCH
from pipeline.labels import VOID
from pipeline.scoring.coded import Coded
from pipeline.scoring.metrics import SCORES, Sums
from stages.evaluate import image_table
from stages.report import write_tables
from tests.support.report_models import CODECS, KINDS, shown
from tests.support.report_page import page_of

IMAGES = BATCH + 2


class Frames:
    """Frames to serve, from memory."""

    def __init__(self, truth: Batch) -> None:
        self.truth = truth

    def __len__(self) -> int:
        return len(self.truth.image_B3HW)

    def over(self, order: Sequence[np.ndarray]) -> Iterator[Batch]:
        for indices in order:
            yield Batch(*(x[torch.from_numpy(indices)] for x in self.truth if x is not None))


class Net:
    """A back of a network whose features are the numbers of the frames."""

    def __init__(self, back: Callable[[Tensor], dict[str, Tensor]]) -> None:
        self.back = back


pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


def sums_of(truth: Batch, back: Callable[[Tensor], dict[str, Tensor]]) -> dict[str, Sums]:
    """The sums over the frames of what `back` predicts, served as bitstreams are."""
    features = torch.arange(len(truth.image_B3HW)).split(BATCH)
    return dict(cloud.serve(Net(back), Frames(truth), features).sums)  # type: ignore[arg-type]


def perfect_sums() -> dict[str, Sums]:
    rng = torch.Generator().manual_seed(0)
    label_BHW = torch.randint(0, 19, (IMAGES, 6, 8), generator=rng)
    label_BHW[torch.rand(label_BHW.shape, generator=rng) < 0.2] = VOID
    disparity_BHW = 126 * torch.rand(IMAGES, 6, 8, generator=rng)
    disparity_BHW[torch.rand(disparity_BHW.shape, generator=rng) < 0.2] = 0
    truth = Batch(torch.rand(IMAGES, 3, 6, 8, generator=rng), label_BHW, disparity_BHW)
    known_BHW = torch.where(label_BHW == VOID, 0, label_BHW)
    logits_BKHW = functional.one_hot(known_BHW, 19).movedim(-1, 1).float()
    return sums_of(
        truth,
        lambda frames_B: {
            "segmentation": logits_BKHW[frames_B],
            "disparity": disparity_BHW[frames_B, None],
            "reconstruction": truth.image_B3HW[frames_B],
        },
    )


PERFECT = perfect_sums()
BULK_N = np.random.default_rng(0).integers(500, 2000, IMAGES)


def perfect_points(rate: float) -> dict[str, Coded]:
    header_N = np.full(IMAGES, 22)
    return {
        codec: Coded(header_N, np.rint(rate * BULK_N / (1 + i)).astype(np.int64), PERFECT)
        for i, codec in enumerate(CODECS)
    }


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Both arms and two seeds that predict the truth, from the files that `evaluate` writes."""
    models = []
    for seed in (0, 1):
        for arm, rate in (("benchmark", 1.0), ("proposed", 0.9)):
            path = tmp_path_factory.mktemp("evaluation") / "sums.safetensors"
            names = tuple(f"frame {i}" for i in range(IMAGES))
            points = perfect_points(rate + seed / 100)
            pictures = {"90": points["png"]} if arm == "benchmark" else {}
            write_evaluation(path, Evaluation(points, 128, names, PERFECT, pictures))
            found = read_evaluation(path)
            models.append(
                Measured("encoder2", arm, seed, 128, 48, found.points, found.uncompressed)
            )
    return find(models, SCORES, kinds=KINDS, resamples=20, level=0.95, joint_loss=1.0)


def test_the_truth_has_the_best_scores_there_are() -> None:
    values = Coded(np.zeros(IMAGES), BULK_N, PERFECT).values(128)
    assert (values["miou"], values["irmse"], values["psnr"]) == (1, math.inf, math.inf)
    assert not PERFECT["disparity"]["disparity_squared_error"].any()
    assert PERFECT["disparity"]["disparity_pixels"].all()
    # What cannot be drawn over images is not there.
    of_images = Coded(np.zeros(IMAGES), BULK_N, PERFECT).per_image(128)
    assert (of_images["miou"] == 1).all()
    assert np.isnan([of_images["irmse"], of_images["psnr"]]).all()


def test_the_truth_is_reported_without_a_false_number(
    findings: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tables(findings, first_codec="png")
    scores = strict((tmp_path / SCORES_FILE).read_text())["png"]["encoder2-proposed-mean"]
    assert (scores["miou"], scores["irmse"], scores["psnr"]) == (1, None, None)
    rates = strict((tmp_path / BD_RATE_FILE).read_text())
    assert set(rates["bd_rate"]["encoder2-mean"].values()) == {None}
    for file in TABLES_FOLDER.iterdir():
        if file.suffix in (".md", ".tex"):
            # As words: "nan" is in "maintenance".
            assert not re.search(r"\b(nan|inf)\b", file.read_text()), file
    assert "100.00" in (TABLES_FOLDER / "table.md").read_text()


def test_the_truth_has_a_page(findings: Findings) -> None:
    page = page_of(findings, shown(list(findings.models)))
    charts = page.split('<script type="application/json">')[1:]
    assert charts
    for chart in charts:
        strict(chart.partition("</script>")[0])


def strict(text: str) -> Any:
    """Read JSON in which nan and infinity are no numbers."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} in JSON"))


def test_the_images_of_the_truth_are_logged_as_strict_json() -> None:
    names = tuple(f"frame {i}" for i in range(IMAGES))
    text = image_table(Evaluation(perfect_points(1.0), 128, names)).to_json(orient="split")
    row = strict(text)["data"][0]
    assert row[-3:] == [1.0, None, None]


def test_constants_have_the_scores_worked_out_by_hand() -> None:
    truth = Batch(
        torch.tensor([[0.25, 0.75], [1.0, 0.5]]).repeat(2, 3, 1, 1),
        torch.tensor([[[0, 0], [1, VOID]], [[0, 1], [2, 0]]]),
        torch.tensor([[[0.0, 3.0], [9.0, 5.0]], [[6.0, 0.0], [0.0, 0.0]]]),
    )
    truth.image_B3HW[1] = 1.0

    def constants(frames_B: Tensor) -> dict[str, Tensor]:
        size = (len(frames_B), 1, 2, 2)
        logits_BKHW = torch.zeros(len(frames_B), 19, 2, 2)
        logits_BKHW[:, 0] = 1
        return {
            "segmentation": logits_BKHW,
            "disparity": torch.full(size, 5.0),
            "reconstruction": torch.full((len(frames_B), 3, 2, 2), 0.5),
        }

    sums = sums_of(truth, constants)
    # Class 0 everywhere: 4 hits of 7 pixels that are not void; classes 1 and 2 are never hit.
    assert SCORES["segmentation"].compute(sums["segmentation"]) == pytest.approx((4 / 7) / 3)
    # Errors of 2, 4 and 0 pixels in the first image, of 1 pixel in the second.
    rmse = [math.sqrt((4 + 16 + 0) / 3), 1.0]
    assert SCORES["disparity"].compute(sums["disparity"]) == pytest.approx(2 / sum(rmse))
    # Squares of 1/4, 1/4, 1/2, 0 in the first image: MSE 3/32. In the second 1/4.
    psnr = [10 * math.log10(32 / 3), 10 * math.log10(4)]
    found = SCORES["reconstruction"].compute(sums["reconstruction"])
    assert found == pytest.approx(sum(psnr) / 2)
