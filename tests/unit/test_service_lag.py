"""Consumers as known: what nobody measured is there as unknown, the worst comes first, queries before groups."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fastapi.testclient import TestClient

from controlplane.contract.facts import FACTS
from controlplane.contract.lag import Cause, ConsumerKind, LagExplained, LagJudged, LagVerdict, Suspect
from controlplane.service.access.known import AnyoneIs
from controlplane.service.api import create_api
from controlplane.service.lag import lag_frame
from controlplane.service.service import Service
from controlplane.service.state import GROUPS_AT_MOST, Known

if TYPE_CHECKING:
    from controlplane.contract.lag import LagFrame
    from controlplane.contract.streams import StreamDefinition

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)


def judged(consumer: str, verdict: LagVerdict = LagVerdict.OK, ago_s: float = 0, **more: Any) -> LagJudged:
    kind = ConsumerKind.QUERY if " " in consumer else ConsumerKind.GROUP
    said = {"topic": "shop.valid", "consumer_kind": kind, **more}
    return LagJudged(at=NOW - timedelta(seconds=ago_s), consumer=consumer, verdict=verdict, **said)


def frame_of(*facts: LagJudged | LagExplained, streams: tuple[str, ...] = ()) -> LagFrame:
    known = Known()
    known.fold(facts)
    return lag_frame(known, streams, NOW)


def names(frame: LagFrame) -> list[str]:
    return [each.lag.consumer for each in frame.consumers]


def test_queries_come_first_and_the_worst_of_each_kind() -> None:
    facts = [
        judged("billing", LagVerdict.STOP),
        judged("reports"),
        judged("lake shop", LagVerdict.WARN, lag_s=9.0),
        judged("live shop", LagVerdict.WARN, lag_s=50.0),
        judged("route shop", LagVerdict.STALL),
        judged("route flights"),
    ]
    random.Random(3).shuffle(facts)  # noqa: S311
    assert names(frame_of(*facts)) == ["route shop", "live shop", "lake shop", "route flights", "billing", "reports"]


def test_a_query_that_nobody_has_measured_is_there_and_unknown() -> None:
    frame = frame_of(judged("lake shop"), streams=("shop",))
    assert names(frame) == ["live shop", "route shop", "lake shop"]
    route = frame.consumers[1].lag
    assert (route.topic, route.verdict, route.lag_s) == ("shop.raw", LagVerdict.UNKNOWN, None)
    assert route.reason == "not measured yet"


def test_what_was_not_confirmed_for_ten_seconds_is_stale_and_stands_where_unknown_does() -> None:
    frame = frame_of(judged("lake a", LagVerdict.STOP, ago_s=11), judged("lake b", LagVerdict.WARN), judged("lake c"))
    assert names(frame) == ["lake b", "lake a", "lake c"]
    assert [each.is_stale for each in frame.consumers] == [False, True, False]


def test_a_silent_monitor_is_said_once_for_all() -> None:
    assert frame_of(streams=("shop",)).reason == "the lag monitor has not reported yet"
    assert frame_of(judged("lake shop", ago_s=42)).reason == "the lag monitor has not reported for 42 s"
    assert frame_of(judged("lake shop", ago_s=42), judged("live shop")).reason is None


def test_a_group_that_is_gone_is_not_shown_for_ever_and_a_query_is() -> None:
    assert names(frame_of(judged("console-1", ago_s=600), judged("lake shop", ago_s=600))) == ["lake shop"]


def test_groups_with_a_new_name_each_time_do_not_fill_the_memory() -> None:
    facts = [judged(f"console-{number}", ago_s=number) for number in range(GROUPS_AT_MOST + 50)]
    random.Random(7).shuffle(facts)  # noqa: S311
    known = Known()
    known.fold([*facts, judged("lake shop", ago_s=10_000)])
    assert len(known.facts) == GROUPS_AT_MOST + 1
    assert ("lag_judged", "console-0", "shop.valid") in known.facts
    assert ("lag_judged", "lake shop", "shop.valid") in known.facts


def test_causes_are_shown_while_they_are_said() -> None:
    suspect = Suspect(cause=Cause.SINK, share=0.8, evidence="writing took 8 of 10 s", advice="look", page="/spark/lake")
    said = {"consumer": "lake shop", "stream": "shop", "is_slow": True, "suspects": (suspect,)}
    fresh, old = (LagExplained(at=NOW - timedelta(seconds=age), **said) for age in (5, 60))
    assert frame_of(judged("lake shop"), fresh).consumers[0].explained == fresh
    assert frame_of(judged("lake shop"), old).consumers[0].explained is None


def test_the_api_answers_what_the_page_is_pushed(shop: StreamDefinition) -> None:
    service = Service([shop], lambda *_, **__: [], "http://127.0.0.1:1", 0.1)
    client = TestClient(create_api(service, access=AnyoneIs()))
    now = datetime.now(UTC)
    fact = judged("lake shop", LagVerdict.WARN, lag_s=42.0, error_s=1.0).model_copy(update={"at": now})
    assert client.post("/api/v1/facts", content=FACTS.dump_json([fact])).status_code == 204
    said = client.get("/api/v1/lag").json()
    assert said["consumers"][0]["lag"] == fact.model_dump(mode="json")
    assert [each["lag"]["consumer"] for each in said["consumers"][1:]] == ["live shop", "route shop"]
