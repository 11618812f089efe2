"""What a user loses at a codec point, and how sure that is: the sentence an engineer needs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pipeline.report.found.models import DRAW, Measured, pairs
from pipeline.scoring.bootstrap import effect_interval, image_counts
from pipeline.scoring.metrics import Score, bits_per_element_resampled
from pipeline.scoring.repeats import repeated_effect


def bounds_table(
    models: Sequence[Measured], scores: Mapping[str, Score], *, resamples: int, level: float
) -> pd.DataFrame:
    """Return the change of bits and scores at each codec point, mean over seeds, with its bounds.

    The arms are paired within seed and image. Returns a row per encoder and codec point with the
    columns encoder, codec, seeds, `bits_percent` and the ends of its interval `bits_low`,
    `bits_high`; for each score `<name>_change` and `<name>_bound`, in the score's own unit. The
    change is above `<name>_bound` with a confidence of `level`, one-sided. Of one seed the bounds
    are NaN: nothing is known of the noise of training.
    """
    rows = []
    for encoder, seeds in pairs(models).items():
        if not seeds:
            continue
        first = next(iter(seeds.values()))[0]
        counts_RN = image_counts(first.images, resamples=resamples, seed=DRAW)
        for codec in first.codecs:
            changes = [_changes(pair, codec, scores, counts_RN) for pair in seeds.values()]
            several = len(changes) > 1
            whole_S, resampled_SR = _stacked(changes, "bits")
            ends = effect_interval(whole_S, resampled_SR, level) if several else None
            low, high = ends or (np.nan, np.nan)
            row: dict[str, object] = {
                **{"encoder": encoder, "codec": codec, "seeds": len(changes)},
                "bits_percent": 100 * np.expm1(whole_S.mean()),
                "bits_low": 100 * np.expm1(low),
                "bits_high": 100 * np.expm1(high),
            }
            for score in scores.values():
                whole_S, resampled_SR = _stacked(changes, score.name)
                known = several and np.isfinite(whole_S).all() and np.isfinite(resampled_SR).all()
                bound = repeated_effect(whole_S, resampled_SR).at_least(level) if known else np.nan
                row |= {f"{score.name}_change": whole_S.mean(), f"{score.name}_bound": bound}
            rows.append(row)
    return pd.DataFrame(rows)


Changes = dict[str, tuple[float, np.ndarray]]
"""Name -> (change over all images, (R,) change over each resample)."""


def _changes(
    pair: tuple[Measured, Measured],
    codec: str,
    scores: Mapping[str, Score],
    counts_RN: np.ndarray,
) -> Changes:
    """Return ln(bits of the proposed / bits of the benchmark) and the change of each score."""
    anchor, test = (model.codecs[codec] for model in pair)
    all_1N = np.concatenate([np.ones((1, counts_RN.shape[1])), counts_RN])
    elements = pair[0].elements
    bits = [
        bits_per_element_resampled(x.bytes_N, all_1N, elements=elements) for x in (anchor, test)
    ]
    found = {"bits": np.log(bits[1] / bits[0])}
    for task, score in scores.items():
        before, after = (score.resampled(x.sums[task], all_1N) for x in (anchor, test))
        # Two infinite scores, of predictions that are the truth itself, have no difference.
        with np.errstate(invalid="ignore"):
            found[score.name] = after - before
    return {name: (float(x[0]), x[1:]) for name, x in found.items()}


def _stacked(changes: Sequence[Changes], name: str) -> tuple[np.ndarray, np.ndarray]:
    whole, resampled = zip(*(x[name] for x in changes), strict=True)
    return np.array(whole), np.stack(resampled)
