"""How long a frame takes from the picture to its prediction, over the rate of the link."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from pipeline.report.rates import ALL
from pipeline.report.results import Results


class FrameTimes(NamedTuple):
    """Milliseconds of a frame on one thread of the machine that was measured."""

    edge: float
    """Of the network on the device; 0 if a picture is sent."""
    encode: float
    decode: float
    cloud: float
    """Of the network in the cloud, which is all of it if a picture is sent."""

    @property
    def network(self) -> float:
        """Of the whole network."""
        return self.edge + self.cloud


class Sending(NamedTuple):
    """What a frame costs a sender: times, and kilobytes (of 1,000 bytes)."""

    times: FrameTimes
    kilobytes: float

    def delay(self, rate: float, *, cloud: float = 1) -> float:
        """Return the milliseconds from the picture to its prediction.

        rate: of the link, Mbit/s. cloud: the time that the cloud needs for a work, as a share of
        the device's time for it.
        """
        # A kilobit per millisecond is a megabit per second.
        link = 8 * self.kilobytes / rate
        times = self.times
        return times.edge + times.encode + link + cloud * (times.decode + times.cloud)


def frame_times(results: Results, encoder: str, title: str, point: str) -> FrameTimes | None:
    """Return the times of a sender at a point; None if they were not measured."""
    sender = results.senders[title]
    known = results.times.get((encoder, sender.arm), {})
    coder = known.get("pictures" if sender.picture else "points", {}).get(point)
    if coder is None:
        return None
    edge, cloud = known["edge"], known["cloud"]
    if sender.picture:  # the whole network runs in the cloud
        edge, cloud = 0.0, edge + cloud
    return FrameTimes(edge, coder["encode"], coder["decode"], cloud)


def sendings(results: Results, encoder: str) -> dict[str, Sending]:
    """Return what a frame costs each sender of the answer at the loosest limit, by title.

    The numbers are those of the table of what to send: the lowest rate, mean over seeds, and the
    times of the first seed's point. A sender without times, or with a seed that loses more than
    the limit, is left out.
    """
    table = results.lowest_rates
    table = table[(table["encoder"] == encoder) & (table["task"] == ALL)]
    table = table[table["max_task_drop"] == table["max_task_drop"].max()]
    found = {}
    for title, of_seeds in table[table["sender"].isin(list(results.answer))].groupby("sender"):
        times = frame_times(results, encoder, str(title), of_seeds["point"].iloc[0])
        if times and of_seeds["kilobytes"].notna().all():
            found[str(title)] = Sending(times, float(of_seeds["kilobytes"].mean()))
    return {title: found[title] for title in results.answer if title in found}


def rivals(results: Results, encoder: str) -> tuple[dict[str, Sending], dict[str, Sending]]:
    """Return what features cost, and what pictures cost: those of `sendings` that can be sent."""
    of: tuple[dict[str, Sending], dict[str, Sending]] = {}, {}
    for title, sending in sendings(results, encoder).items():
        # Nobody can send a picture without its container.
        if not results.senders[title].bare:
            of[results.senders[title].picture][title] = sending
    return of


def fastest(some: Mapping[str, Sending], rate: float, *, cloud: float = 1) -> str:
    """Return the name of the fastest at a rate of the link; see `Sending.delay`."""
    return min(some, key=lambda name: some[name].delay(rate, cloud=cloud))


def faster_ranges(
    some: Mapping[str, Sending], others: Mapping[str, Sending], *, cloud: float = 1
) -> list[tuple[float, float]]:
    """Return the ranges of the link's rate, Mbit/s, in which the best of some beats all others.

    A range that no crossing ends begins at 0 or goes to infinity. Without rivals there is none.
    """
    if not some or not others:
        return []
    crossings = set()
    for a in some.values():
        for b in others.values():
            slower = a.delay(math.inf, cloud=cloud) - b.delay(math.inf, cloud=cloud)
            saved = 8 * (b.kilobytes - a.kilobytes)
            if slower * saved > 0:
                crossings.add(saved / slower)
    found: list[tuple[float, float]] = []
    for low, high in pairwise([0, *sorted(crossings), math.inf]):
        inside = (low + high) / 2 if high < math.inf else 2 * low or 1
        best, rival = (x[fastest(x, inside, cloud=cloud)] for x in (some, others))
        if best.delay(inside, cloud=cloud) < rival.delay(inside, cloud=cloud):
            # The best one may change within a range.
            start = found.pop()[0] if found and found[-1][1] == low else low
            found.append((start, high))
    return found
