"""The whole way on the real parts: what goes in comes out once, in the right place, whatever it is and whoever is killed."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import clickhouse_connect
import httpx
import pytest
from confluent_kafka import KafkaException

from controlplane.contract.folders import load_stream
from controlplane.contract.gates import Stage
from controlplane.contract.names import HEADER_REASON, HEADER_RULES, HEADER_SOURCE, Hop, Reason, topic
from controlplane.contract.settings import SHIPPED_STREAMS
from pipeline.feed.event import Fault, spoil
from pipeline.feed.shop import event
from pipeline.kafka import await_broker, consumer, partitions_of, read_range, watermarks
from pipeline.producer import EventProducer
from pipeline.registry import await_registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.streams import StreamDefinition

NOW = datetime.now(UTC)


@pytest.fixture
def producer(running: Any, shop: StreamDefinition) -> EventProducer:
    return EventProducer(
        shop, running.settings.kafka, running.settings.registry, transactional_id=f"test-{uuid4().hex}"
    )


def found(running: Any, hop: Hop, key: str) -> list[Any]:
    """Records of an output topic with a key."""
    name = topic("shop", hop)
    client = consumer(running.settings.kafka, group="test")
    try:
        ends = watermarks(client, name, partitions_of(await_broker(running.settings.kafka), name))
        records = [
            each for partition, (low, high) in ends.items() for each in read_range(client, name, partition, low, high)
        ]
    finally:
        client.close()
    return [each for each in records if each.key() == key.encode()]


def spoiled(producer: EventProducer, fault: Fault) -> bytes:
    return spoil(producer.encode(event(1, 1, 0.0, NOW).value), fault)


def broken(**change: object) -> dict[str, Any]:
    return {**event(1, 2, 0.0, NOW).value, **change}


BAD = {
    "not-avro-is-a-dead-letter": (lambda p: spoiled(p, Fault.NOT_AVRO), Hop.DEAD, Reason.NOT_AVRO),
    "an-unknown-schema-id-is-a-dead-letter": (
        lambda p: spoiled(p, Fault.UNKNOWN_SCHEMA_ID),
        Hop.DEAD,
        Reason.UNKNOWN_SCHEMA_ID,
    ),
    "a-truncated-record-is-a-dead-letter": (lambda p: spoiled(p, Fault.TRUNCATED), Hop.DEAD, Reason.UNDECODABLE),
    "a-record-that-claims-a-gigabyte-is-a-dead-letter": (
        lambda p: spoiled(p, Fault.BLOATED),
        Hop.DEAD,
        Reason.UNDECODABLE,
    ),
    "a-broken-rule-is-quarantined": (lambda _: broken(quantity=0), Hop.QUARANTINE, Reason.RULE_BROKEN),
    "an-event-a-year-ahead-is-quarantined": (
        lambda _: broken(event_time=NOW + timedelta(days=365)),
        Hop.QUARANTINE,
        Reason.EVENT_TIME_AHEAD,
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_kept_with_its_reason(
    case: str, running: Any, producer: EventProducer, eventually: Callable[..., Any]
) -> None:
    make, hop, reason = BAD[case]
    key, value = uuid4().hex, make(producer)
    with producer, producer.transaction() as send:
        send(value, key=key)
    [record] = eventually(lambda: found(running, hop, key), f"{case} on shop.{hop}")
    headers = {name: bytes(written).decode() for name, written in record.headers()}
    assert headers[HEADER_REASON] == reason
    assert headers[HEADER_SOURCE].startswith(f"{record.partition()}:")
    assert bool(headers[HEADER_RULES]) == (reason is Reason.RULE_BROKEN)
    if isinstance(value, bytes):
        assert record.value() == value


def test_a_valid_event_is_enriched_and_reaches_clickhouse(
    running: Any, producer: EventProducer, eventually: Callable[..., Any]
) -> None:
    name = uuid4().hex[:16]
    with producer, producer.transaction() as send:
        send({**event(1, 3, 0.0, datetime.now(UTC)).value, "event_id": name, "product_id": "p001", "country": "DE"})
    client = clickhouse_connect.get_client(dsn=running.settings.clickhouse, autogenerate_session_id=False)
    sql = "SELECT product, category, country_name FROM shop_events WHERE event_id = {name:String}"
    rows = eventually(lambda: client.query(sql, parameters={"name": name}).result_rows, "the event in ClickHouse")
    client.close()
    assert len(rows) == 1
    assert all(rows[0])


def test_each_micro_batch_is_judged_by_the_shipped_suite_and_let_through(
    running: Any, producer: EventProducer, eventually: Callable[..., Any]
) -> None:
    with producer, producer.transaction() as send:
        send(event(1, 4, 0.0, datetime.now(UTC)).value)

    def lake() -> dict[str, Any] | None:
        streams = httpx.get(
            f"{running.settings.api}/api/v1/gates", headers=running.settings.authorization, timeout=5
        ).json()["streams"]
        gates = next(each["gates"] for each in streams if each["name"] == "shop")
        last = next(each["last"] for each in gates if each["stage"] == "lake")
        return last if last is not None and last["rows"] else None

    found = eventually(lake, "a verdict of lake's gate")
    assert found["outcome"] in ("passed", "warned"), found
    assert (found["judged"], found["suite"]) == (found["rows"], shop_suite())
    assert found["took_s"] < found["stage_took_s"]


def shop_suite() -> str:
    return load_stream(SHIPPED_STREAMS / "shop").fingerprint(Stage.LAKE)


def test_an_aborted_transaction_is_seen_by_nobody(
    running: Any, producer: EventProducer, eventually: Callable[..., Any]
) -> None:
    aborted, committed = uuid4().hex, uuid4().hex
    with producer:
        with pytest.raises(RuntimeError), producer.transaction() as send:
            send(broken(quantity=0), key=aborted)
            raise RuntimeError
        with producer.transaction() as send:
            send(broken(quantity=0), key=committed)
    eventually(lambda: found(running, Hop.QUARANTINE, committed), "the committed one")
    assert found(running, Hop.QUARANTINE, aborted) == []


def test_a_producer_that_starts_again_fences_off_the_one_before(running: Any, shop: StreamDefinition) -> None:
    name = f"test-{uuid4().hex}"
    first = EventProducer(shop, running.settings.kafka, running.settings.registry, transactional_id=name)
    with first.transaction() as send:
        send(broken(quantity=0), key=name)
    with EventProducer(shop, running.settings.kafka, running.settings.registry, transactional_id=name) as second:
        with pytest.raises(KafkaException, match="fenced"), first.transaction() as send:
            send(broken(quantity=0), key=f"{name}-fenced")
        with second.transaction() as send:
            send(broken(quantity=0), key=name)


@pytest.mark.parametrize("part", ["live", "lake", "route"])
def test_nothing_is_lost_or_doubled_when_a_part_is_killed(
    part: str, running: Any, producer: EventProducer, eventually: Callable[..., Any]
) -> None:
    before = eventually(lambda: running.total("shop", "valid"), "a first count")
    now = datetime.now(UTC)
    with producer:
        for batch in range(20):
            if batch == 10:
                eventually(lambda: running.platform.pid(part), f"a process of {part}")
                os.killpg(running.platform.pid(part), signal.SIGKILL)
            with producer.transaction() as send:
                for number in range(200):
                    send(event(9, batch * 200 + number, 0.0, now).value)
    eventually(
        lambda: (
            (running.total("shop", "valid") or 0) >= before + 4000 and running.ledger("shop")["verdict"] == "balanced"
        ),
        f"a balanced ledger after {part} was killed: {running.ledger('shop')}",
        within_s=150,
    )


def test_a_registry_that_is_away_is_waited_for_and_then_named() -> None:
    with pytest.raises(
        TimeoutError, match="schema registry at http://127.0.0.1:9/nothing did not answer".replace(".", r"\.")
    ):
        await_registry("http://127.0.0.1:9/nothing", within_s=0.3)


def test_the_running_platform_tells_what_its_spark_does_and_how_long_route_takes(
    running: Any, producer: EventProducer, eventually: Callable[..., Any]
) -> None:
    api, headers = running.settings.api, running.settings.authorization

    def latency() -> dict[str, Any] | None:
        with producer.transaction() as send:
            for number in range(20):
                send(event(1, number, 0.0, datetime.now(UTC)).value)
        facts = httpx.get(f"{api}/api/v1/facts", params={"kind": "latency_measured"}, headers=headers, timeout=5).json()
        return next((each for each in facts if each["stream"] == "shop" and each["latency_ms"]), None)

    median, p99, longest = eventually(latency, "route's latency is measured")["latency_ms"]
    assert 0 <= median <= p99 <= longest < 60_000

    def parts() -> dict[str, Any]:
        said = httpx.get(f"{api}/api/v1/spark", headers=headers, timeout=5).json()
        return {each["part"]: each for each in said["parts"]}

    eventually(lambda: all(each["observed"] for each in parts().values()), "both are asked")
    for part in parts().values():
        assert part["reason"] is None
        assert [each["executor"] for each in part["observed"]["executors"]] == ["driver"]
    eventually(lambda: {"lake shop", "route shop"} <= queries_of(parts()), "stages are told apart by their query")
    lake = {"params": {"query": "lake shop"}, "headers": headers, "timeout": 5}
    eventually(lambda: httpx.get(f"{api}/api/v1/spark/batches", **lake).json(), "batches are in ClickHouse")


def queries_of(parts: dict[str, Any]) -> set[str | None]:
    return {stage["query"] for part in parts.values() for stage in part["observed"]["stages"]}
