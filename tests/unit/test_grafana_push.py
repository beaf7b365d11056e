"""What is pushed to Grafana Live, over both ways, to a stand-in that refuses what Grafana refuses."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controlplane.contract.facts import HopMeasured, Verdict
from controlplane.contract.lag import ConsumerKind, ConsumerState, LagFrame, LagJudged, LagVerdict
from controlplane.contract.names import Hop
from controlplane.contract.push import LiveFrame, Marks, OverviewFrame, Percentiles, Series, StreamState
from controlplane.contract.settings import Settings
from controlplane.setup.jars import JarCache
from controlplane.up.addresses import pick
from controlplane.up.checks import free_port
from controlplane.up.parts import Plan
from load_tests.bench.browser import served
from load_tests.bench.grafana_lines import LineError, parsed
from load_tests.bench.grafana_live import TOKEN, VIEWER, GrafanaLive, create_grafana
from pipeline.grafana.lines import Point, bodies, line_of, measurement_of
from pipeline.grafana.live import Answer, Came, LivePush, OverHttp, OverWebSocket
from pipeline.grafana.points import points_of
from pipeline.grafana.push import Pusher, wait_after
from pipeline.grafana.watch import topics_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

NOW = datetime(2026, 11, 26, 12, 0, 0, tzinfo=UTC)
ago = lambda seconds: NOW - timedelta(seconds=seconds)  # noqa: E731 (reads as it is said)


def overview(*hops: HopMeasured, pixel: Percentiles | None = None, at: datetime = NOW) -> OverviewFrame:
    state = StreamState(
        name="shop", title="Shop", hops=hops, verdict=Verdict.UNKNOWN, verdict_reason="nobody has counted"
    )
    return OverviewFrame(at=at, streams=(state,), parts=(), event_to_pixel=pixel)


def hop(at: datetime = NOW, **values: float) -> HopMeasured:
    return HopMeasured.model_validate({"at": at, "stream": "shop", "hop": Hop.LAKE, **values})


def traffic(*starts: float, values: tuple[float | None, ...], reason: str | None = None) -> LiveFrame:
    series = Series(key=("view",), measures={"events": values, "page_load": tuple(math.nan for _ in values)})
    return LiveFrame(
        stream="shop", rollup="traffic", full=True, bucket_s=1, span_s=120, buckets=starts, series=(series,), totals={},
        newest_event_at=NOW, marks=Marks(), reason=reason,
    )  # fmt: skip


def written(points: list[Point]) -> dict[str, float | str]:
    return {point.measurement: point.value for point in points}


def test_what_is_not_known_is_left_out_and_a_verdict_is_a_word(shop: StreamDefinition) -> None:
    found = points_of(overview(hop(events_per_s=12.5, lag_s=0.0)), {"shop": shop}, NOW)
    assert written(found) == {
        "problems": 0.0, "ledger_verdict": "unknown", "hop_events_per_second": 12.5, "hop_lag_seconds": 0.0,
    }  # fmt: skip
    assert found[-1].tags == (("stream", "shop"), ("hop", "lake"))


def test_the_age_of_a_hop_is_at_the_moment_it_was_measured_and_an_old_measurement_is_not_sent() -> None:
    fresh = hop(ago(3)).model_copy(update={"newest_at": ago(5)})
    [point] = [each for each in points_of(overview(fresh), {}, NOW) if each.measurement == "hop_age_seconds"]
    assert (point.value, point.at) == (2.0, ago(3))
    assert "hop_lag_seconds" not in written(points_of(overview(hop(ago(31), lag_s=1.0)), {}, NOW))
    assert points_of(overview(at=ago(31)), {}, NOW) == []


def test_event_to_pixel_is_two_series_and_unknown_is_none_of_them() -> None:
    found = points_of(overview(pixel=Percentiles(p50=80, p99=310, samples=500)), {}, NOW)
    assert [(each.tags, each.value) for each in found if each.measurement == "event_to_pixel_ms"] == [
        ((("percentile", "50"),), 80), ((("percentile", "99"),), 310),
    ]  # fmt: skip
    assert "event_to_pixel_ms" not in written(points_of(overview(), {}, NOW))


@pytest.mark.parametrize(
    ("is_stale", "expected"),
    [
        (False, {"consumer_verdict": "stall", "consumer_lag_events": 7.0}),
        pytest.param(True, {"consumer_verdict": "unknown"}, id="a-stale-consumer-is-unknown"),
    ],
)
def test_a_consumer_has_its_verdict_and_what_is_known_of_its_lag(is_stale: bool, expected: dict[str, object]) -> None:
    lag = LagJudged(
        at=NOW, consumer="lake shop", consumer_kind=ConsumerKind.QUERY, topic="shop.valid", lag_events=7,
        verdict=LagVerdict.STALL,
    )  # fmt: skip
    frame = LagFrame(at=NOW, consumers=(ConsumerState(lag=lag, is_stale=is_stale),))
    assert written(points_of(frame, {}, NOW)) == expected


def test_of_a_rollup_ended_buckets_are_sent_with_their_own_time_and_open_ones_are_not(shop: StreamDefinition) -> None:
    first = NOW.timestamp() - 4
    frame = traffic(first, first + 1, first + 2, first + 3, values=(5, None, 9, 1))
    [point] = points_of(frame, {"shop": shop}, NOW)
    assert point == Point("live_shop_traffic_events", (("event_type", "view"),), 5, ago(4))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(
            traffic(*(NOW.timestamp() - 3600 + n for n in range(3)), values=(1, 1, 1)), id="a-replay-is-not-now"
        ),
        pytest.param(traffic(*(NOW.timestamp() + 60 + n for n in range(3)), values=(1, 1, 1)), id="ahead-of-now"),
        pytest.param(traffic(reason="ClickHouse does not answer", values=()), id="unknown"),
    ],
)
def test_a_rollup_that_is_not_of_now_has_no_points(frame: LiveFrame, shop: StreamDefinition) -> None:
    assert points_of(frame, {"shop": shop}, NOW) == []


def test_topics_are_named_and_a_wrong_one_is_refused_with_what_there_is(shop: StreamDefinition) -> None:
    assert topics_of("lag, live/*,lag", [shop]) == ("lag", *(f"live/shop/{name}" for name in shop.rollups))
    with pytest.raises(
        ValueError, match=r"TIDEGATE_GRAFANA_TOPICS: there is no topic 'ledgr' to push; choose of: overview, lag"
    ):
        topics_of("overview,ledgr", [shop])


@given(st.text(), st.text(), st.one_of(st.text(), st.floats(allow_nan=False, allow_infinity=False)))
@example("", "a backslash \\ before a space", "")
def test_whatever_is_in_a_point_grafana_reads_the_line_and_can_take_its_labels_apart(
    name: str, tag: str, value: float | str
) -> None:
    point = Point(measurement_of("live", name), (("consumer", tag),), value, NOW)
    [line] = parsed(line_of(point))
    assert line.time_ns == round(NOW.timestamp()) * 10**9
    assert not set(",=\\\n") & set(line.tags["consumer"])
    assert line.measurement == point.measurement
    found = line.fields["value"]
    assert found == (" ".join(value.split()) if isinstance(value, str) else value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("hop", "expected field at 1:4"),
        ("hop,stream value=1", "expected tag value at 1:11"),
        ("hop value=", "expected field value at 1:11"),
        ("hop value=NaN", "expected field value at 1:11"),
        ("hop value=1,5", "expected field value at 1:14"),
        ('hop value="a', "expected field value at 1:11"),
        ("hop value=1 soon", "expected timestamp at 1:13"),
        ("hop value=1 5 6", "expected the end of the line at 1:14"),
        ("a value=1\n# fine\n\nhop, value=1", "expected tag key at 4:5"),
    ],
)
def test_the_stand_in_says_where_a_line_cannot_be_read(body: str, said: str) -> None:
    with pytest.raises(LineError, match=said):
        parsed(body)


def test_the_stand_in_makes_grafanas_frames_and_notes_what_makes_panels_suffer() -> None:
    live = GrafanaLive()
    body = "cpu,host=a,cpu=1 user=1i,idle=2 1000000000\ncpu user=t\ncpu idle=3\nd\\ isk value=1"
    assert live.take("x", body.encode(), "", "http") == 200
    [frame] = live.channels["stream/x/cpu"]
    assert frame.labels == ["cpu=1, host=a", "", ""]
    assert frame.columns == {"idle": [2.0, None, 3.0], "user": [1.0, None, None]}
    assert live.conflicts == ["user"]
    assert live.unreachable == {"stream/x/d isk"}
    live.take("x", b"cpu user=1", "labels_column", "http")
    assert live.changed == ["stream/x/cpu"]
    assert live.take("x", b"cpu user=1", "table", "http") == 400
    assert (live.take("x", b"cpu", "", "http"), len(live.mistakes)) == (500, 1)


def test_no_body_is_larger_than_what_a_proxy_lets_pass() -> None:
    points = [Point("m", (("series", f"{number:0200}"),), 1.0, NOW) for number in range(3000)]
    made = [*bodies(points)]
    assert [point for _, held in made for point in held] == points
    assert len(made) > 1
    assert max(len(body) for body, _ in made) <= 256 * 1024


class Fake(LivePush):
    """A Grafana that does what it is told."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.answer = Answer(Came.SENT)

    def push(self, body: bytes) -> Answer:
        self.bodies.append(body.decode())
        return self.answer

    def close(self) -> None:
        """Nothing is open."""


def point(value: float, at: datetime = NOW) -> Point:
    return Point("hop_lag_seconds", (("hop", "lake"),), value, at)


def test_a_point_is_sent_once_and_never_one_that_is_older_than_what_was_sent() -> None:
    grafana = Fake()
    pusher = Pusher(grafana)
    pusher.push([point(1)], NOW)
    assert pusher.push([point(1), point(3, ago(1))], NOW) is None
    pusher.push([point(2, NOW + timedelta(seconds=1))], NOW)
    assert [parsed(body)[0].fields["value"] for body in grafana.bodies] == [1.0, 2.0]


def test_while_grafana_is_away_nothing_piles_up_and_it_is_left_alone_for_longer_and_longer() -> None:
    grafana = Fake()
    grafana.answer = Answer(Came.AWAY, "503: its own log says why")
    pusher = Pusher(grafana)
    pusher.push([point(1)], NOW)
    assert (pusher.is_due(ago(-0.9)), pusher.is_due(ago(-1))) == (False, True)
    assert pusher.reason == "503: its own log says why"
    grafana.answer = Answer(Came.SENT)
    pusher.push([point(7, ago(-1))], ago(-1))
    assert [line.fields["value"] for line in parsed(grafana.bodies[-1])] == [7.0]
    assert (pusher.reason, pusher.is_due(ago(-1))) == ("", True)


@pytest.mark.parametrize(
    ("failures", "came", "seconds"), [(1, Came.AWAY, 1), (3, Came.AWAY, 4), (99, Came.AWAY, 30), (1, Came.REFUSED, 30)]
)
def test_the_wait_doubles_up_to_half_a_minute_and_what_is_refused_waits_for_people(
    failures: int, came: Came, seconds: int
) -> None:
    assert wait_after(failures, came) == timedelta(seconds=seconds)


@pytest.mark.parametrize("is_named", [True, False])
def test_a_platform_has_the_part_only_while_a_grafana_is_named(is_named: bool, tmp_path: Path) -> None:
    plan = Plan(tmp_path, pick(tmp_path, None), JarCache(Settings().cache / "jars"), pushes_to_grafana=is_named)
    assert ("grafana" in [part.name for part in plan.parts()]) is is_named


def test_the_token_may_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.setenv("TIDEGATE_GRAFANA_TOKEN", f"@{tmp_path / 'token'}")
    assert Settings().grafana_secret == TOKEN


@pytest.mark.parametrize("made", [OverHttp, OverWebSocket])
def test_both_ways_hand_over_to_grafana_are_refused_by_reason_and_come_back(
    made: Callable[[str, str], LivePush], eventually: Callable[..., object]
) -> None:
    live, port = GrafanaLive(), free_port()
    address = f"http://127.0.0.1:{port}"
    body = line_of(point(1)).encode()
    grafana, stranger, viewer = made(address, TOKEN), made(address, "who"), made(address, VIEWER)
    assert grafana.push(body).came is Came.AWAY
    for _ in range(2):  # the second time after it was gone
        with served(create_grafana(live), port):
            seen = len(live.ways)
            eventually(lambda: grafana.push(body).came is Came.SENT, "it is taken")
            eventually(lambda seen=seen: len(live.ways) > seen, "it arrives")
            assert stranger.push(body).said.startswith("401: it does not know the token; set TIDEGATE_GRAFANA_TOKEN")
            assert viewer.push(body).came is (Came.SENT if made is OverHttp else Came.REFUSED)
        eventually(lambda: grafana.push(body).came is Came.AWAY, "that it is gone is noticed")
    assert live.latest("hop_lag_seconds", hop="lake") == 1.0
    assert (live.mistakes, live.unreachable, live.changed, live.conflicts) == ([], set(), [], [])
    grafana.close()
