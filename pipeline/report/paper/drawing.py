"""Draw all figures of a report."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from pipeline.artifacts import ARMS
from pipeline.report.charts.book import Charts
from pipeline.report.charts.rate_loss import stacked
from pipeline.report.found.findings import Findings
from pipeline.report.looks import Looks
from pipeline.report.paper.draw import draw
from pipeline.report.paper.pictures import predictions, predictions_by_codec, tiles
from pipeline.report.text.names import encoder_title


def draw_all(findings: Findings, charts: Charts, looks: Mapping[str, Looks]) -> dict[str, Figure]:
    """Return every figure by the name of its files; `looks` goes by encoder."""
    codecs, tasks = list(findings.models[0].codecs), list(findings.scores)
    by_feature = charts.rate_accuracy["bpfe"]
    drawn = {"rate-accuracy": draw(by_feature)}
    if charts.picture_sent:
        # A picture has no feature elements: with it the rate is in bytes.
        drawn["rate-accuracy-picture"] = draw(charts.rate_accuracy["kilobytes"])
    if charts.joint:
        drawn["joint"] = draw(charts.joint["bpfe"])
    if charts.rate_loss:
        ends = dict.fromkeys([next(iter(charts.rate_loss)), next(reversed(charts.rate_loss))])
        drawn["rate-loss"] = draw(stacked(*(charts.rate_loss[codec] for codec in ends)))
    for encoder, chart in charts.training.items():
        drawn[f"rate-accuracy-{encoder}"] = draw(by_feature.of(encoder_title(encoder)))
        drawn[f"training-{encoder}"] = draw(chart)
    for encoder, seen in looks.items():
        drawn[f"tiles-{encoder}"] = tiles(list(seen.tiles.values()))
        drawn[f"predictions-{encoder}"] = predictions(
            seen.examples[ARMS[1]], codecs[0], tasks=tasks
        )
        drawn[f"codecs-{encoder}"] = predictions_by_codec(seen.examples, codecs=codecs, tasks=tasks)
    return drawn
