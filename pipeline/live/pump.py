"""How does ClickHouse get each valid event once? Framed Avro bytes as they are, in ranges with a token.

No event is decoded here: ClickHouse reads the frames itself and asks the registry what their schema ids mean.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException, TopicPartition

from controlplane.contract.facts import RangeInserted
from controlplane.contract.names import Hop, arrivals_table, events_table, topic
from pipeline.kafka import may_pass, read_range, watermarks
from pipeline.live.ranges import Range, Remembered, open_ranges, ranges_of, remembered, token
from pipeline.reason import first_line
from pipeline.serving.ddl import INSERT_SETTINGS

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Sequence

    from clickhouse_connect.driver.client import Client
    from confluent_kafka import Consumer, Message

    from controlplane.contract.reporting import Reporter
    from pipeline.live.timed import Timed

GROUP = "tidegate-live"
FRAME_BYTES = 5
"""Confluent's frame: a zero, then the schema id, big-endian."""
_GATHER_S = 0.1
"""From one insert's beginning to the next one's: events come in while an insert runs."""
_AT_LEAST_S = 0.01
_GATHER_EVENTS = 50_000
_RETRY_AFTER_S = 0.5
_CLOSED_AFTER_S = 1.0
_REPORT_EVERY_S = 1.0
_SILENT_FOR_S = 15.0
"""How long nothing may come before the broker is asked whether there is something."""
_ASKED_FOR_S = 2.0
"""Less than what makes a pump look hung: a broker that is away keeps it waiting for so long."""
_log = logging.getLogger(__name__)


class StoppedError(Exception):
    """It was told to stop while something was away; what it was about to do is done by the next run."""


class PassedOverError(Exception):
    """The broker has records that its client does not give: only a new client helps."""


@dataclass
class Done:
    """What was inserted since the last report."""

    rows: int = 0
    inserts: int = 0
    took_s: float = 0.0
    since: float = 0.0


class Pump:
    """One stream's pump; `beat` is one round."""

    def __init__(  # noqa: PLR0913 (what it is made of)
        self,
        stream: str,
        partitions: Sequence[int],
        kafka: Consumer,
        clickhouse: Client,
        registry: str,
        reporter: Reporter,
        follow: Callable[[], Collection[bytes]] | None = None,
        timed: Timed | None = None,
    ) -> None:
        """Make a pump.

        Args:
            stream: name of the stream.
            partitions: of its valid topic.
            kafka: consumer of its own.
            clickhouse: client of its own.
            registry: URL that ClickHouse asks what ids mean.
            reporter: takes the facts.
            follow: gives the events table a column for each field of every registered version and returns the frames of
                these versions; called when a frame is met that it has not named. None: the table is as it is.
            timed: told of each block, how old its events were.
        """
        self._stream = stream
        self._topic = topic(stream, Hop.VALID)
        self._partitions = list(partitions)
        self._kafka = kafka
        self._clickhouse = clickhouse
        self._reporter = reporter
        self._follow = follow
        self._timed = timed
        self._followed: Collection[bytes] = ()
        self.inserted = 0
        """Events inserted by this pump."""
        self.beaten_at = time.monotonic()
        """When it last did something, by the monotonic clock."""
        self.waits_for = ""
        """What it tries again and again, and why it fails."""
        self._positions: dict[int, int] = {}
        self._done = Done(since=time.monotonic())
        self._next_at = 0.0
        self._quiet_since = time.monotonic()
        self._ends: dict[int, int] = {}
        """End of each partition as it was when the broker was last asked in this silence."""
        self._open_since: float | None = None
        """When the last insert ended, while the group's offsets do not say so yet."""
        self._settings = {
            "format_avro_schema_registry_url": registry,
            **INSERT_SETTINGS,
        }

    def recover(self, stopping: threading.Event) -> None:
        """Finish the insert that a crash left open, and go to where the next one begins."""
        group = self._remembered()
        for partition, each in group.items():
            self._positions[partition] = each.offset
        if ranges := open_ranges(group):
            _log.info("%s: inserting again what was under way: %s", self._topic, ranges)
            messages = [
                message
                for span in ranges
                for message in read_range(self._kafka, self._topic, span.partition, span.start, span.until)
            ]
            self._insert(messages, ranges, stopping)
        self._kafka.assign(
            [TopicPartition(self._topic, partition, self._positions[partition]) for partition in self._partitions]
        )

    def widen(self, partitions: Sequence[int], stopping: threading.Event) -> None:
        """Take in partitions that the topic has gained."""
        if gained := sorted(set(partitions) - set(self._partitions)):
            _log.info("%s has gained partitions %s", self._topic, gained)
            self.close_ranges(stopping)
            self._partitions = sorted({*self._partitions, *gained})
            self.recover(stopping)

    def beat(self, stopping: threading.Event) -> None:
        """Take what has come since the last time, waiting until it was some milliseconds ago, and insert it.

        Raises:
            KafkaException: if the broker refuses.
            StoppedError: if it was told to stop and could not finish.
            PassedOverError: if nothing comes although there is something.
        """
        self.beaten_at = time.monotonic()
        messages = self._kafka.consume(_GATHER_EVENTS, timeout=max(_AT_LEAST_S, self._next_at - time.monotonic()))
        self._next_at = time.monotonic() + _GATHER_S
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
        if messages:
            ranges = ranges_of(messages, self._positions)
            self._intend(ranges, stopping)
            self._insert(messages, ranges, stopping)
            self._quiet_since, self._ends = time.monotonic(), {}
        elif time.monotonic() - self._quiet_since > _SILENT_FOR_S:
            self._look_for_more()
        elif self._open_since is not None and time.monotonic() - self._open_since >= _CLOSED_AFTER_S:
            self.close_ranges(
                stopping
            )  # else who reads the group's offsets would see a lag for as long as nothing comes
        self._report()

    def _look_for_more(self) -> None:
        """Silence is well when nothing is there; what was there a silence ago and is still not given will not come."""
        self._quiet_since = time.monotonic()
        try:
            found = watermarks(self._kafka, self._topic, self._partitions, _ASKED_FOR_S)
        except KafkaException:
            return  # the broker is away: there is nobody to be passed over by
        ends = {partition: high for partition, (_, high) in found.items()}
        for partition, before in self._ends.items():
            if self._positions[partition] < before < ends.get(partition, 0):  # what stands still may be a marker
                raise PassedOverError(
                    f"{self._topic} {partition} goes on from {before} to {ends[partition]} and nothing has come since "
                    f"{self._positions[partition]}"
                )
        self._ends = ends

    def close_ranges(self, stopping: threading.Event) -> None:
        """Say that nothing is under way."""
        self._intend((), stopping)
        self._open_since = None

    def _remembered(self) -> dict[int, Remembered]:
        lows = {partition: low for partition, (low, _) in self._watermarks().items()}
        if not self._has_arrivals():
            return {partition: Remembered(low, None) for partition, low in lows.items()}
        asked = [TopicPartition(self._topic, partition) for partition in self._partitions]
        committed = {each.partition: each for each in self._kafka.committed(asked, timeout=10)}
        return {
            partition: remembered(each.offset, each.metadata) if each.offset >= 0 else Remembered(lows[partition], None)
            for partition, each in committed.items()
        }

    def _watermarks(self) -> dict[int, tuple[int, int]]:
        return watermarks(self._kafka, self._topic, self._partitions)

    def _has_arrivals(self) -> bool:
        found = self._clickhouse.query(f"SELECT count() FROM {arrivals_table(self._stream)}")  # noqa: S608 (a checked name)
        return int(found.result_rows[0][0]) > 0

    def _intend(self, ranges: Sequence[Range], stopping: threading.Event) -> None:
        until = {each.partition: str(each.until) for each in ranges}
        offsets = [
            TopicPartition(self._topic, partition, position, until.get(partition, ""))
            for partition, position in self._positions.items()
        ]
        # Made again it says the same, so it does not matter whether a try that failed had come through.
        self._until_done(
            lambda: self._kafka.commit(offsets=offsets, asynchronous=False),
            "the broker does not take offsets",
            stopping,
        )

    def _until_done(self, act: Callable[[], object], trouble: str, stopping: threading.Event) -> None:
        """Try until it is done; what is away comes back, and the next try is as good as the first.

        Raises:
            StoppedError: if it is still not done when `stopping` is set.
            KafkaException: if it never can be.
        """
        while True:
            self.beaten_at = time.monotonic()
            try:
                act()
            except (ClickHouseError, KafkaException, OSError) as error:
                if isinstance(error, KafkaException) and not may_pass(error):
                    raise
                if not self.waits_for:
                    _log.warning("%s: %s (%s); trying again", self._topic, trouble, first_line(error))
                self.waits_for = f"{self._topic}: {trouble}: {first_line(error)}"
                if stopping.wait(_RETRY_AFTER_S):
                    raise StoppedError(self.waits_for) from error
            else:
                if self.waits_for:
                    _log.info("%s: going on", self._topic)
                self.waits_for = ""
                return

    def _insert(self, messages: Sequence[Message], ranges: Sequence[Range], stopping: threading.Event) -> None:
        self._follow_versions({message.value()[:FRAME_BYTES] for message in messages}, stopping)
        block = b"".join([message.value() for message in messages])
        settings = {**self._settings, "insert_deduplication_token": token(self._topic, ranges)}
        began = time.monotonic()
        if block:
            self._until_done(
                lambda: self._clickhouse.raw_insert(
                    events_table(self._stream), insert_block=block, settings=settings, fmt="AvroConfluent"
                ),
                f"ClickHouse does not take {len(messages)} events",
                stopping,
            )
        self._positions.update({each.partition: each.until for each in ranges})
        self._open_since = time.monotonic()
        self._done.rows += len(messages)
        self.inserted += len(messages)
        self._done.inserts += 1
        self._done.took_s += time.monotonic() - began
        if self._timed is not None:
            self._timed.take(messages, time.time() * 1000)

    def _follow_versions(self, frames: set[bytes], stopping: threading.Event) -> None:
        """Events of a version that is new wait until the table has its columns."""
        if self._follow is None or frames <= set(self._followed):
            return
        follow = self._follow

        def act() -> None:
            self._followed = {*follow(), *frames}

        self._until_done(act, "the events table does not follow a new schema", stopping)

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._done.since < _REPORT_EVERY_S:
            return
        done, self._done = self._done, Done(since=now)
        self._reporter.report(
            RangeInserted(
                at=datetime.now(UTC), stream=self._stream, rows=done.rows, inserts=done.inserts, took_s=done.took_s
            )
        )
        if self._timed is not None:
            self._reporter.report(*self._timed.facts(datetime.now(UTC)))
