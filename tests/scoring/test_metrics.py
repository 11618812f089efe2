"""Scores against the official Cityscapes evaluation, torchmetrics, scikit-image and plain loops."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from torchmetrics.classification import MulticlassJaccardIndex

from pipeline.labels import CLASSES, ID_OF
from pipeline.scoring.metrics import (
    SCORES,
    bits_per_element,
    bits_per_element_resampled,
    iou_per_class,
    official_mean_iou,
    segmentation_facts,
)

K = len(CLASSES)


def label_maps(seed: int = 0, *, absent: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction of five odd-sized images, the prediction right at about half of it."""
    generator = np.random.default_rng(seed)
    classes = np.setdiff1d(np.arange(K), absent)
    truth_NHW = generator.choice(classes, (5, 13, 17))
    prediction_NHW = np.where(
        generator.random(truth_NHW.shape) < 0.5, truth_NHW, generator.choice(classes, (5, 13, 17))
    )
    return np.where(generator.random(truth_NHW.shape) < 0.1, 255, truth_NHW), prediction_NHW


def confusion_of(truth_NHW: np.ndarray, prediction_NHW: np.ndarray) -> np.ndarray:
    confusion_NKK = np.zeros((len(truth_NHW), K, K), np.int64)
    for n, y, x in np.ndindex(truth_NHW.shape):
        if truth_NHW[n, y, x] != 255:
            confusion_NKK[n, truth_NHW[n, y, x], prediction_NHW[n, y, x]] += 1
    return confusion_NKK


def test_miou_is_the_official_evaluations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its module reads the data set's folder from the environment when imported.
    monkeypatch.setenv("CITYSCAPES_DATASET", str(tmp_path))
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official

    truth_NHW, prediction_NHW = label_maps(absent=(4, 16))
    id_of_train_id = np.zeros(256, np.uint8)
    id_of_train_id[:K] = [ID_OF[name] for name in CLASSES]
    files: dict[str, list[str]] = {"prediction": [], "truth": []}
    for kind, maps in (("prediction", prediction_NHW), ("truth", truth_NHW)):
        for n, map_HW in enumerate(maps):
            files[kind].append(str(tmp_path / f"{kind}{n}.png"))
            Image.fromarray(id_of_train_id[map_HW]).save(files[kind][-1])
    for option in ("evalInstLevelScore", "JSONOutput"):
        monkeypatch.setattr(official.args, option, False)
    monkeypatch.setattr(official.args, "quiet", True)
    result = official.evaluateImgLists(files["prediction"], files["truth"], official.args)

    sums = {"confusion": confusion_of(truth_NHW, prediction_NHW)}
    assert SCORES["segmentation"].compute(sums) == pytest.approx(result["averageScoreClasses"])
    per_class = iou_per_class(sums)
    for train_id, name in enumerate(CLASSES):
        expected = result["classScores"][name]
        assert per_class[train_id] == pytest.approx(expected, nan_ok=True)
    assert np.isnan(per_class[[4, 16]]).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_miou_is_torchmetrics(seed: int) -> None:
    truth_NHW, prediction_NHW = label_maps(seed)
    metric = MulticlassJaccardIndex(num_classes=K, ignore_index=255)
    expected = float(metric(torch.from_numpy(prediction_NHW), torch.from_numpy(truth_NHW)))
    sums = {"confusion": confusion_of(truth_NHW, prediction_NHW)}
    assert SCORES["segmentation"].compute(sums) == pytest.approx(expected, abs=1e-6)


def test_miou_is_of_the_classes_in_the_truth() -> None:
    confusion = np.zeros((1, K, K), np.int64)
    confusion[0, 0, 0], confusion[0, 0, 7] = 3, 1
    sums = {"confusion": confusion}
    assert SCORES["segmentation"].compute(sums) == pytest.approx(0.75)
    # The official script counts class 7, which the truth does not hold, as a zero.
    assert official_mean_iou(sums) == pytest.approx(0.75 / 2)
    assert segmentation_facts(sums) == {"miou_official": 0.375, "miou_classes": 1}


def test_a_resample_without_a_class_is_the_mean_of_the_others() -> None:
    confusion = np.zeros((2, K, K), np.int64)
    confusion[0, 0, 0], confusion[0, 0, 1] = 3, 1
    confusion[1, 1, 1] = 5
    resampled = SCORES["segmentation"].resampled({"confusion": confusion}, np.array([[2.0, 0]]))
    assert resampled == pytest.approx([0.75])


def test_miou_of_void_alone_is_not_a_number() -> None:
    sums = {"confusion": np.zeros((2, K, K), np.int64)}
    assert math.isnan(SCORES["segmentation"].compute(sums))


def test_psnr_is_scikit_images() -> None:
    generator = np.random.default_rng(0)
    truth_N3HW = generator.random((4, 3, 9, 11))
    prediction_N3HW = np.clip(truth_N3HW + 0.2 * generator.standard_normal((4, 3, 9, 11)), 0, 1)
    sums = {
        "image_squared_error": ((truth_N3HW - prediction_N3HW) ** 2).sum((1, 2, 3)),
        "image_values": np.full(4, 3 * 9 * 11),
    }
    expected = [
        peak_signal_noise_ratio(truth, prediction, data_range=1)
        for truth, prediction in zip(truth_N3HW, prediction_N3HW, strict=True)
    ]
    assert SCORES["reconstruction"].compute(sums) == pytest.approx(np.mean(expected))


def test_psnr_without_error_is_infinite_where_the_image_is_drawn() -> None:
    sums = {"image_squared_error": np.array([0.0, 27.0]), "image_values": np.array([2700, 2700])}
    assert SCORES["reconstruction"].compute(sums) == math.inf
    drawn = SCORES["reconstruction"].resampled(sums, np.array([[0.0, 2.0], [1.0, 1.0]]))
    np.testing.assert_allclose(drawn, [20.0, np.inf])


def test_irmse_is_one_over_the_mean_of_rmse() -> None:
    generator = np.random.default_rng(0)
    truth_NHW = generator.uniform(1, 100, (5, 7, 9)) * (generator.random((5, 7, 9)) < 0.8)
    truth_NHW[2] = 0
    prediction_NHW = generator.uniform(1, 100, (5, 7, 9))
    rmse = []
    for truth, prediction in zip(truth_NHW, prediction_NHW, strict=True):
        errors = [
            (prediction[at] - truth[at]) ** 2 for at in np.ndindex(truth.shape) if truth[at] > 0
        ]
        if errors:
            rmse.append(math.sqrt(sum(errors) / len(errors)))
    assert len(rmse) == 4
    valid_NHW = truth_NHW > 0
    sums = {
        "disparity_squared_error": ((prediction_NHW - truth_NHW) ** 2 * valid_NHW).sum((1, 2)),
        "disparity_pixels": valid_NHW.sum((1, 2)),
    }
    assert SCORES["disparity"].compute(sums) == pytest.approx(1 / np.mean(rmse))


def test_irmse_at_its_ends() -> None:
    nothing = {"disparity_squared_error": np.zeros(2), "disparity_pixels": np.zeros(2, int)}
    assert math.isnan(SCORES["disparity"].compute(nothing))
    perfect = {"disparity_squared_error": np.zeros(2), "disparity_pixels": np.ones(2, int)}
    assert SCORES["disparity"].compute(perfect) == math.inf


def test_bits_per_element_is_the_mean_over_images() -> None:
    bytes_N = np.array([1000, 2001, 17])
    expected = np.mean([8 * size / 4096 for size in bytes_N])
    assert bits_per_element(bytes_N, elements=4096) == pytest.approx(expected)
    drawn = bits_per_element_resampled(bytes_N, np.array([[0.0, 3.0, 0.0]]), elements=4096)
    np.testing.assert_allclose(drawn, [8 * 2001 / 4096])
    with pytest.raises(ValueError, match="one count for each"):
        bits_per_element_resampled(bytes_N, np.ones((1, 2)), elements=4096)


def random_sums(images: int, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        "confusion": generator.integers(0, 50, (images, K, K)),
        "disparity_squared_error": generator.uniform(1, 1000, images),
        "disparity_pixels": generator.integers(0, 3, images) * 31,
        "image_squared_error": generator.uniform(1, 10, images),
        "image_values": np.full(images, 3 * 77),
    }


@pytest.mark.parametrize("task", SCORES)
def test_resampled_scores_are_those_of_the_images_drawn(task: str) -> None:
    sums = random_sums(11)
    drawn_RN = np.random.default_rng(1).integers(11, size=(6, 11))
    counts_RN = np.stack([np.bincount(drawn, minlength=11) for drawn in drawn_RN]).astype(float)
    expected = [
        SCORES[task].compute({name: value[drawn] for name, value in sums.items()})
        for drawn in drawn_RN
    ]
    np.testing.assert_allclose(SCORES[task].resampled(sums, counts_RN), expected)


@pytest.mark.parametrize("task", SCORES)
def test_no_images_is_an_error(task: str) -> None:
    with pytest.raises(ValueError, match="at least one image"):
        SCORES[task].compute({name: value[:0] for name, value in random_sums(2).items()})


def test_scores_and_bd_rates_need_no_torch() -> None:
    code = "import sys, pipeline.scoring.bootstrap; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_what_a_network_must_score_to_have_learned_something() -> None:
    """Twice the mIoU, three quarters of the RMSE, 1 dB more than a constant prediction."""
    learned = {score.name: score.learned(0.3) for score in SCORES.values()}
    assert learned == pytest.approx({"miou": 0.6, "irmse": 1 / (0.75 / 0.3), "psnr": 1.3})
