"""One bitstream serves all tasks: the rate at which none of them loses too much."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from pipeline.artifacts import ARMS
from pipeline.report.found.models import DRAW, Measured, pairs
from pipeline.scoring.bootstrap import effect_interval, image_counts
from pipeline.scoring.joint import JointRate, joint_rate
from pipeline.scoring.metrics import Score, bits_per_element_resampled


def joint_table(
    models: Iterable[Measured],
    scores: Mapping[str, Score],
    *,
    loss_percent: float,
    resamples: int,
    level: float,
) -> pd.DataFrame:
    """Return the lowest rate at which no task loses more than `loss_percent`, for both arms.

    Both arms must reach the same scores: the reference of a task is the score of the benchmark of
    the same seed with uncompressed features. Models without those are left out. Returns a row per
    encoder and seed with the columns encoder, seed and, for each arm, `bpfe_<arm>`, `bpp_<arm>`,
    `kilobytes_<arm>` (NaN if no point is good enough), `limiting_<arm>` (the task that sets the
    rate, or empty) and `remark_<arm>` (a record of `pipeline.scoring.joint`, or None); then
    `bits_percent`, and `low`, `high`, the ends of the interval of its mean over seeds (the same in
    every row of an encoder; NaN if too few resamples have a rate).
    """
    rows = []
    for encoder, seeds in pairs(models).items():
        known = {seed: pair for seed, pair in seeds.items() if pair[0].uncompressed}
        if not known:
            continue
        low, high = _interval(list(known.values()), scores, loss_percent, resamples, level)
        for seed, pair in known.items():
            row: dict[str, object] = {"encoder": encoder, "seed": seed}
            rates = []
            every_1N = np.ones((1, pair[0].images))
            for arm, found in zip(
                ARMS, _rates(pair, scores, every_1N, loss_percent)[0], strict=True
            ):
                rate = np.nan if found.rate is None else found.rate
                bits = rate * pair[0].elements
                row |= {
                    f"bpfe_{arm}": rate,
                    f"bpp_{arm}": bits / pair[0].pixels,
                    f"kilobytes_{arm}": bits / 8000,
                    f"limiting_{arm}": found.limiting or "",
                    f"remark_{arm}": found.remark,
                }
                rates.append(rate)
            percent = 100 * (rates[1] / rates[0] - 1)
            rows.append(row | {"bits_percent": percent, "low": low, "high": high})
    return pd.DataFrame(rows)


def _interval(
    known: Sequence[tuple[Measured, Measured]],
    scores: Mapping[str, Score],
    loss_percent: float,
    resamples: int,
    level: float,
) -> tuple[float, float]:
    """Return the ends of the interval of the mean change of bits over seeds, in per cent."""

    def gaps(counts_RN: np.ndarray) -> np.ndarray:
        return np.array([_gaps(pair, scores, counts_RN, loss_percent) for pair in known])

    images = known[0][0].images
    counts_RN = image_counts(images, resamples=resamples, seed=DRAW)
    ends = effect_interval(gaps(np.ones((1, images)))[:, 0], gaps(counts_RN), level)
    return (np.nan, np.nan) if ends is None else (100 * np.expm1(ends[0]), 100 * np.expm1(ends[1]))


def _gaps(
    pair: tuple[Measured, Measured],
    scores: Mapping[str, Score],
    counts_RN: np.ndarray,
    loss_percent: float,
) -> list[float]:
    """Return ln(rate of the proposed / rate of the benchmark) of each resample; NaN if without."""
    gaps = []
    for anchor, test in _rates(pair, scores, counts_RN, loss_percent):
        known = anchor.rate is not None and test.rate is not None
        gaps.append(float(np.log(test.rate / anchor.rate)) if known else np.nan)  # type: ignore[operator]
    return gaps


def _rates(
    pair: tuple[Measured, Measured],
    scores: Mapping[str, Score],
    counts_RN: np.ndarray,
    loss_percent: float,
) -> list[tuple[JointRate, JointRate]]:
    """Return the joint rates of benchmark and proposed, for each of R resamples."""
    reference_R_of = {
        task: score.resampled(pair[0].uncompressed[task], counts_RN)
        for task, score in scores.items()
    }
    columns = []
    for model in pair:
        coded = model.codecs.values()
        rate_PR = np.stack(
            [
                bits_per_element_resampled(x.bytes_N, counts_RN, elements=model.elements)
                for x in coded
            ]
        )
        score_PR_of = {
            task: np.stack([score.resampled(x.sums[task], counts_RN) for x in coded])
            for task, score in scores.items()
        }
        columns.append((rate_PR, score_PR_of))

    def rate(arm: int, r: int) -> JointRate:
        rate_PR, score_PR_of = columns[arm]
        return joint_rate(
            rate_PR[:, r],
            {task: score_PR[:, r] for task, score_PR in score_PR_of.items()},
            {task: float(x_R[r]) for task, x_R in reference_R_of.items()},
            loss_percent=loss_percent,
        )

    return [(rate(0, r), rate(1, r)) for r in range(len(counts_RN))]


def lost_table(
    points: pd.DataFrame, uncompressed: pd.DataFrame, scores: Mapping[str, Score]
) -> pd.DataFrame:
    """Return the table of points with `lost`: per cent that the worst hit task loses at each.

    Against the benchmark of the same seed with uncompressed features; below 0 where every task
    gains.
    """
    names = [score.name for score in scores.values()]
    free = uncompressed.loc[uncompressed["arm"] == ARMS[0], ["encoder", "seed", *names]]
    both = points.merge(free, on=["encoder", "seed"], suffixes=("", "_free"))
    lost = pd.DataFrame({name: 100 * (1 - both[name] / both[f"{name}_free"]) for name in names})
    return both[list(points.columns)].assign(lost=lost.max(axis=1))
