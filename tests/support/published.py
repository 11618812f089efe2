"""What the authors published, operating points and Table 1, read without the library."""

import csv
from pathlib import Path

import numpy as np

CODECS = ("png", "jpeg-95", "jpeg-90", "jpeg-85", "jpeg-80")
ELEMENTS = {"encoder1": 65536, "encoder2": 131072}
TABLE_1 = {
    ("encoder1", "miou"): -7.81,
    ("encoder1", "irmse"): -2.12,
    ("encoder1", "psnr"): -4.37,
    ("encoder2", "miou"): -20.68,
    ("encoder2", "irmse"): -5.15,
    ("encoder2", "psnr"): -6.09,
}
"""The paper's BD-rates, in per cent."""


def published(encoder: str, score: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The authors' operating points: anchor rate and score, test rate and score."""
    columns = []
    with (Path(__file__).parents[1] / "data" / "alvar2019_points.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["encoder"] == encoder]
    for arm in ("benchmark", "proposed"):
        of_arm = [row for row in rows if row["arm"] == arm]
        assert tuple(row["codec"] for row in of_arm) == CODECS
        bits = [8 * int(row["total_bytes"]) / int(row["images"]) for row in of_arm]
        columns.append(np.array(bits) / ELEMENTS[encoder])
        scores = {
            "miou": [float(row["mean_iou"]) for row in of_arm],
            "irmse": [1 / float(row["rmse"]) for row in of_arm],
            "psnr": [float(row["psnr_db"]) for row in of_arm],
        }
        columns.append(np.array(scores[score]))
    return columns[0], columns[1], columns[2], columns[3]
