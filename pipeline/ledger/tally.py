"""How many events does each topic hold, block by block of raw offsets? Counted by reading, because offsets are not counts.

Transactions leave markers among the offsets of the raw topic, and one of three outputs says nothing of the other two. So
all four are read, and each record counts for the block that its source offset lies in. Route writes each output partition
in ascending order of source offsets: a record that is not above the one before it was written twice, or out of order.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException

from controlplane.contract.names import BLOCK, Hop
from pipeline.ledger.kept import Astray, Tape
from pipeline.route.tails import source_offset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from confluent_kafka import Message

    from pipeline.ledger.kept import Kept
    from pipeline.ledger.log import Log, Place

    Look = Callable[[Sequence[tuple[Hop, Message]]], None]
    """Is shown what was read, once it is counted."""

_CATCH_UP_WITHIN_S = 3.0
_LOOK_FOR_PARTITIONS_EVERY_S = 5.0
_SHORT_FOR_S = 30.0
_ASTRAY_AT_MOST = 1000
"""Of one partition; more of them would say nothing more."""
_log = logging.getLogger(__name__)


class StillCountingError(Exception):
    """The count has not come to the topics' ends."""


class Tally:
    """A stream's running count by topic, partition and block; it goes on where it was kept."""

    def __init__(self, log: Log, kept: Kept, look: Look = lambda _: None) -> None:
        self._log = log
        self._kept = kept
        self._look = look
        self.tapes: dict[Place, Tape] = kept.tapes()
        self._end_seen: dict[Place, int] = {}
        self._looked_at: float | None = None
        self._short_since: dict[Place, float] = {}

    def advance(self) -> None:
        """Count up to where the topics ended when this was called.

        Raises:
            KafkaException: if the broker refuses or is away; the next call goes on where the count stands.
            StillCountingError: if there is more to count than fits into a few seconds; the next call goes on.
        """
        try:
            self._advance()
        except KafkaException:
            self._looked_at = None  # the consumer may have gone past what was not counted: it is sent back
            raise
        finally:
            self._kept.keep(self.tapes)

    def partitions(self) -> list[int]:
        """Of the raw topic."""
        return sorted(partition for hop, partition in self.tapes if hop is Hop.RAW)

    def clear(self, partition: int, block: int) -> None:
        """Forget a block's records that were out of order, after a search that found each event there once."""
        for (_, number), tape in self.tapes.items():
            for each in [found for found in tape.astray if number == partition and found.source // BLOCK == block]:
                tape.astray.remove(each)
                self._kept.clear(each)

    def _advance(self) -> None:
        self._look_for_partitions()
        ends = self._log.ends(self.tapes)
        deadline = time.monotonic() + _CATCH_UP_WITHIN_S
        while left := sum(max(0, end - self._seen(place)) for place, end in ends.items()):
            if time.monotonic() > deadline:
                raise StillCountingError(f"still counting, {left:,} offsets to go")
            self._read()

    def _look_for_partitions(self) -> None:
        """Take in partitions that are new; after a failure, take all up again where the count stands."""
        now = time.monotonic()
        if self._looked_at is not None and now - self._looked_at < _LOOK_FOR_PARTITIONS_EVERY_S:
            return
        new = [place for place in self._log.places() if place not in self.tapes]
        if self._looked_at is None or new:
            places = [*self.tapes, *new]
            starts, ends = self._log.starts(places), self._log.ends(places)
            self.tapes = {place: self._taken_up(place, starts[place], ends[place]) for place in places}
            self._end_seen.clear()
            self._log.read_from({place: tape.until for place, tape in self.tapes.items()})
        self._looked_at = now

    def _taken_up(self, place: Place, start: int, end: int) -> Tape:
        tape = self.tapes.get(place)
        if tape is not None and start <= tape.until <= end:
            self._short_since.pop(place, None)
            return tape
        if tape is not None:
            held = f"{place[0]}[{place[1]}] was counted up to {tape.until:,} and holds [{start:,}, {end:,}) now"
            # A broker that was killed may show less for a moment; to count anew would lose what retention has taken.
            now = time.monotonic()
            if tape.until > end and now - self._short_since.setdefault(place, now) < _SHORT_FOR_S:
                raise StillCountingError(held)
            _log.warning("%s: counting it anew", held)
        self._kept.forget(place)
        return Tape(start, start)

    def _seen(self, place: Place) -> int:
        """Up to where it was read. On a busy partition the news of its end may never come: new events come first."""
        return max(self._end_seen.get(place, -1), self.tapes[place].until)

    def _read(self) -> None:
        failed: KafkaError | None = None
        read = self._log.read()
        for hop, message in read:
            error = message.error()
            if error is None:
                place = (hop, message.partition())
                _count(self.tapes[place], place, message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (its public name)
                place = (hop, message.partition())
                self._end_seen[place] = self.tapes[place].until = message.offset()
            else:
                failed = error
        self._look(read)
        if failed is not None:
            raise KafkaException(failed)


def _count(tape: Tape, place: Place, message: Message) -> None:
    """Add one record to the block that it belongs to."""
    offset = message.offset()
    hop, partition = place
    if hop is Hop.RAW:
        source = offset
    else:
        source = _source(message)
        if source <= tape.newest_source and len(tape.astray) < _ASTRAY_AT_MOST:
            tape.astray.append(Astray(hop, partition, offset, source))
    block = source // BLOCK
    if block not in tape.events:
        tape.events[block] = 0
        tape.first[block] = (offset, message.timestamp()[1])
    tape.events[block] += 1
    tape.changed.add(block)
    tape.until = offset + 1
    tape.newest_source = max(tape.newest_source, source)
    if hop is not Hop.RAW:
        tape.newest_ms = max(tape.newest_ms, message.timestamp()[1])


def _source(message: Message) -> int:
    """The source offset; -1, which lies in a block of its own, when the record was not written by route."""
    try:
        return source_offset(message)
    except ValueError as error:
        _log.warning("%s", error)
        return -1


def routed_until(tapes: Mapping[Place, Tape], partition: int, margin: timedelta) -> int:
    """Raw offset up to which route has written all that it ever will; by the broker's clock, not by ours.

    Route's three outputs are written side by side, and after a crash it reads again from a margin before its newest
    output (see `pipeline.route.tails`). So a block is done with once a record of a later block landed that margin before
    the newest one. A route that is down lands nothing, and its clock stands still.
    """
    outputs = [tape for (hop, number), tape in tapes.items() if number == partition and hop is not Hop.RAW]
    newest_ms = max((tape.newest_ms for tape in outputs), default=0)
    before_ms = newest_ms - round(margin.total_seconds() * 1000)
    begun = (_newest_begun(tape, before_ms) for tape in outputs)
    return BLOCK * max((block for block in begun if block is not None), default=0)


def _newest_begun(tape: Tape, before_ms: int) -> int | None:
    """The newest block whose first record had landed by then; blocks are begun in order, so the search is short."""
    return next((block for block in _newest_first(tape) if tape.first[block][1] <= before_ms), None)


def _newest_first(tape: Tape) -> Iterator[int]:
    return (block for block in reversed(tape.first) if block >= 0)
