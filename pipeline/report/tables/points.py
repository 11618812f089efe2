"""The other tables in words: the codec points, the references, the joint view, the rate loss."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pipeline.artifacts import ARMS
from pipeline.report.tables.grid import Footnotes, Grid
from pipeline.report.text.names import (
    Row,
    codec_title,
    encoder_title,
    model_title,
    percent,
    print_of,
    signed,
    with_unit,
)
from pipeline.report.text.why import remark
from pipeline.scoring.bootstrap import mean_percent
from pipeline.scoring.metrics import Score

FLOAT_BITS = 32.0
"""Of a feature element that is neither quantised nor coded."""


def point_grids(
    compared: pd.DataFrame, uncompressed: pd.DataFrame, scores: Mapping[str, Score]
) -> list[Grid]:
    """Return, per encoder, from `point_table`: the arms at each codec, and without compression."""
    several = compared["seed"].nunique() > 1
    heads = ["Codec", *(["Seed"] if several else []), "BPFE benchmark", "BPFE proposed", "Bits"]
    heads += _score_heads(scores)
    grids = []
    free = _free_rows(uncompressed, scores)
    for encoder, group in pd.concat([compared, free]).groupby("encoder", sort=False):
        rows = []
        # Seeds of one codec stand together: that is what one compares.
        for codec, of_codec in group.groupby("codec", sort=False):
            for row in of_codec.to_dict("records"):
                cells = [codec_title(str(codec)), *([str(row["seed"])] if several else [])]
                cells += [f"{row['bpfe_benchmark']:.3f}", f"{row['bpfe_proposed']:.3f}"]
                cells.append(percent(row["bits_percent"]))
                cells += [_score_cell(row, score) for score in scores.values()]
                rows.append(tuple(cells))
        title = (
            f"{encoder_title(str(encoder))} at each codec point: bits per feature element (BPFE) "
            "of both arms, then the proposed arm's scores and, in brackets, their change against "
            "the benchmark."
        )
        if len(free):
            title += " Uncompressed: float features, neither quantised nor coded."
        grids.append(Grid(f"points-{encoder}", title, tuple(heads), tuple(rows), words=1 + several))
    return grids


def _free_rows(uncompressed: pd.DataFrame, scores: Mapping[str, Score]) -> pd.DataFrame:
    if not {score.name for score in scores.values()} & set(uncompressed.columns):
        return pd.DataFrame()
    keys = ["encoder", "seed"]
    anchor, test = (uncompressed[uncompressed["arm"] == arm] for arm in ARMS)
    both = anchor.merge(test, on=keys, suffixes=("_benchmark", "_proposed"))
    table = both[keys].assign(
        codec="uncompressed", bpfe_benchmark=FLOAT_BITS, bpfe_proposed=FLOAT_BITS, bits_percent=0.0
    )
    for score in scores.values():
        test_score, anchor_score = both[f"{score.name}_proposed"], both[f"{score.name}_benchmark"]
        table[f"{score.name}_proposed"] = test_score
        table[f"{score.name}_change"] = test_score - anchor_score
    return table


def _score_cell(row: Row, score: Score) -> str:
    value, change = row[f"{score.name}_proposed"], row[f"{score.name}_change"]
    if not np.isfinite(value):
        return "n/a"
    _, scale, digits = print_of(score)
    return f"{scale * value:.{digits}f} ({signed(scale * change, digits)})"


def _score_heads(scores: Mapping[str, Score]) -> list[str]:
    return [with_unit(score.label, print_of(score).unit) for score in scores.values()]


def picture_grid(pictures: pd.DataFrame, scores: Mapping[str, Score]) -> Grid:
    """Return from `picture_table`: the network run in the cloud on the picture sent as JPEG."""
    rows = []
    for row in pictures.to_dict("records"):
        cells = [model_title(row, pictures), f"JPEG-{row['quality']}"]
        cells += [f"{row['kilobytes']:.2f}", f"{row['bpp']:.3f}"]
        for score in scores.values():
            _, scale, digits = print_of(score)
            known = np.isfinite(row[score.name])
            cells.append(f"{scale * row[score.name]:.{digits}f}" if known else "n/a")
        rows.append(tuple(cells))
    heads = ("Encoder", "Picture as", "kB per image", "Bits per pixel", *_score_heads(scores))
    title = (
        "The classical alternative: the input picture itself is sent as JPEG, and the whole "
        "network of the benchmark arm runs in the cloud."
    )
    return Grid("pictures", title, heads, tuple(rows), words=2)


def bounds_grid(bounds: pd.DataFrame, scores: Mapping[str, Score], *, level: float) -> Grid:
    """Return what changes at each codec point, from `bounds_table`: a row per encoder and point."""
    rows = []
    for row in bounds.to_dict("records"):
        bits = percent(row["bits_percent"])
        if np.isfinite(row["bits_low"]):
            bits += f" [{signed(row['bits_low'], 1)}, {signed(row['bits_high'], 1)}]"
        cells = [encoder_title(str(row["encoder"])), codec_title(str(row["codec"])), bits]
        for score in scores.values():
            _, scale, digits = print_of(score)
            cell = signed(scale * row[f"{score.name}_change"], digits)
            bound = row[f"{score.name}_bound"]
            if np.isfinite(bound):
                cell += f" (above {signed(scale * bound, digits)})"
            cells.append(cell)
        rows.append(tuple(cells))
    seeds = int(bounds["seeds"].max())
    title = (
        "What the rate loss changes at each codec point: bits, and every score, proposed arm minus "
        "benchmark. "
    )
    title += (
        f"Means over {seeds} seeds, whose arms are paired. Square brackets hold the "
        f"{100 * level:g} % interval over images and seeds. A change lies above the value in round "
        f"brackets with {100 * level:g} % confidence."
        if seeds > 1
        else "One pair of trainings, so there are no bounds: nothing is known of the noise of "
        "training."
    )
    heads = ("Encoder", "Codec", "Bits", *_score_heads(scores))
    return Grid("bounds", title, heads, tuple(rows), words=2)


def joint_grid(joint: pd.DataFrame, *, loss_percent: float, level: float) -> Grid:
    """Return, from `joint_table`: a row per encoder and seed, the arms side by side."""
    notes = Footnotes()
    rows = []
    several = joint["seed"].nunique() > 1
    for encoder, group in joint.groupby("encoder", sort=False):
        for row in group.to_dict("records"):
            cells = [model_title(row, joint)]
            cells += [_joint_cell(row, arm, notes) for arm in ARMS]
            cells += [_number(row[f"kilobytes_{arm}"], 2) for arm in ARMS]
            rows.append((*cells, percent(row["bits_percent"])))
        first = group.to_dict("records")[0]
        mean = (
            mean_percent(group["bits_percent"]) if group["bits_percent"].notna().all() else np.nan
        )
        cell = percent(mean)
        if np.isfinite(first["low"]) and np.isfinite(mean):
            cell += f" [{signed(first['low'], 1)}, {signed(first['high'], 1)}]"
            cell += ", no difference shown" if first["low"] <= 0 <= first["high"] else ""
        if not several:
            cell += " " + notes.mark("one seed says nothing of the noise of training: do not quote")
        who = f"{encoder_title(str(encoder))}, {'mean' if several else 'interval over images'}"
        rows.append((who, *("" for _ in range(4)), cell))
    heads = ("Encoder", *(f"BPFE {arm}" for arm in ARMS), *(f"kB {arm}" for arm in ARMS), "Bits")
    title = (
        "One bitstream serves all tasks: the lowest rate at which no task loses more than "
        f"{loss_percent:g} % of its score. Both arms are held against the same scores, those of "
        "the benchmark of the same seed with uncompressed features. In round brackets the task "
        f"that sets the rate; in square ones the {100 * level:g} % interval."
    )
    return Grid("joint", title, heads, tuple(rows), notes.all())


def _joint_cell(row: Row, arm: str, notes: Footnotes) -> str:
    text = _number(row[f"bpfe_{arm}"], 3)
    note = remark(row[f"remark_{arm}"])
    return f"{text} {notes.mark(note)}" if note else f"{text} ({row[f'limiting_{arm}']})"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "n/a"


def levels_grid(levels: pd.DataFrame) -> Grid:
    """Return what the quantiser makes of each arm's features, from `levels_table`."""
    rows = [
        (
            *(model_title(row, levels), row["arm"]),
            *(f"{row['span']:.2f}", f"{row['deviation']:.2f}", f"{100 * row['lowest']:.1f}"),
            *(f"{row['entropy']:.3f}", f"{row['rate_loss']:.4f}"),
        )
        for row in levels.to_dict("records")
    ]
    title = (
        "What the quantiser makes of the features. Range: largest minus smallest feature of an "
        "image. Deviation: of the levels. A rate loss in units of the range can be lowered by a "
        "larger range alone: then the deviation falls, and a quantiser of fewer bits would save "
        "the same. Lowest: levels that are 0. Entropy: of the levels' histogram. All are means "
        "over images."
    )
    heads = ("Encoder", "Arm", "Range", "Deviation (levels)", "Lowest (%)", "Entropy (bits)")
    return Grid("levels", title, (*heads, "Rate loss"), tuple(rows), words=2)


def rate_loss_grid(rate_loss: pd.DataFrame) -> Grid:
    """Return, from `rate_loss_table`: a row per model, a column per codec."""
    codecs = list(dict.fromkeys(rate_loss["codec"]))
    rows = []
    for _, group in rate_loss.groupby(["encoder", "arm", "seed"], sort=False):
        by_codec = {row["codec"]: row for row in group.to_dict("records")}
        first = next(iter(by_codec.values()))
        cells = (signed(by_codec[x]["pearson"], 2) for x in codecs)
        rows.append((model_title(first, rate_loss), first["arm"], *cells))
    title = (
        "Does the rate loss measure bits? Correlation (Pearson) between the rate loss of an image "
        f"and the bytes of its bitstream, over {rate_loss['images'].max():,} images."
    )
    heads = ("Encoder", "Arm", *(codec_title(codec) for codec in codecs))
    return Grid("rate-loss", title, heads, tuple(rows), words=2)
