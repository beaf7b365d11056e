"""What has route written since the last look? Counts from offsets, headers of what it turned away, and some of what it let through.

Route writes without transactions, so each offset is a record. Everything is bounded: so many rows of the sample, so many
headers; what was not read is said to be so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, TopicPartition

from controlplane.contract.names import HEADER_REASON, HEADER_RULES, Hop, topic
from quality.sampled.verdict import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from confluent_kafka import Message

SAMPLE = 2000
"""Rows."""
TURNED_AWAY_AT_MOST = 20_000
"""Records whose headers are read in one look."""
_DECODED_AT_MOST = 200
"""Of those, how many are decoded for examples."""
_EXAMPLES = 5
_SHOWN_AT_MOST = 80
_TIMEOUT_S = 5.0
_AT_ONCE = 1000
_QUEUED_KIB = 8192
"""What the client reads ahead."""
_HOPS = (Hop.VALID, Hop.DEAD, Hop.QUARANTINE)

Ends = dict[Hop, dict[int, int]]
"""End offset of each partition of each of route's topics."""


class RouteTopics:
    """One stream's three outputs of route."""

    def __init__(self, kafka: str, stream: str) -> None:
        self._stream = stream
        self._consumer = Consumer(
            {
                "bootstrap.servers": kafka,
                "group.id": f"tidegate-quality-sample-{stream}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "queued.max.messages.kbytes": _QUEUED_KIB,
                "log_level": 2,
            }
        )

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()

    def ends(self) -> Ends:
        """Where each topic ends now; nothing for a topic that is not there yet.

        Raises:
            KafkaException: if the broker does not answer.
        """
        return {hop: self._ends(topic(self._stream, hop)) for hop in _HOPS}

    def _ends(self, name: str) -> dict[int, int]:
        found = self._consumer.list_topics(name, timeout=_TIMEOUT_S).topics[name]
        if found.error is not None:
            return {}
        return {
            each: self._consumer.get_watermark_offsets(TopicPartition(name, each), timeout=_TIMEOUT_S, cached=False)[1]
            for each in found.partitions
        }

    def interval(  # noqa: PLR0913 (from where to where, and how to read it)
        self,
        before: Ends,
        after: Ends,
        began: datetime,
        until: datetime,
        columns: Mapping[str, tuple[str, ...]],
        decode: Callable[[bytes], Mapping[str, Any] | None],
    ) -> Interval:
        """What route wrote between two looks.

        Args:
            before: ends at the look before.
            after: ends at this look.
            began: when the look before was.
            until: when this one was.
            columns: rule -> columns that it reads, for examples.
            decode: an event from a record's value; None when it cannot be read.
        """
        counts = {hop: _grown(before[hop], after[hop]) for hop in _HOPS}
        dead, quarantined = (
            self._newest(hop, before[hop], after[hop], TURNED_AWAY_AT_MOST // 2) for hop in (Hop.DEAD, Hop.QUARANTINE)
        )
        seen = looked_through(dead, quarantined, columns, decode)
        return Interval(
            began=began,
            until=until,
            valid=counts[Hop.VALID],
            dead=counts[Hop.DEAD],
            quarantined=counts[Hop.QUARANTINE],
            causes=seen.causes,
            looked_at=seen.records,
            examples=seen.examples,
        )

    def sample(self, before: Ends, after: Ends, since: datetime | None) -> list[bytes]:
        """Some of the newest records that route let through between two looks, written since a moment."""
        found = self._newest(Hop.VALID, before[Hop.VALID], after[Hop.VALID], SAMPLE)
        return [message.value() or b"" for message in found if since is None or written_at(message) >= since]

    def _newest(self, hop: Hop, before: Mapping[int, int], after: Mapping[int, int], most: int) -> Iterator[Message]:
        """The newest records between two looks, so many at most, the same number of each partition that has them."""
        name = topic(self._stream, hop)
        share = max(1, most // max(1, len(after)))
        spans = {each: (max(before.get(each, 0), end - share), end) for each, end in after.items()}
        waiting = {each: end for each, (start, end) in spans.items() if end > start}
        if not waiting:
            return
        self._consumer.assign([TopicPartition(name, each, spans[each][0]) for each in waiting])
        try:
            while waiting:
                messages = self._consumer.consume(_AT_ONCE, _TIMEOUT_S)
                if not messages:
                    return  # retention may have taken the last of them: what was not looked at is said to be so
                for message in messages:
                    partition, offset = message.partition(), message.offset()
                    if message.error() is not None or partition not in waiting or offset is None:
                        continue
                    if offset < spans[partition][1]:
                        yield message
                    if offset + 1 >= spans[partition][1]:
                        del waiting[partition]
        finally:
            self._consumer.unassign()


def _grown(before: Mapping[int, int], after: Mapping[int, int]) -> int:
    return sum(max(0, end - before.get(partition, 0)) for partition, end in after.items())


@dataclass(frozen=True)
class Seen:
    """What was found in records that were turned away."""

    records: int
    causes: Mapping[str, int]
    """Rule, or reason where no rule was broken -> records that name it."""
    examples: Mapping[str, tuple[str, ...]]
    """Rule -> some values that broke it."""


def looked_through(
    dead: Iterable[Message],
    quarantined: Iterable[Message],
    columns: Mapping[str, tuple[str, ...]],
    decode: Callable[[bytes], Mapping[str, Any] | None],
) -> Seen:
    """Count causes; of the first quarantined records take examples too."""
    causes: Counter[str] = Counter()
    examples: dict[str, dict[str, None]] = defaultdict(dict)
    records = 0
    for message in dead:
        records += 1
        causes.update(causes_of(message))
    for number, message in enumerate(quarantined):
        records += 1
        named = causes_of(message)
        causes.update(named)
        if number < _DECODED_AT_MOST:
            event = decode(message.value() or b"") or {}
            for rule in named:
                examples[rule] |= dict.fromkeys(_values(event, columns.get(rule, ())))
    return Seen(records, dict(causes), {rule: tuple(found)[:_EXAMPLES] for rule, found in examples.items()})


def causes_of(message: Message) -> tuple[str, ...]:
    """The rules that a record broke, or else the reason for which it was turned away."""
    headers = {key: (value or b"") for key, value in message.headers() or ()}
    rules = [each for each in _text(headers.get(HEADER_RULES)).split(",") if each]
    return tuple(rules) or (_text(headers.get(HEADER_REASON)) or "without a reason",)


def _text(value: bytes | str | None) -> str:
    return value if isinstance(value, str) else (value or b"").decode("utf-8", "replace")


def written_at(message: Message) -> datetime:
    """When a record was written; the beginning of time for one that does not say."""
    kind, milliseconds = message.timestamp()
    return datetime.fromtimestamp(0 if kind == TIMESTAMP_NOT_AVAILABLE else milliseconds / 1000, UTC)


def _values(event: Mapping[str, Any], columns: tuple[str, ...]) -> Iterator[str]:
    """What an event has in these columns, as one example."""
    if columns and any(column in event for column in columns):
        text = ", ".join(str(event.get(column)) for column in columns)
        yield text if len(text) <= _SHOWN_AT_MOST else f"{text[: _SHOWN_AT_MOST - 1]}…"
