"""All charts of a report, described once for every place that draws them."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from pipeline.report.charts.joint import joint
from pipeline.report.charts.rate_accuracy import rate_accuracy
from pipeline.report.charts.rate_loss import rate_loss
from pipeline.report.charts.rates import RATES
from pipeline.report.charts.record import Chart
from pipeline.report.charts.training import training
from pipeline.report.found.findings import Findings
from pipeline.report.found.published import published_points


@dataclass(frozen=True)
class Charts:
    """The charts of a report; a kind that there is nothing of is empty."""

    rate_accuracy: Mapping[str, Chart]
    """By unit of the rate (see `pipeline.report.charts.rates.RATES`)."""
    picture_sent: bool
    """Whether they show the picture sent as JPEG, in the units that it has a rate in."""
    joint: Mapping[str, Chart]
    """By unit of the rate."""
    rate_loss: dict[str, Chart]
    """By codec."""
    training: Mapping[str, Chart]
    """By encoder."""


def describe(
    findings: Findings,
    histories: Mapping[str, Mapping[str, pd.DataFrame]],
    *,
    toy: bool,
    joint_loss: float,
) -> Charts:
    """Describe every chart.

    Takes the training histories as encoder -> arm -> history. `toy` says that the data are the
    built-in streets: the paper's points are no reference for them. `joint_loss` is the loss in per
    cent that the joint view allows to every task.
    """
    published = pd.DataFrame() if toy else published_points()
    codecs = findings.models[0].codecs if len(findings.rate_loss) else ()
    return Charts(
        rate_accuracy={rate: rate_accuracy(findings, rate, published) for rate in RATES},
        picture_sent=len(findings.pictures) > 0,
        joint={rate: joint(findings, rate, loss_percent=joint_loss) for rate in RATES}
        if len(findings.joint)
        else {},
        rate_loss={codec: rate_loss(findings, codec) for codec in codecs},
        training={encoder: training(of, findings.scores) for encoder, of in histories.items()},
    )
