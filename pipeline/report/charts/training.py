"""How training went: losses, weights and validation scores over epochs."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pandas as pd

from pipeline.report.charts.inks import ARM_LOOKS, UNDER_TO_OVER, arm_keys
from pipeline.report.charts.rates import spans_positive, values
from pipeline.report.charts.record import Axis, Chart, Panel, Series
from pipeline.report.text.names import part_title, print_of
from pipeline.scoring.metrics import Score

MARKED = 12
"""Of fewer points than this each has its mark."""
COLUMNS = 4


def training(histories: Mapping[str, pd.DataFrame], scores: Mapping[str, Score]) -> Chart:
    """Describe losses, weights, shares and validation scores of one encoder by epoch.

    Histories go by arm. A history has the column `epoch` and any of `loss/<part>`, `loss/total`,
    `weight/<part>`, `share/<part>` (of the weighted losses, 0 to 1), `lr`, `val/<score name>`
    (empty in epochs without validation). What no history holds has no panel. Raises ValueError when
    there is nothing to draw.
    """
    found = [
        panel
        for part in _parts(histories, scores)
        for panel in (
            (f"{part_title(part)}: loss", Axis("Loss", log=True), f"loss/{part}", 1.0),
            (f"{part_title(part)}: weight", Axis("Weight", log=True), f"weight/{part}", 1.0),
            (f"{part_title(part)}: share", Axis("Share", "%"), f"share/{part}", 100.0),
            *_validation(part, scores),
        )
    ]
    found.append(("Total loss", Axis("Loss", log=True), "loss/total", 1.0))
    found.append(("Learning rate", Axis("Learning rate", log=True), "lr", 1.0))
    epoch = _epochs(histories)
    panels = []
    for title, axis, column, scale in found:
        if series := _curves(histories, column, scale):
            panels.append(Panel("", title, epoch, _fitting(axis, series), series))
    if not panels:
        held = sorted({str(name) for history in histories.values() for name in history})
        raise ValueError(f"nothing to draw: the histories have only the columns {held}")
    return Chart(tuple(panels), min(COLUMNS, len(panels)), arm_keys())


def _parts(histories: Mapping[str, pd.DataFrame], scores: Mapping[str, Score]) -> list[str]:
    """Return the parts of the loss that a history or a score knows; the total is no part."""
    names = [str(name) for history in histories.values() for name in history]
    kinds = ("loss/", "weight/", "share/")
    trained = [name.split("/", 1)[1] for name in names if name.startswith(kinds)]
    return [part for part in dict.fromkeys([*trained, *scores]) if part != "total"]


def _validation(part: str, scores: Mapping[str, Score]) -> Iterator[tuple[str, Axis, str, float]]:
    """Yield title, axis, column and scale of a task's validation; the rate term has none."""
    if part in scores:
        score = scores[part]
        unit, scale, _ = print_of(score)
        yield f"{part_title(part)}: score", Axis(score.label, unit), f"val/{score.name}", scale


def _epochs(histories: Mapping[str, pd.DataFrame]) -> Axis:
    """Return one axis for all panels, since validation may begin late."""
    last = max(float(history["epoch"].max()) for history in histories.values())
    return Axis("Epoch", whole=True, ends=(-0.05 * last - 0.1, 1.05 * last + 0.1))


def _fitting(axis: Axis, series: tuple[Series, ...]) -> Axis:
    """Return the axis, linear where its values allow no logarithm: the total may fall below 0."""
    return replace(axis, log=axis.log and spans_positive(tuple(y for s in series for y in s.y)))


def _curves(histories: Mapping[str, pd.DataFrame], column: str, scale: float) -> tuple[Series, ...]:
    return tuple(
        _curve(histories[arm], column, scale, arm)
        for arm in UNDER_TO_OVER
        if arm in histories and column in histories[arm]
    )


def _curve(history: pd.DataFrame, column: str, scale: float, arm: str) -> Series:
    known = history[["epoch", column]].dropna()
    x, y = values(known["epoch"]), values(scale * known[column])
    told = (f"{arm}\nepoch {epoch:g}\n{value:.4g}" for epoch, value in zip(x, y, strict=True))
    look = ARM_LOOKS[arm] if len(known) < MARKED else replace(ARM_LOOKS[arm], mark="")
    return Series("curve", look, x, y, told=tuple(told))
