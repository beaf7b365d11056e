"""Who sends what under the faults, and what must become of it?

Steady load comes from the platform's own feed, whose events follow from their position. Bursts come from a producer of
ours; each of its records has a key of its own that says where the record belongs.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from controlplane.contract.names import Hop
from load_tests.bench.faults.fault import Sort
from pipeline.feed import shop
from pipeline.feed.event import Fault, FeedEvent, spoil
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition

SEED, FAULT_SHARE = 1, 0.02
"""Of the feed."""
NOBODY = "nobody may read this"
"""Key of what was never committed."""
_KEY = "burst"
_TRANSACTION = 5_000
_DATED = {
    Sort.POISON: timedelta(),
    Sort.FLOOD: timedelta(),
    Sort.CLOCK_AHEAD: timedelta(minutes=5),
    Sort.CLOCK_FAR_AHEAD: timedelta(hours=2),
    Sort.LATE: timedelta(days=-1),
    Sort.FENCED: timedelta(),
}


def of_position(position: int) -> tuple[Hop, str | None]:
    """Where the feed's event at a position belongs, and its event id if it is valid."""
    at = datetime(2000, 1, 1, tzinfo=UTC)
    event, whole = (shop.event(SEED, position, share, at) for share in (FAULT_SHARE, 0.0))
    if event.fault is not None:
        return Hop.DEAD, None
    return (Hop.VALID, event.value["event_id"]) if event.value == whole.value else (Hop.QUARANTINE, None)


def of_key(key: str) -> tuple[Hop, str | None]:
    """The same for a record of a burst.

    Raises:
        ValueError: if no burst made it.
    """
    burst, hop, event_id = key.split(":") if key.startswith(f"{_KEY}:") else ("", "", "")
    if burst != _KEY:
        raise ValueError(f"a raw record has key {key!r} and no feed position: nobody here sent it")
    return Hop(hop), event_id or None


def send(settings: Settings, stream: StreamDefinition, sort: Sort, events: int, seed: int) -> int:
    """Send a burst in transactions; how many were sent.

    Raises:
        KafkaException: if the broker refuses.
    """
    if sort is Sort.FENCED:
        return _fenced(settings, stream, events, seed)
    with _producer(settings, stream, seed) as producer:
        left = _burst(sort, events, seed)
        while batch := list(islice(left, _TRANSACTION)):
            with producer.transaction() as send_one:
                for event in batch:
                    encoded = producer.encode(event.value)
                    value = encoded if event.fault is None else spoil(encoded, event.fault)
                    send_one(value, key=_key(sort, event))
    return events


def _fenced(settings: Settings, stream: StreamDefinition, events: int, seed: int) -> int:
    """A producer has everything but its commit at the broker when its successor starts: as one that was killed, or hung."""
    sent = 0
    with suppress(KafkaException), _producer(settings, stream, seed) as first, first.transaction() as send_one:
        for event in _burst(Sort.LATE, events, seed):
            send_one(first.encode(event.value), key=NOBODY)
        first.flush()
        sent = send(settings, stream, Sort.LATE, events, seed)
    if not sent:
        raise RuntimeError("the successor of a producer that hangs could not send")
    return sent


def _producer(settings: Settings, stream: StreamDefinition, seed: int) -> EventProducer:
    return EventProducer(stream, settings.kafka, settings.registry, transactional_id=f"tidegate-faults-{seed}")


def _burst(sort: Sort, events: int, seed: int) -> Iterator[FeedEvent]:
    made: Iterable[FeedEvent] = shop.events(lambda: datetime.now(UTC) + _DATED[sort], seed=1_000 + seed, until=events)
    if sort is Sort.LATE:
        made = sorted(made, key=lambda event: event.value["event_id"])
    for event in made:
        poison = list(Fault)[event.position % len(Fault)] if sort is Sort.POISON else None
        yield FeedEvent(event.position, event.value, poison)


def _key(sort: Sort, event: FeedEvent) -> str:
    if event.fault is not None:
        return f"{_KEY}:{Hop.DEAD}:"
    hop = Hop.QUARANTINE if sort is Sort.CLOCK_FAR_AHEAD else Hop.VALID
    return f"{_KEY}:{hop}:{event.value['event_id'] if hop is Hop.VALID else ''}"
