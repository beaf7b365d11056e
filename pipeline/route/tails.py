"""Where did route stop? Asked of its own outputs, so that a restart loses nothing and doubles nothing.

Spark's Kafka sink is at-least-once, and a real-time batch may be minutes old when the process dies. But each output
record goes to the partition of its source, in order, and carries its source offset: the outputs themselves say how far
route came. Two numbers follow for each source partition:

- per topic, the *tail*: the source offset of its last record. What is not beyond it is already there and is dropped.
- the *start*: where to read from. The three topics are written side by side, so a record may still have been on its way
  to one while a later one had landed in another. Whatever the sink sent longer ago than its delivery timeout, measured
  from the newest landed record, has landed or failed the query; so we start a margin before the newest tail.

A run that ends before it has lived for that long may leave behind it something older than the newest record by more than
that: what the run before it had left, read again and not yet landed. So a run also begins no later than one that ended so
soon (`begin`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from confluent_kafka import TopicPartition

from controlplane.contract.names import HEADER_SOURCE, Hop, topic
from pipeline.kafka import OUTPUT_HOPS, last_record, read_range, watermarks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from confluent_kafka import Consumer, Message

DELIVERY_TIMEOUT = timedelta(seconds=20)
"""Of the sink's producer: long enough for a broker that starts again, short because `MARGIN` is read again at each start."""
MARGIN = 2 * DELIVERY_TIMEOUT + timedelta(seconds=5)
"""What landed so long before the newest output is followed by nothing older.

A record that is handed to the sink lands or expires within one timeout; what the same task handed over before it noticed
that may land within another.
"""
_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Landed:
    """The last record of one output partition."""

    hop: Hop
    source_offset: int
    appended_ms: int


@dataclass(frozen=True)
class Resumption:
    """Where a run of route begins."""

    starts: dict[int, int]
    """Source partition -> first offset to read."""
    tails: dict[Hop, dict[int, int]]
    """Output -> source partition -> last source offset that is already there."""


def source_offset(message: Message) -> int:
    """Offset in the source partition that an output record was made from.

    Raises:
        ValueError: if the record was not written by route.
    """
    headers = dict(message.headers() or [])
    written = headers.get(HEADER_SOURCE, b"").decode("ascii", "replace")
    partition, _, offset = written.partition(":")
    if partition != str(message.partition()) or not offset.isdigit():
        raise ValueError(
            f"{message.topic()}[{message.partition()}] offset {message.offset()}: header {HEADER_SOURCE} is {written!r}, "
            f"expected '{message.partition()}:<offset>'; only route may write this topic"
        )
    return int(offset)


def resume(client: Consumer, stream: str, partitions: Iterable[int], short_run: Mapping[int, int]) -> Resumption:
    """Read the tails of a stream's outputs; takes some milliseconds a partition.

    `short_run` says where a run before began that has not outlived `MARGIN`.

    Only safe once every task of the run before is dead: the sink has no fencing.
    """
    tails: dict[Hop, dict[int, int]] = {hop: {} for hop in OUTPUT_HOPS}
    starts: dict[int, int] = {}
    margin_ms = round(MARGIN.total_seconds() * 1000)
    sources = watermarks(client, topic(stream, Hop.RAW), partitions)
    for partition, (low, _) in sources.items():
        landed = _landed(client, stream, partition)
        for last in landed:
            tails[last.hop][partition] = last.source_offset
        settled = _start(client, stream, partition, landed, margin_ms)
        starts[partition] = begin(low, settled, short_run.get(partition))
    return Resumption(starts, tails)


def until_of(resumption: Resumption) -> dict[int, int]:
    """Source partition -> one past the last offset that any output has; what is before it is in doubt from `starts` on."""
    return {
        partition: max(start, *(tails.get(partition, -1) + 1 for tails in resumption.tails.values()))
        for partition, start in resumption.starts.items()
    }


def begin(low: int, settled: int, short_run: int | None) -> int:
    """Where to read a source partition from; the tails drop what is there already.

    Args:
        low: its first offset that is still there.
        settled: one past what had landed `MARGIN` before the newest output.
        short_run: where a run before began that has not outlived `MARGIN`; None when there is none.
    """
    return max(low, settled if short_run is None else min(settled, short_run))


def _landed(client: Consumer, stream: str, partition: int) -> list[Landed]:
    found = [(hop, last_record(client, topic(stream, hop), partition)) for hop in OUTPUT_HOPS]
    return [Landed(hop, source_offset(last), last.timestamp()[1]) for hop, last in found if last is not None]


def _start(client: Consumer, stream: str, partition: int, landed: list[Landed], margin_ms: int) -> int:
    """One past the highest source offset that had landed `margin_ms` before the newest landed record."""
    newest_ms = max((last.appended_ms for last in landed), default=0)
    settled = [
        last.source_offset
        if last.appended_ms < newest_ms - margin_ms
        else _source_offset_before(client, topic(stream, last.hop), partition, newest_ms - margin_ms)
        for last in landed
    ]
    return max((offset for offset in settled if offset is not None), default=-1) + 1


def _source_offset_before(client: Consumer, name: str, partition: int, before_ms: int) -> int | None:
    """Source offset of the last record appended before a time; None when there is none."""
    low, high = watermarks(client, name, [partition])[partition]
    [found] = client.offsets_for_times([TopicPartition(name, partition, before_ms)], timeout=_TIMEOUT_S)
    first_after = found.offset if found.offset >= 0 else high
    if first_after <= low:
        return None
    before = read_range(client, name, partition, first_after - 1, first_after)
    return source_offset(before[-1]) if before else None
