"""The authors' published operating points, as a reference beside our own.

Source: Alvar and Bajic, ICIP 2019, the result logs published with its evaluation code: Cityscapes,
500 validation images of 512 x 256, codecs PNG and JPEG at quality 95, 90, 85, 80.
"""

from pathlib import Path

import pandas as pd

from pipeline.report.found.kinds import Kind
from pipeline.report.found.table import bd_table
from pipeline.scoring.metrics import SCORES

POINTS = Path(__file__).with_name("alvar2019_points.csv")
ELEMENTS = {"encoder1": 512 * 8 * 16, "encoder2": 256 * 16 * 32}
PIXELS = 512 * 256


def published_points() -> pd.DataFrame:
    """Return their twenty points as a table of points (`pipeline.report.found.table`), seed 0."""
    raw = pd.read_csv(POINTS)
    bytes_per_image = raw["total_bytes"] / raw["images"]
    bpfe = 8 * bytes_per_image / raw["encoder"].map(ELEMENTS)
    return raw[["encoder", "arm", "codec"]].assign(
        seed=0,
        bpfe=bpfe,
        bpfe_payload=bpfe,
        bpp=8 * bytes_per_image / PIXELS,
        kilobytes=bytes_per_image / 1000,
        miou=raw["mean_iou"],
        irmse=1 / raw["rmse"],
        psnr=raw["psnr_db"],
    )


def published_rates() -> pd.DataFrame:
    """Return the paper's Table 1: `bd_table` of its points."""
    points = published_points()
    codecs = list(dict.fromkeys(points["codec"]))
    return bd_table(points, SCORES, {"bd_rate": Kind(tuple(codecs), "cubic")})
