"""Rate against accuracy: the panels of the paper's Figure 4."""

from collections.abc import Sequence

import pandas as pd

from pipeline.report.charts.inks import ARM_LOOKS, UNDER_TO_OVER, arm_keys
from pipeline.report.charts.rates import (
    envelope_and_rest,
    level,
    mean_over_seeds,
    rate_axis,
    told_rates,
    told_score,
    values,
)
from pipeline.report.charts.record import Axis, Chart, Key, Look, Panel, Series
from pipeline.report.found.findings import Findings
from pipeline.report.found.table import check_points
from pipeline.report.text.names import codec_title, encoder_title, print_of, task_title
from pipeline.scoring.hull import monotone_envelope
from pipeline.scoring.metrics import Score

PICTURE = Look("picture", dash="dashdot", mark="triangle", filled=False)
NEUTRAL = Look("neutral")
DOTTED = Look("neutral", dash="dot")


def rate_accuracy(findings: Findings, rate: str, published: pd.DataFrame) -> Chart:
    """Describe score over rate: a row per score, a column per encoder; one encoder has one row.

    `rate` is the column that holds the rate. The marks are means over seeds, one per codec point.
    A line joins those that no other of the arm beats; of several seeds each has its own thin one.
    `published` has the authors' points, or no rows. A picture sent as JPEG has no feature elements,
    so it has no rate in bits per feature element.
    Raises ValueError for a table of points that is none (see `check_points`).
    """
    present = check_points(findings.points, findings.scores)
    encoders = list(dict.fromkeys(findings.points["encoder"]))
    return Chart(
        panels=tuple(
            Panel(
                encoder_title(encoder),
                task_title(task).lower(),
                rate_axis(rate),
                Axis(score.label, print_of(score).unit),
                (
                    *_bands(findings, encoder, score, rate),
                    *_levels(findings, encoder, score, rate),
                    *_published(published, encoder, score, rate),
                    *_seeds(findings, encoder, score, rate),
                    *_pictures(findings, encoder, score, rate),
                    *_curves(findings, encoder, score, rate),
                ),
            )
            for task, score in present.items()
            for encoder in encoders
        ),
        columns=len(encoders) if len(encoders) > 1 else len(present),
        legend=_legend(findings, rate, published),
    )


def _legend(findings: Findings, rate: str, published: pd.DataFrame) -> tuple[Key, ...]:
    keys = list(arm_keys())
    if findings.points["seed"].nunique() > 1:
        keys.append(Key("single seeds", "thin", NEUTRAL))
    if len(findings.bands):
        keys.append(Key(f"{100 * findings.level:g} % interval over images", "band", NEUTRAL))
    if any(score.name in findings.uncompressed for score in findings.scores.values()):
        keys.append(Key("uncompressed features", "thin", DOTTED))
    if len(published):
        keys.append(Key("points of the paper", "thin", NEUTRAL))
    if len(findings.pictures) and rate in findings.pictures:
        keys.append(Key("picture as JPEG", "curve", PICTURE))
    return tuple(keys)


def _of(table: pd.DataFrame, encoder: str, arm: str | None = None) -> pd.DataFrame:
    if table.empty:
        return table
    rows = table["encoder"] == encoder
    return table[rows if arm is None else rows & (table["arm"] == arm)]


def _mean(findings: Findings, encoder: str, arm: str, score: Score, rate: str) -> pd.DataFrame:
    """Return the mean over seeds with its interval, rising in rate; ends NaN without intervals."""
    points = _of(findings.points, encoder, arm)
    bands = _of(findings.bands, encoder, arm)
    ends = bands[bands["score"] == score.name][["codec", "low", "high"]]
    mean = mean_over_seeds(points, "codec", score.name)
    return mean.merge(ends, on="codec", how="left").sort_values(rate)


def _bands(findings: Findings, encoder: str, score: Score, rate: str) -> list[Series]:
    scale = print_of(score).scale
    found = []
    for arm in UNDER_TO_OVER:
        mean = _mean(findings, encoder, arm, score, rate).dropna(subset=["low", "high"])
        mean = mean.iloc[monotone_envelope(mean[rate], mean[score.name])]
        if len(mean):
            ends = (values(scale * mean["low"]), values(scale * mean["high"]))
            found.append(Series("band", ARM_LOOKS[arm], values(mean[rate]), *ends))
    return found


def _levels(findings: Findings, encoder: str, score: Score, rate: str) -> list[Series]:
    """Return the score of float features of each arm, across all rates of the panel."""
    if score.name not in findings.uncompressed:
        return []
    tables = [_of(x, encoder) for x in (findings.points, findings.pictures)]
    rates = pd.concat([table[rate] for table in tables if rate in table])
    found = []
    for arm in UNDER_TO_OVER:
        free = _of(findings.uncompressed, encoder, arm)[score.name]
        if len(free):
            told = f"{arm}, uncompressed\n{told_score(score, free.mean())}"
            value = print_of(score).scale * float(free.mean())
            found.append(level(ARM_LOOKS[arm], rates, value, told))
    return found


def _thin(table: pd.DataFrame, who: str, arm: str, score: Score, rate: str) -> Series:
    curve = table.iloc[monotone_envelope(table[rate], table[score.name])]
    return Series(
        "thin",
        ARM_LOOKS[arm],
        values(curve[rate]),
        values(print_of(score).scale * curve[score.name]),
        told=tuple(f"{who}, {codec_title(codec)}" for codec in curve["codec"]),
    )


def _published(published: pd.DataFrame, encoder: str, score: Score, rate: str) -> list[Series]:
    if score.name not in published:
        return []
    tables = [(arm, _of(published, encoder, arm)) for arm in UNDER_TO_OVER]
    return [_thin(x, f"the paper, {arm}", arm, score, rate) for arm, x in tables if len(x)]


def _seeds(findings: Findings, encoder: str, score: Score, rate: str) -> list[Series]:
    """Return the curve of each seed where there are several."""
    found = []
    for arm in UNDER_TO_OVER:
        by_seed = _of(findings.points, encoder, arm).groupby("seed")
        if len(by_seed) > 1:
            found += [_thin(x, f"{arm}, seed {seed}", arm, score, rate) for seed, x in by_seed]
    return found


def _pictures(findings: Findings, encoder: str, score: Score, rate: str) -> list[Series]:
    sent = _of(findings.pictures, encoder)
    if sent.empty or rate not in sent:
        return []
    mean = mean_over_seeds(sent, "quality", score.name).sort_values(rate)
    told = [
        f"picture as JPEG-{row['quality']}\n{told_rates(row)}\n{told_score(score, row[score.name])}"
        for row in mean.to_dict("records")
    ]
    y = values(print_of(score).scale * mean[score.name])
    return [Series("curve", PICTURE, values(mean[rate]), y, told=tuple(told))]


def _curves(findings: Findings, encoder: str, score: Score, rate: str) -> list[Series]:
    """Return each arm's mean points, with a tag and words at each, and the line of the best."""
    _, scale, digits = print_of(score)
    percent = f"{100 * findings.level:g} %"
    found = []
    for arm in UNDER_TO_OVER:
        mean = _mean(findings, encoder, arm, score, rate)
        told = [
            f"{arm}, {codec_title(row['codec'])}\n{told_rates(row)}"
            f"\n{told_score(score, row[score.name])}"
            f"\n{percent}: {scale * row['low']:.{digits}f} to {scale * row['high']:.{digits}f}"
            for row in mean.to_dict("records")
        ]
        if len(mean):
            y = values(scale * mean[score.name])
            tags = short_names(mean["codec"].tolist())
            x = values(mean[rate])
            found += envelope_and_rest(ARM_LOOKS[arm], x, y, better=y, tags=tags, told=tuple(told))
    return found


def short_names(codecs: Sequence[str]) -> tuple[str, ...]:
    """Return codec names for tight places: the number alone where one codec has all numbers.

    `png`, `jpeg-90` and `png@5` become `png`, `90` and `5b`. With `webp-90` beside them every name
    stays whole, since a number alone would not say whose it is; so does `jpeg-90@6`.
    """
    numbered = {codec.rpartition("-")[0] for codec in codecs if "-" in codec}
    at_depth = {codec.partition("@")[0] for codec in codecs if "@" in codec}

    def short(codec: str) -> str:
        name, own_depth, bits = codec.partition("@")
        if own_depth:
            return f"{bits}b" if len(at_depth) == 1 else codec
        return name.rpartition("-")[2] if len(numbered) == 1 else name

    return tuple(map(short, codecs))
