"""A family of experiments over one benchmark: score over rate, a curve for each."""

from itertools import cycle

import pandas as pd

from pipeline.artifacts import ARMS
from pipeline.report.charts.inks import ARM_LOOKS
from pipeline.report.charts.rate_accuracy import short_names
from pipeline.report.charts.rates import envelope_and_rest, mean_over_seeds, rate_axis, values
from pipeline.report.charts.record import Axis, Chart, Key, Look, Panel, Series
from pipeline.report.found.family import HULL, Family
from pipeline.report.text.names import encoder_title, print_of, task_title
from pipeline.scoring.hull import hull_points
from pipeline.scoring.metrics import Score

BEST = Look("neutral", dash="dot")
MEMBERS = (
    Look("orange", mark="square"),
    Look("sky", mark="triangle"),
    Look("proposed", mark="circle"),
    Look("purple", mark="square", filled=False),
    Look("picture", mark="triangle", filled=False),
)
"""One after the other; a sixth member looks like the first."""


def family_chart(of: Family) -> Chart:
    """Describe score over rate, means over seeds: a row per score, a column per encoder.

    A line joins the points that no other of the same experiment beats. The dotted line joins the
    points on the hull of all members.
    """
    encoders = list(dict.fromkeys(of.benchmark["encoder"]))
    looks = dict(zip(of.members, cycle(MEMBERS), strict=False))
    return Chart(
        panels=tuple(
            Panel(
                encoder_title(encoder),
                task_title(task).lower(),
                rate_axis("bpfe"),
                Axis(score.label, print_of(score).unit),
                tuple(_panel(of, encoder, score, looks)),
            )
            for task, score in of.scores.items()
            for encoder in encoders
        ),
        columns=len(encoders) if len(encoders) > 1 else len(of.scores),
        legend=(
            Key(ARMS[0], "curve", ARM_LOOKS[ARMS[0]]),
            *(Key(name, "curve", look) for name, look in looks.items()),
            Key(HULL, "thin", BEST),
        ),
    )


def _panel(of: Family, encoder: str, score: Score, looks: dict[str, Look]) -> list[Series]:
    means = {name: _mean(x, encoder, score) for name, x in of.members.items()}
    best = pd.concat(means.values()).sort_values("bpfe")
    best = best.iloc[hull_points(best["bpfe"], best[score.name], score.averaged)]
    scale = print_of(score).scale
    series = [
        Series("thin", BEST, values(best["bpfe"]), values(scale * best[score.name])),
    ]
    for name, mean in means.items():
        series += _curve(looks[name], mean, score)
    mean = _mean(of.benchmark, encoder, score)
    return [
        *series,
        *_curve(ARM_LOOKS[ARMS[0]], mean, score, tags=short_names(mean["codec"].tolist())),
    ]


def _mean(points: pd.DataFrame, encoder: str, score: Score) -> pd.DataFrame:
    of_encoder = points[points["encoder"] == encoder]
    return mean_over_seeds(of_encoder, "codec", score.name).sort_values("bpfe")


def _curve(
    look: Look, mean: pd.DataFrame, score: Score, tags: tuple[str, ...] = ()
) -> list[Series]:
    y = values(print_of(score).scale * mean[score.name])
    return envelope_and_rest(look, values(mean["bpfe"]), y, better=y, told=(), tags=tags)
