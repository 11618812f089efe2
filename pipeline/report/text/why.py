"""Sentences for the records that say why a number does not exist or should not be quoted."""

import pandas as pd

from pipeline.artifacts import ARMS
from pipeline.report.found.obstacles import Missing, NoPoints, SeedsWithout
from pipeline.report.found.trust import ARM
from pipeline.report.text.names import Row
from pipeline.report.text.verdict import VERDICTS, outcome
from pipeline.scoring.joint import EveryPoint, Unreached
from pipeline.scoring.objections import (
    FarByMethod,
    InsideNoise,
    LittleOverlap,
    NotAlike,
    NotCodedAlike,
    NothingLearned,
    NotNearTop,
    Objection,
    OneSeed,
    SignByMethod,
    SignByPoint,
    SignNearTop,
    WideInterval,
    WithoutInterval,
)
from pipeline.scoring.obstacles import (
    FitFailed,
    FitLeavesPoints,
    NoOverlap,
    NotFinite,
    NotMonotone,
    NotPositive,
    TooFewPoints,
)
from pipeline.scoring.trust import NoRate, ResamplesWithout


def missing(obstacle: Missing) -> str:
    """Return why there is no BD-rate."""
    match obstacle:
        case NoPoints(arm):
            return f"there are no points of the {arm} arm"
        case SeedsWithout(seeds):
            return (
                f"there is no number for seed {', '.join(map(str, seeds))}; the diagnostics say why"
            )
        case NotFinite(curve):
            return f"the {ARM[curve]} curve has values that are not finite"
        case NotPositive(curve):
            return f"the {ARM[curve]} curve has rates that are not positive"
        case TooFewPoints(curve, points, needed):
            count = "1 point" if points == 1 else f"{points} points"
            return f"the {ARM[curve]} curve has {count}, fewer than {needed}"
        case NotMonotone(curve, beaten):
            named = ", ".join(
                f"point {x.index + 1} (rate {x.rate:.4g}, score {x.score:.4g})" for x in beaten
            )
            return (
                f"the {ARM[curve]} curve is not monotone: {named} "
                "scores no more than a point of the same or a lower rate"
            )
        case NoOverlap(over, anchor, test):
            ranges = [f"{low:.4g} to {high:.4g}" for low, high in (anchor, test)]
            unit = "" if over == "score" else " in ln(rate)"
            return (
                f"the {over} ranges do not overlap: {ARMS[0]} {ranges[0]}, "
                f"{ARMS[1]} {ranges[1]}{unit}"
            )
        case FitFailed(method, problem):
            return f"the {method} fit failed: {problem}"
        case FitLeavesPoints(method):
            return f"the {method} fit leaves the range of the points it goes through"


def no_interval(obstacle: NoRate | ResamplesWithout) -> str:
    """Return why there is no interval."""
    match obstacle:
        case NoRate(why):
            return f"there is no BD-rate on all images: {missing(why)}"
        case ResamplesWithout(failed, resamples):
            return f"{failed} of {resamples} resamples have no BD-rate"


def objection(against: Objection) -> str:
    """Return what speaks against quoting a BD-rate."""
    match against:
        case OneSeed():
            return "one seed says nothing of the noise of training"
        case NotAlike(differences):
            return f"the arms were not trained alike: {', '.join(differences)}"
        case NotCodedAlike(differences):
            return f"the models were not coded alike: {', '.join(differences)}"
        case NothingLearned(score, trivial):
            return (
                f"the benchmark has learned too little: it scores {score:.3g}, a prediction that "
                f"knows the training set alone {trivial:.3g}"
            )
        case InsideNoise(percent):
            return (
                f"it is inside the noise of training: two benchmarks of different seeds differ by "
                f"up to {percent:.1f} %"
            )
        case LittleOverlap(overlap):
            return f"the curves share only {100 * overlap:.0f} % of their range of scores"
        case SignByMethod():
            return "some methods of interpolation find bits saved and others find bits lost"
        case FarByMethod():
            return "methods of interpolation differ by more than a quarter of the value"
        case SignByPoint():
            return "its sign changes when one point is left out"
        case NotNearTop():
            return "the proposed arm does not reach the scores nearest to the benchmark's best"
        case SignNearTop(percent):
            return (
                f"it has the other sign, {percent:+.1f} %, over the scores nearest to the "
                "benchmark's best"
            )
        case WithoutInterval(why):
            return f"it has no interval: {no_interval(why)}"
        case WideInterval(x):
            return (
                f"its {100 * x.level:g} % interval, {x.low:+.2f} to {x.high:+.2f} %, "
                "is wider than the value is large"
            )


def _in_full(row: Row) -> str:
    """Return the verdict on a BD-rate with all that is behind it."""
    reasons = [missing(row["obstacle"])] if row["obstacle"] else map(objection, row["objections"])
    return ": ".join(filter(None, [VERDICTS[outcome(row)], "; ".join(reasons)]))


def without_records(joint: pd.DataFrame) -> pd.DataFrame:
    """Return `joint_table` with sentences in place of its records, for a CSV file."""
    printed = joint.copy()
    for column in (name for name in joint if str(name).startswith("remark_")):
        printed[column] = [remark(x) for x in joint[column]]
    return printed


def remark(found: Unreached | EveryPoint | None) -> str:
    """Return what is to be said of a joint rate; empty for nothing."""
    match found:
        case Unreached(task, lost, allowed):
            return f"{task} loses {lost:.3g} % even at the best point; {allowed:g} % are allowed"
        case EveryPoint():
            return "every point is good enough: an upper bound"
    return ""


def with_sentences(trust: pd.DataFrame) -> pd.DataFrame:
    """Return a table of `trust_table` with sentences in place of its records, for a CSV file."""
    printed = trust.copy()
    printed["obstacle"] = [missing(x) if x else "" for x in trust["obstacle"]]
    printed["no_interval"] = [no_interval(x) if x else "" for x in trust["no_interval"]]
    for arm in ARMS:
        if f"beaten_{arm}" in trust:
            named = [", ".join(x) if isinstance(x, tuple) else x for x in trust[f"beaten_{arm}"]]
            printed[f"beaten_{arm}"] = named
    printed["verdict"] = [_in_full(row) for row in trust.to_dict("records")]
    return printed.drop(columns="objections").rename(columns={"obstacle": "reason"})
