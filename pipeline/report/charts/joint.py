"""What the worst hit task loses over rate: one bitstream serves all tasks."""

from pipeline.report.charts.inks import ARM_LOOKS, UNDER_TO_OVER, arm_keys
from pipeline.report.charts.rates import (
    envelope_and_rest,
    level,
    mean_over_seeds,
    rate_axis,
    told_rates,
    values,
)
from pipeline.report.charts.record import Axis, Chart, Key, Look, Panel
from pipeline.report.found.findings import Findings
from pipeline.report.found.joint import lost_table
from pipeline.report.text.names import codec_title, encoder_title

NEUTRAL = Look("neutral", dash="dot")


def joint(findings: Findings, rate: str, *, loss_percent: float) -> Chart:
    """Describe the largest loss of any task over rate, a panel per encoder.

    `loss_percent` is the loss allowed, a level. Both arms are held against the benchmark with
    uncompressed features. Of several seeds the mean is shown. The line joins the points that no
    other of the same arm beats.
    """
    lost = lost_table(findings.points, findings.uncompressed, findings.scores)
    allowed = f"{loss_percent:g} % allowed"
    panels = []
    for encoder, points in lost.groupby("encoder", sort=False):
        series = [level(NEUTRAL, points[rate], loss_percent, allowed)]
        for arm in UNDER_TO_OVER:
            mean = mean_over_seeds(points[points["arm"] == arm], "codec", "lost").sort_values(rate)
            told = tuple(
                f"{arm}, {codec_title(row['codec'])}\n{told_rates(row)}"
                f"\nthe worst hit task loses {row['lost']:.2f} %"
                for row in mean.to_dict("records")
            )
            if len(mean):
                x, y = values(mean[rate]), values(mean["lost"])
                better = tuple(-value for value in y)
                series += envelope_and_rest(ARM_LOOKS[arm], x, y, better=better, told=told)
        axis = Axis("Largest loss of any task", "%")
        panels.append(Panel(encoder_title(str(encoder)), "", rate_axis(rate), axis, tuple(series)))
    return Chart(tuple(panels), len(panels), (*arm_keys(), Key(allowed, "thin", NEUTRAL)))
