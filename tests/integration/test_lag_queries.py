"""Where the queries of a real platform are: by what they have written, as the ledger counts it, and in their shadow groups."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

from controlplane.contract.lag import LagVerdict
from pipeline.feed.shop import event
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.streams import StreamDefinition

QUERIES = {f"{query} {stream}" for query in ("route", "lake", "live") for stream in ("shop", "flights")}
EVENTS = 300


def lags(running: Any) -> dict[str, dict[str, Any]]:
    facts = httpx.get(f"{running.settings.api}/api/v1/facts", headers=running.settings.authorization, timeout=5).json()
    return {fact["consumer"]: fact for fact in facts if fact["kind"] == "lag_judged"}


def test_every_query_is_caught_up_with_what_was_produced_and_its_shadow_group_says_so(
    running: Any, shop: StreamDefinition, eventually: Callable[..., Any]
) -> None:
    before = {name: sum(each["position"] or 0 for each in fact["partitions"]) for name, fact in lags(running).items()}
    producer = EventProducer(shop, running.settings.kafka, running.settings.registry, transactional_id=uuid4().hex)
    with producer.transaction() as send:
        for number in range(EVENTS):
            send(event(7, number, 0.0, datetime.now(UTC)).value)

    def taken(name: str, fact: dict[str, Any]) -> bool:
        at = sum(each["position"] or 0 for each in fact["partitions"])
        # A few of the events may be turned away on the way to lake and live.
        return at >= before.get(name, 0) + EVENTS // 2 and fact["lag_events"] == 0 and fact["lag_s"] == 0.0

    def all_taken() -> dict[str, dict[str, Any]] | None:
        known = lags(running)
        names = ("route shop", "lake shop", "live shop")
        return known if all(name in known and taken(name, known[name]) for name in names) else None

    known = eventually(all_taken, "route, lake and live have taken all")
    assert set(known) >= QUERIES
    assert all(known[name]["verdict"] == LagVerdict.OK for name in QUERIES), known
    assert not [name for name in known if name.startswith("tidegate")], "live is told of as the query that it is"

    admin = AdminClient({"bootstrap.servers": running.settings.kafka})

    def mirrored() -> bool:
        return all(_shadow(admin, fact) == _positions(fact) for name, fact in lags(running).items() if name in QUERIES)

    eventually(mirrored, "an ordinary client reads the same offsets")


def _positions(fact: dict[str, Any]) -> dict[tuple[str, int], int]:
    return {(fact["topic"], each["partition"]): each["position"] for each in fact["partitions"]}


def _shadow(admin: AdminClient, fact: dict[str, Any]) -> dict[tuple[str, int], int]:
    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(fact["shadow"])])
    found = asked[fact["shadow"]].result().topic_partitions
    return {(each.topic, each.partition): each.offset for each in found}
