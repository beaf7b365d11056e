"""A feed as a process: take events, wait until they are due, send them in small transactions.

Each record carries its position in the feed, so a feed that was killed asks the raw topic how far it had come: nothing is
sent twice and nothing is left out. A transaction is short because nobody downstream sees an event before its commit.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING

from controlplane.contract.facts import FeedProgressed
from controlplane.contract.names import HEADER_FEED_POSITION, Hop, topic
from controlplane.contract.reporting import Heart, notify_ready
from pipeline.feed import shop
from pipeline.feed.event import FeedEvent, spoil
from pipeline.feed.pace import ByEventTime, ByRate
from pipeline.kafka import await_broker, consumer, ensure_topics, last_record, partitions_of
from pipeline.producer import EventProducer
from pipeline.registry import await_registry, register_stream

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from controlplane.contract.reporting import Reporter
    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition

FEEDS = ("shop", "flights")
_TRANSACTION_S = 0.05
_TRANSACTION_EVENTS = 5000
_REPORT_EVERY_S = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeedOptions:
    """What an operator chooses."""

    rate: float = 500.0
    """Shop: events a second; 0 is as fast as can be."""
    faults: float = 0.01
    """Shop: share of events that are broken on purpose."""
    seed: int = 1
    events: int | None = None
    """End after so many events; None is the feed's own end."""
    speed: float = 86_400.0
    """Flights: seconds of event time in a second (86,400: a day a second); 0 is as fast as can be."""
    late: float = 0.0
    """Flights: share of events that is held back and sent when all others have been."""
    first: int | None = None
    """Flights: only so many, the earliest ones; None is all of them."""


def run(
    settings: Settings, stream: StreamDefinition, options: FeedOptions, reporter: Reporter, stopping: threading.Event
) -> None:
    """Send the feed until its end or until `stopping` is set; from where the last run ended.

    Raises:
        TimeoutError: if broker or registry do not answer.
        KafkaException: if the broker refuses; the open transaction is aborted.
    """
    admin = await_broker(settings.kafka)
    ensure_topics(admin, stream)
    register_stream(await_registry(settings.registry), stream)
    sender = EventProducer(stream, settings.kafka, settings.registry, transactional_id=f"tidegate-feed-{stream.name}")
    start = next_position(settings.kafka, stream.name, partitions_of(admin, topic(stream.name, Hop.RAW)))
    notify_ready(settings.notify_socket, f"from event {start}")
    with sender as producer:
        Feed(stream, options, producer, reporter, Heart(settings.notify_socket)).send_from(start, stopping)


def next_position(kafka: str, stream: str, partitions: list[int]) -> int:
    """One past the highest position that the raw topic's newest records carry; 0 for an empty topic."""
    client = consumer(kafka, group="tidegate-feed")
    try:
        last = [last_record(client, topic(stream, Hop.RAW), partition) for partition in partitions]
    finally:
        client.close()
    headers = [dict(record.headers() or []) for record in last if record is not None]
    positions = [int(each[HEADER_FEED_POSITION]) for each in headers if HEADER_FEED_POSITION in each]
    return max(positions, default=-1) + 1


class Feed:
    """One run of a feed."""

    def __init__(
        self, stream: StreamDefinition, options: FeedOptions, producer: EventProducer, reporter: Reporter, heart: Heart
    ) -> None:
        self._stream = stream
        self._options = options
        self._producer = producer
        self._reporter = reporter
        self._heart = heart
        self._reported_at = 0.0
        self._started_at = time.monotonic()
        self._pace: ByRate | ByEventTime = ByRate(0, 0)

    def send_from(self, start: int, stopping: threading.Event) -> None:
        """Send every event from a position on when it is due."""
        events = self._events(start)
        first = next(events, None)
        sent, ended = start, first is None
        if first is not None:
            self._pace = self._paced(first)
            self._started_at = time.monotonic()
            rest = chain([first], events)
            waiting: FeedEvent | None = None
            while not stopping.is_set():
                self._heart.beat()
                batch, waiting, ended = self._due(rest, waiting)
                if batch:
                    self._send(batch)
                    sent = batch[-1].position + 1
                if ended:
                    break
                self._report(sent, ended=False)
                stopping.wait(0.0 if len(batch) >= _TRANSACTION_EVENTS else _TRANSACTION_S)
        self._report(sent, ended=ended)
        _log.info("feed of %s: %d events sent%s", self._stream.name, sent, ", its end" if ended else "")

    def _events(self, start: int) -> Iterator[FeedEvent]:
        options = self._options
        if self._stream.name == "flights":
            from pipeline.feed import flights  # pandas: the shop starts faster without it

            found = flights.events(start, options.late, options.first)
            return found if options.events is None else islice(found, max(0, options.events - start))
        return shop.events(
            lambda: datetime.now(UTC), seed=options.seed, start=start, fault_share=options.faults, until=options.events
        )

    def _paced(self, first: FeedEvent) -> ByRate | ByEventTime:
        if self._stream.name == "flights":
            field = self._stream.event_time.field
            return ByEventTime(field, first.value[field], self._options.speed)
        return ByRate(self._options.rate, first.position)

    def _due(
        self, events: Iterator[FeedEvent], waiting: FeedEvent | None
    ) -> tuple[list[FeedEvent], FeedEvent | None, bool]:
        """Events due now, the first that is not yet, and whether there are no more."""
        passed = time.monotonic() - self._started_at
        batch: list[FeedEvent] = []
        event = waiting if waiting is not None else next(events, None)
        while event is not None and self._pace.due_s(event) <= passed:
            batch.append(event)
            if len(batch) >= _TRANSACTION_EVENTS:
                return batch, None, False
            event = next(events, None)
        return batch, event, event is None

    def _send(self, batch: list[FeedEvent]) -> None:
        with self._producer.transaction() as send:
            for event in batch:
                if event.fault is None:
                    send(event.value, position=event.position)
                else:
                    key = "|".join(str(event.value[field]) for field in self._stream.key)
                    send(spoil(self._producer.encode(event.value), event.fault), key=key, position=event.position)

    def _report(self, sent: int, *, ended: bool) -> None:
        now = time.monotonic()
        if not ended and now - self._reported_at < _REPORT_EVERY_S:
            return
        self._reported_at = now
        planned = self._options.events
        self._reporter.report(
            FeedProgressed(at=datetime.now(UTC), stream=self._stream.name, produced=sent, planned=planned, ended=ended)
        )
