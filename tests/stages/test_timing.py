"""The timing stage: what it counts, by a clock that is told what time it is."""

import pytest

from stages import timing


def test_a_time_is_the_median_of_all_calls_but_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    now, calls = [0.0], []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def work(seconds: float) -> None:
        calls.append(seconds)
        now[0] += seconds if len(calls) > 1 else 99

    assert timing.milliseconds(work, [0.001, 0.002, 0.009]) == pytest.approx(2)
    assert len(calls) == 1 + 3 * timing.ROUNDS


def test_a_coder_is_timed_both_ways_on_what_it_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    now, decoded = [0.0], []
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def encode(frame: str) -> bytes:
        now[0] += 0.004
        return frame.encode()

    def decode(stream: bytes) -> None:
        now[0] += 0.003
        decoded.append(stream)

    times = timing.coder_times(encode, decode, ["a", "b"])
    assert times == pytest.approx({"encode": 4, "decode": 3})
    assert set(decoded) == {b"a", b"b"}
