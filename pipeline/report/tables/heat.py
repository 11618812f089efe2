"""Intersection over union of each class as tables to colour by value."""

from typing import Any

import pandas as pd

from pipeline.artifacts import ARMS
from pipeline.report.text.names import codec_title


def heat_tables(iou: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return encoder -> what to show -> (codecs, rows of class name and values), means over seeds.

    Shown are both arms and, where there are both, the difference.
    """
    found: dict[str, dict[str, Any]] = {}
    for encoder, of_encoder in iou.groupby("encoder", sort=False):
        wide = {
            arm: group.pivot_table("iou", "class", "codec", sort=False, dropna=False)
            for arm, group in of_encoder.groupby("arm", sort=False)
        }
        if set(ARMS) <= set(wide):
            wide["difference"] = wide[ARMS[1]] - wide[ARMS[0]]
        found[str(encoder)] = {
            str(what): ([codec_title(str(codec)) for codec in table], list(table.itertuples()))
            for what, table in wide.items()
        }
    return found
