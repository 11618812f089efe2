"""Time over the rate of a link, against numbers worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pipeline.report import summary
from pipeline.report.delays import (
    FrameTimes,
    Sending,
    faster_ranges,
    frame_times,
    rivals,
    sendings,
)
from pipeline.report.summary import break_even
from tests.support.report_models import arms, results, times_of

BENCHMARK, PROPOSED = (f"{arm} features, PNG or JPEG" for arm in ("benchmark", "proposed"))
JPEG = "picture as JPEG"


def sending(kilobytes: float, milliseconds: float, network: float = 0) -> Sending:
    """What takes so long beside the link; `network` of it in the cloud."""
    return Sending(FrameTimes(0, milliseconds - network, 0, network), kilobytes)


def ranges(splits: list[Sending], pictures: list[Sending], cloud: float = 1) -> list[float]:
    """The ends of all ranges, one after the other."""
    named = ({str(i): x for i, x in enumerate(some)} for some in (splits, pictures))
    return [end for both in faster_ranges(*named, cloud=cloud) for end in both]


def test_a_frame_waits_for_both_halves_the_coder_and_the_link() -> None:
    split = Sending(FrameTimes(edge=10, encode=1, decode=0.5, cloud=20), kilobytes=2)
    # 16 kilobits at 4 Mbit/s take 4 ms.
    assert split.delay(4) == 10 + 1 + 4 + 0.5 + 20
    assert split.delay(math.inf) == 31.5
    assert split.delay(4, cloud=0) == 15
    assert split.delay(4, cloud=0.1) == pytest.approx(15 + 2.05)
    assert split.times.network == 30


class TestBreakEven:
    def test_fewer_bytes_and_more_time_pay_below_a_rate(self) -> None:
        # 8 kilobits less for 10 ms more.
        assert ranges([sending(1, 30)], [sending(2, 20)]) == [0, pytest.approx(0.8)]

    def test_more_bytes_and_less_time_pay_above_a_rate(self) -> None:
        assert ranges([sending(2, 20)], [sending(1, 30)]) == [pytest.approx(0.8), math.inf]

    def test_without_a_crossing_it_is_every_rate_or_none(self) -> None:
        assert ranges([sending(1, 20)], [sending(2, 30)]) == [0, math.inf]
        assert ranges([sending(1, 20)], [sending(2, 20)]) == [0, math.inf]
        assert ranges([sending(2, 30)], [sending(1, 20)]) == []
        assert ranges([sending(1, 20)], [sending(1, 20)]) == []
        assert ranges([sending(1, 20)], []) == []

    def test_a_small_and_a_fast_picture_leave_the_rates_between(self) -> None:
        small, fast = sending(0.5, 40), sending(2, 20)
        found = ranges([sending(1, 30)], [small, fast])
        assert found == pytest.approx([0.4, 0.8])

    def test_two_splits_take_turns(self) -> None:
        # The first is faster below 1.6 Mbit/s, the second above 0.53.
        assert ranges([sending(1, 30), sending(3, 10)], [sending(2, 25)]) == [0, math.inf]
        # With a faster picture: below 0.4 and above 1.6.
        found = ranges([sending(1, 30), sending(3, 5)], [sending(2, 10)])
        assert found == pytest.approx([0, 0.4, 1.6, math.inf])

    def test_a_cloud_that_needs_no_time_helps_who_computes_there(self) -> None:
        split, picture = sending(1, 30, network=10), sending(2, 31, network=26)
        assert ranges([split], [picture]) == [0, math.inf]
        # 20 against 5 ms.
        assert ranges([split], [picture], cloud=0) == pytest.approx([0, 8 / 15])


class TestOfAReport:
    MODELS = arms(seeds=2)

    def test_bytes_are_the_table_s_at_its_loosest_limit(self) -> None:
        found = results(self.MODELS, times=times_of(self.MODELS))
        sent = sendings(found, "encoder2")
        assert list(sent) == [BENCHMARK, PROPOSED, JPEG]
        table = found.lowest_rates
        table = table[(table["task"] == "all") & (table["max_task_drop"] == 10)]
        for title, of_seeds in table.groupby("sender"):
            assert sent[str(title)].kilobytes == pytest.approx(of_seeds["kilobytes"].mean())
        assert sent[PROPOSED].times == FrameTimes(edge=30, encode=1, decode=2, cloud=40)
        # The whole network runs in the cloud.
        assert sent[JPEG].times == FrameTimes(edge=0, encode=0.5, decode=0.25, cloud=70)

    def test_who_has_no_times_or_loses_too_much_is_left_out(self) -> None:
        times = times_of(self.MODELS)
        del times["encoder2", "proposed"]
        found = results(self.MODELS, times=times)
        assert list(sendings(found, "encoder2")) == [BENCHMARK, JPEG]
        assert frame_times(found, "encoder2", BENCHMARK, "another point") is None
        table = found.lowest_rates.copy()
        second = (table["sender"] == BENCHMARK) & (table["seed"] == 1)
        table.loc[second, "kilobytes"] = np.nan
        found = replace(found, lowest_rates=table)
        assert list(sendings(found, "encoder2")) == [JPEG]
        assert break_even(found, "encoder2") == ""

    def test_nobody_can_send_a_picture_without_its_container(self) -> None:
        models = arms(container=300)
        splits, pictures = rivals(results(models, times=times_of(models)), "encoder2")
        assert (list(splits), list(pictures)) == ([BENCHMARK, PROPOSED], [JPEG])

    def test_in_words(self, monkeypatch: pytest.MonkeyPatch) -> None:
        found = results(self.MODELS)
        for splits, pictures, words in (
            ([sending(1, 20)], [sending(2, 30)], "at every link rate"),
            ([sending(2, 30)], [sending(1, 20)], "at no link rate"),
            ([sending(1, 30)], [sending(2, 20)], "below 0.8 Mbit/s (s0 against p0)"),
            (
                [sending(1, 30)],
                [sending(0.5, 40), sending(2, 20)],
                "above 0.4 Mbit/s (s0 against p0) and below 0.8 Mbit/s (s0 against p1)",
            ),
            (
                [sending(1, 30), sending(3, 5)],
                [sending(2, 10)],
                "below 0.4 Mbit/s (s0 against p0) or above 1.6 Mbit/s (s1 against p0)",
            ),
        ):
            named = [
                {f"{kind}{i}": x for i, x in enumerate(some)}
                for kind, some in (("s", splits), ("p", pictures))
            ]
            monkeypatch.setattr(summary, "rivals", lambda *_, named=named: named)
            said = f"a split network is faster than a sent picture {words}, if the cloud is as fast"
            assert said in break_even(found, "encoder2")

    def test_the_noise_of_the_times_is_said(self) -> None:
        times = times_of(self.MODELS)
        times["encoder2", "proposed"]["cloud"] = 42.5
        text = break_even(results(self.MODELS, times=times), "encoder2")
        assert text.endswith("took 70.0 to 72.5 ms: differences as small say nothing.")
        times["encoder2", "proposed"]["cloud"] = 40.0
        assert "nearly alike" not in break_even(results(self.MODELS, times=times), "encoder2")
