"""What the report knows of each model, image by image, and the tables of points made from it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from pipeline.artifacts import ARMS
from pipeline.scoring.bootstrap import CurveSums, image_counts
from pipeline.scoring.coded import Coded
from pipeline.scoring.metrics import Score, Sums, bits_per_element

DRAW = 0
"""Seed of every bootstrap here: all intervals of a report come from the same resamples."""


@dataclass(frozen=True)
class Measured:
    """One model, measured on N images."""

    encoder: str
    arm: str
    seed: int
    elements: int
    """Of the features of an image, C h w."""
    pixels: int
    """Of an image, H W."""
    codecs: Mapping[str, Coded]
    uncompressed: Mapping[str, Sums] = field(default_factory=dict)
    """task -> sums with float features, neither quantised nor coded."""
    pictures: Mapping[str, Coded] = field(default_factory=dict)
    """JPEG quality -> the whole network run on the picture coded at it."""
    rate_loss_N: np.ndarray | None = None
    """L_r of each image."""
    levels: Mapping[str, float] = field(default_factory=dict)
    """What its levels look like, as `pipeline.coding.statistics` describes it."""
    trained_on: Mapping[str, object] = field(default_factory=dict)
    """Device, precision and so on, as `pipeline.training.runtime` describes them."""
    coders: Mapping[str, str] = field(default_factory=dict)
    """codec -> name and version of the program that coded for it."""

    def curve(self, task: str, points: Iterable[str] | None = None) -> CurveSums:
        """Return the rate-accuracy curve of one task, rates in bits per element.

        points: names of the codec points it goes through; None for all.
        """
        coded = [self.codecs[name] for name in (self.codecs if points is None else points)]
        rate_PN = np.stack([8.0 / self.elements * x.bytes_N for x in coded])
        return CurveSums(rate_PN, [x.sums[task] for x in coded])

    @property
    def images(self) -> int:
        """Return on how many images it was measured."""
        return len(next(iter(self.codecs.values())).bytes_N)

    @property
    def key(self) -> dict[str, Any]:
        """What tells the model from others, as columns of a table."""
        return {"encoder": self.encoder, "arm": self.arm, "seed": self.seed}


def remembered(score: Score) -> Score:
    """Return the same score, which resamples the same sums once for all tables of a report.

    Draws are told apart by their number of resamples and the last of them, sums by their identity:
    only for as long as the sums are kept.
    """
    known: dict[tuple[int, int, bytes], np.ndarray] = {}

    def resampled(sums: Sums, counts_RN: np.ndarray) -> np.ndarray:
        key = id(sums), len(counts_RN), counts_RN[-1].tobytes()
        if key not in known:
            known[key] = score.resampled(sums, counts_RN)
        return known[key]

    return replace(score, resampled=resampled)


def points_table(models: Iterable[Measured], scores: Mapping[str, Score]) -> pd.DataFrame:
    """Return one row per model and codec, as `pipeline.report.found.table` describes it."""
    return pd.DataFrame(
        {
            **model.key,
            "codec": codec,
            "bpfe": bits_per_element(at.bytes_N, elements=model.elements),
            "bpfe_payload": bits_per_element(at.payload_N, elements=model.elements),
            **_sizes(at, model.pixels),
            **_scores(at.sums, scores),
        }
        for model in models
        for codec, at in model.codecs.items()
    )


def uncompressed_table(models: Iterable[Measured], scores: Mapping[str, Score]) -> pd.DataFrame:
    """Return scores of the float features: columns encoder, arm, seed and the scores' names."""
    rows = [model.key | _scores(model.uncompressed, scores) for model in models]
    return pd.DataFrame(rows)


def picture_table(models: Iterable[Measured], scores: Mapping[str, Score]) -> pd.DataFrame:
    """Return, of the picture sent: encoder, arm, seed, quality, bpp, kilobytes, scores."""
    rows = [
        {**model.key, "quality": int(quality), **_sizes(at, model.pixels)}
        | _scores(at.sums, scores)
        for model in models
        for quality, at in sorted(model.pictures.items(), key=lambda x: -int(x[0]))
    ]
    names = ["encoder", "arm", "seed", "quality", "bpp", "kilobytes"]
    return pd.DataFrame(rows, columns=[*names, *(score.name for score in scores.values())])


def band_table(
    models: Sequence[Measured], scores: Mapping[str, Score], *, resamples: int, level: float
) -> pd.DataFrame:
    """Return the bootstrap interval of each score at each codec point, over images and seeds.

    Returns columns encoder, arm, codec, score, low, high. These are intervals of each arm alone:
    how hard the images happen to be is in them, which the paired intervals of BD-rates leave out.
    """
    groups: dict[tuple[str, str], list[Measured]] = {}
    for model in models:
        groups.setdefault((model.encoder, model.arm), []).append(model)
    rows = []
    for (encoder, arm), seeds in groups.items():
        counts_RN = image_counts(seeds[0].images, resamples=resamples, seed=DRAW)
        drawn_SR = np.random.default_rng([DRAW, 1]).integers(
            len(seeds), size=(len(seeds), resamples)
        )
        for codec in seeds[0].codecs:
            for task, score in scores.items():
                sums = [seed.codecs[codec].sums[task] for seed in seeds]
                of_SR = np.stack([score.resampled(each, counts_RN) for each in sums])
                mean_R = np.take_along_axis(of_SR, drawn_SR, axis=0).mean(0)
                ends = [(1 - level) / 2, (1 + level) / 2]
                # Between two infinite scores there is none to interpolate.
                with np.errstate(invalid="ignore"):
                    low, high = np.nanquantile(mean_R, ends)
                rows.append((encoder, arm, codec, score.name, low, high))
    return pd.DataFrame(rows, columns=["encoder", "arm", "codec", "score", "low", "high"])


def levels_table(models: Iterable[Measured]) -> pd.DataFrame:
    """Return what the levels of each model look like, with its mean rate loss.

    Returns the columns encoder, arm, seed, those of `LevelStatistics`, and rate_loss. Models
    without them have no row.
    """
    rows = [
        {
            **model.key,
            **model.levels,
            "rate_loss": np.nan if model.rate_loss_N is None else float(model.rate_loss_N.mean()),
        }
        for model in models
        if model.levels
    ]
    return pd.DataFrame(rows)


def rate_loss_table(models: Iterable[Measured]) -> pd.DataFrame:
    """Return how well L_r of an image foretells its real bytes, per model and codec.

    Returns columns encoder, arm, seed, codec, pearson, spearman (NaN where either is constant),
    images.
    """
    rows = []
    for model in models:
        for codec, at in model.codecs.items() if model.rate_loss_N is not None else ():
            both = pd.DataFrame({"loss": model.rate_loss_N, "bytes": at.bytes_N})
            varied = len(both) > 1 and (both.nunique() > 1).all()
            r, rank = (
                (both.corr(method)["loss"]["bytes"] for method in ("pearson", "spearman"))
                if varied
                else (np.nan, np.nan)
            )
            rows.append({**model.key, "codec": codec, "pearson": r, "spearman": rank})
            rows[-1]["images"] = len(both)
    names = ["encoder", "arm", "seed", "codec", "pearson", "spearman", "images"]
    return pd.DataFrame(rows, columns=names)


def iou_table(models: Iterable[Measured], scores: Mapping[str, Score]) -> pd.DataFrame:
    """Return what each score is made of, at each codec and without compression.

    Returns columns encoder, arm, seed, codec (or "uncompressed"), class (name of the part), iou
    (its value; NaN where neither truth nor prediction has it). Scores of one part have no rows.
    """
    rows = []
    for model in models:
        sums_at = {codec: at.sums for codec, at in model.codecs.items()}
        for codec, sums in {**sums_at, "uncompressed": model.uncompressed}.items():
            for task, score in scores.items():
                parts = score.parts(sums[task]) if score.parts and task in sums else {}
                rows += [
                    {**model.key, "codec": codec, "class": name, "iou": value}
                    for name, value in parts.items()
                ]
    return pd.DataFrame(rows, columns=["encoder", "arm", "seed", "codec", "class", "iou"])


def pairs(models: Iterable[Measured]) -> dict[str, dict[int, tuple[Measured, Measured]]]:
    """Return encoder -> seed -> (benchmark, proposed), for the seeds that have both."""
    found: dict[str, dict[int, dict[str, Measured]]] = {}
    for model in models:
        found.setdefault(model.encoder, {}).setdefault(model.seed, {})[model.arm] = model
    return {
        encoder: {s: (x[ARMS[0]], x[ARMS[1]]) for s, x in seeds.items() if set(x) >= set(ARMS)}
        for encoder, seeds in found.items()
    }


def _sizes(at: Coded, pixels: int) -> dict[str, float]:
    mean = float(at.bytes_N.mean())
    return {"bpp": 8 * mean / pixels, "kilobytes": mean / 1000}


def _scores(sums: Mapping[str, Sums], scores: Mapping[str, Score]) -> dict[str, float]:
    found = {scores[t].name: scores[t].compute(x) for t, x in sums.items() if t in scores}
    for task, score in scores.items():
        if score.facts and task in sums:
            found |= score.facts(sums[task])
    return found
