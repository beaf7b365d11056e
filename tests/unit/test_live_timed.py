"""How old a block's events are: by three clocks, of a sample that stands for all, and nothing where nothing can be told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import fastavro
import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME

from controlplane.contract.folders import load_stream
from controlplane.contract.latency import PROBE, HopsTimed, LatencyHop, Since
from controlplane.contract.names import SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TIME
from controlplane.contract.settings import PROBE_STREAM
from controlplane.contract.valid import valid_schema
from pipeline.live.timed import SAMPLES_A_BLOCK, Timed

SENT = datetime(2026, 1, 1, 12, tzinfo=UTC)
SENT_MS = SENT.timestamp() * 1000
STREAM = load_stream(PROBE_STREAM)
SCHEMA = fastavro.parse_schema(valid_schema(STREAM))


@dataclass
class Message:
    """A record of the valid topic."""

    raw_ms: float = 8.0
    routed_ms: float = 21.0
    event_at: datetime = SENT
    kind: int = TIMESTAMP_LOG_APPEND_TIME

    def value(self) -> bytes:
        raw_at = SENT + timedelta(milliseconds=self.raw_ms)
        event = {"sender": "one", "sent_at": self.event_at}
        event |= {SOURCE_PARTITION: 0, SOURCE_OFFSET: 7, SOURCE_TIME: raw_at}
        written = BytesIO()
        missing: dict[str, Any] = dict.fromkeys((field["name"] for field in SCHEMA["fields"]), None)  # type: ignore[index, call-overload]
        fastavro.schemaless_writer(written, SCHEMA, {**missing, **event})
        return b"\0\0\0\0\1" + written.getvalue()

    def timestamp(self) -> tuple[int, int]:
        return self.kind, int(SENT_MS + self.routed_ms)


def timed(*messages: Any, schema: Any = SCHEMA) -> HopsTimed | None:
    one = Timed(STREAM, lambda _: schema)
    one.take(messages, SENT_MS + 130)
    return next(one.facts(SENT), None)


def longest(fact: HopsTimed | None) -> dict[LatencyHop, float]:
    return {} if fact is None else {hop: round(spread.max_ms) for hop, spread in fact.hops.items()}


def test_an_event_has_an_age_at_each_hop() -> None:
    found = timed(Message())
    assert found is not None
    assert (found.stream, found.since) == (PROBE, Since.EVENT)
    assert longest(found) == {LatencyHop.RAW: 8, LatencyHop.ROUTED: 21, LatencyHop.INSERTED: 130}


def test_of_a_large_block_a_few_stand_for_all() -> None:
    found = timed(*[Message()] * 1000)
    assert found is not None
    spread = found.hops[LatencyHop.ROUTED]
    assert spread.samples <= SAMPLES_A_BLOCK
    assert sum(spread.weights.values()) == pytest.approx(1000, rel=0.02)


def test_a_replay_is_counted_from_the_raw_topic() -> None:
    found = timed(Message(event_at=SENT - timedelta(days=4000)))
    assert found is not None
    assert found.since is Since.RAW
    assert longest(found) == {LatencyHop.ROUTED: 13, LatencyHop.INSERTED: 122}


def test_what_cannot_be_told_is_not_guessed() -> None:
    assert timed(Message(), schema=None) is None, "the registry is away"
    assert timed(Message(kind=TIMESTAMP_CREATE_TIME)) is None, "the topic is not stamped by the broker"
    assert timed() is None
