"""Rates and scores of coded images, by hand."""

import numpy as np
import pytest

from pipeline.artifacts import Coded
from pipeline.scoring.coded import per_image, rates_and_scores


def test_rates_and_scores_are_worked_out_by_hand() -> None:
    sums = {
        "disparity": {
            "disparity_squared_error": np.array([16.0, 0.0, 100.0]),
            "disparity_pixels": np.array([4, 0, 4]),
        }
    }
    coded = Coded(np.array([30, 30, 30]), np.array([70, 20, 120]), sums)
    assert coded.bytes_N.tolist() == [100, 50, 150]
    values = rates_and_scores(coded, 64)
    # 300 bytes, 210 of them payload, in three images of 64 elements.
    assert values == pytest.approx(
        {"bpfe": 8 * 100 / 64, "bpfe_payload": 8 * 70 / 64, "irmse": 2 / (2 + 5)}
    )
    of_images = per_image(coded, 64)
    assert list(of_images) == ["bytes", "bpfe", "irmse"]
    assert of_images["bytes"].tolist() == [100, 50, 150]
    assert of_images["bpfe"].tolist() == [12.5, 6.25, 18.75]
    # The second image has no valid pixel, so it has no score.
    np.testing.assert_allclose(of_images["irmse"], [1 / 2, np.nan, 1 / 5])
