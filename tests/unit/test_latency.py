"""How old events are at each hop: every event of a picture counts, facts count once, and what was not measured is unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.latency import PROBE, HopsTimed, LatencyHop, ProbeState, Since
from controlplane.contract.push import Marks
from controlplane.contract.spread import gathered
from controlplane.service.latency import Latencies
from controlplane.service.latency_frame import bars, latency_frame

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOW_MS = NOW.timestamp() * 1000
TOPIC = "live/shop/traffic"
HOUR = timedelta(hours=1)


def marks(behind_ms: float, age_ms: float = 100.0, **more: float) -> Marks:
    """Of a picture that was read `behind_ms` ago."""
    served = NOW_MS - behind_ms
    said = {"event_ms": served - age_ms, "raw_ms": served - age_ms + 10, "served_ms": served, **more}
    return Marks.model_validate(said)


def timed(ms: float, seconds_ago: float = 0.0, hop: LatencyHop = LatencyHop.ROUTED) -> HopsTimed:
    spread = gathered([(ms, 1.0)])
    return HopsTimed(at=NOW - timedelta(seconds=seconds_ago), stream="shop", since=Since.EVENT, hops={hop: spread})


def watched(*pictures: Marks, client: str = "c") -> Latencies:
    latencies = Latencies()
    for each in pictures:
        served = each.served_ms or 0.0
        latencies.painted(client, TOPIC, each, served + 20, served + 50)
    return latencies


def p99(latencies: Latencies, hop: LatencyHop, within: timedelta = HOUR) -> float | None:
    return latencies.hop("shop", hop, NOW, within).p99_ms


def test_a_picture_counts_every_event_since_the_one_before() -> None:
    latencies = watched(marks(1000), marks(0))
    found = latencies.hop("shop", LatencyHop.PAINTED, NOW, HOUR)
    assert found.samples == 10
    assert found.p50_ms == pytest.approx(650, rel=0.1), "the oldest waited for a second longer than the newest"
    assert found.max_ms == pytest.approx(1100, rel=0.1)


def test_of_few_events_each_is_taken_for_itself() -> None:
    latencies = watched(marks(1000, events=7), marks(0, events=8))
    found = latencies.hop("shop", LatencyHop.PAINTED, NOW, HOUR)
    assert (found.samples, found.max_ms) == (1, pytest.approx(150))


def test_hops_come_one_after_the_other() -> None:
    latencies = watched(marks(1000, events=7), marks(0, events=8))
    ages = [latencies.hop("shop", hop, NOW, HOUR).max_ms for hop in tuple(LatencyHop)[3:]]
    assert ages == [pytest.approx(100), pytest.approx(120), pytest.approx(150)]


def test_a_picture_that_is_told_twice_counts_once() -> None:
    assert watched(marks(1000), marks(0), marks(0)).spread("shop", LatencyHop.PAINTED, NOW, HOUR).samples == 10


def test_of_very_many_watchers_some_pictures_stand_for_all() -> None:
    latencies = Latencies()
    for each in (marks(1000), marks(0)):
        for client in range(1000):
            latencies.painted(str(client), TOPIC, each, NOW_MS, NOW_MS)
    assert 300 < latencies.spread("shop", LatencyHop.PAINTED, NOW, HOUR).samples < 3000


def test_a_pause_of_the_stream_is_no_wait() -> None:
    assert p99(watched(marks(9000), marks(0)), LatencyHop.PAINTED) is None


def test_a_replay_is_counted_from_the_raw_topic_and_is_not_in_the_figure_of_all() -> None:
    old = {"event_ms": NOW_MS - 1e12}
    latencies = watched(marks(1000, **old), marks(0, **old))
    assert latencies.since["shop"] is Since.RAW
    assert p99(latencies, LatencyHop.PAINTED) is not None
    assert latencies.pixel(NOW) is None
    assert watched(marks(1000), marks(0)).pixel(NOW) is not None


def test_what_is_older_than_the_window_is_not_in_it() -> None:
    latencies = Latencies()
    latencies.fold([timed(900, seconds_ago=1200), timed(30)])
    assert p99(latencies, LatencyHop.ROUTED, timedelta(minutes=5)) == pytest.approx(30, rel=0.05)
    assert p99(latencies, LatencyHop.ROUTED) == pytest.approx(900, rel=0.05)
    later = latencies.hop("shop", LatencyHop.ROUTED, NOW + 7 * HOUR, timedelta(minutes=5))
    assert (later.p99_ms, later.samples) == (None, 0)


@given(st.lists(st.tuples(st.floats(1, 1e5), st.integers(0, 5000)), min_size=1, max_size=30), st.data())
def test_neither_order_nor_repetition_of_facts_changes_anything(
    said: list[tuple[float, int]], data: st.DataObject
) -> None:
    facts = [timed(ms, ago) for ms, ago in said]
    again = data.draw(st.permutations([*facts, *facts[: len(facts) // 2]]))
    once, other = Latencies(), Latencies()
    once.fold(facts)
    other.fold(again)
    spreads = [each.spread("shop", LatencyHop.ROUTED, NOW, 2 * HOUR) for each in (once, other)]
    assert spreads[0] == spreads[1]
    assert spreads[0].samples == len(facts)


def test_a_half_minute_is_kept_when_it_is_over_and_restored() -> None:
    latencies = Latencies()
    latencies.fold([timed(40, seconds_ago=65), timed(50)])
    kept = list(latencies.kept(NOW))
    assert [each.spread.samples for each in kept] == [1], "the one that goes on is not"
    assert list(latencies.kept(NOW)) == []
    after = Latencies()
    after.restore(kept)
    assert p99(after, LatencyHop.ROUTED) == pytest.approx(40, rel=0.05)
    assert after.since["shop"] is Since.EVENT


def test_a_row_says_why_a_hop_is_unknown() -> None:
    frame = latency_frame(Latencies(), [], [], ProbeState(is_on=True), NOW)
    assert frame.probes is not None
    assert frame.probes.name == PROBE
    said = {each.hop: (each.p99_ms, each.reason) for each in frame.probes.windows["5m"]}
    assert said[LatencyHop.RAW] == (None, "no event has come")
    assert said[LatencyHop.SERVED] == (None, "no probe has come")
    assert said[LatencyHop.PAINTED] == (None, "probes are shown on no screen")
    assert latency_frame(Latencies(), [], [], ProbeState(is_on=False), NOW).probes is None


@given(st.lists(st.tuples(st.floats(0, 1e9), st.integers(1, 9)), max_size=50))
def test_a_histogram_has_all_and_no_holes(samples: list[tuple[float, int]]) -> None:
    found = bars(gathered(samples))
    assert sum(each.share for each in found) == pytest.approx(1.0 if samples else 0.0)
    assert all(one.to_ms == other.from_ms for one, other in pairwise(found))
    assert len(found) <= 60
