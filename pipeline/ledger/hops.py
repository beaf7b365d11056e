"""Where is one block at each hop, so that it can be searched without reading everything?

In the raw topic at its own offsets; in the outputs from where the tally saw its first record to where it saw the first
of the next block, and wherever else it saw one out of order; in the lake in the files that count it; in ClickHouse by SQL.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.names import BLOCK, Hop, topic
from pipeline.kafka import consumer, read_range, watermarks
from pipeline.ledger.motion import SETTLING
from pipeline.ledger.search import RawRecord
from pipeline.route.tails import source_offset

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from confluent_kafka import Consumer, Message

    from pipeline.ledger.kept import Tape
    from pipeline.ledger.lake import LakeCount
    from pipeline.ledger.log import Place
    from pipeline.ledger.serving import Serving

_FETCH: dict[str, str | float | bool] = {"queued.max.messages.kbytes": 16 * 1024}


class Hops:
    """A stream's hops, to be searched; its consumer lives as long as the search."""

    def __init__(
        self, bootstrap: str, stream: str, tapes: Mapping[Place, Tape], lake: LakeCount, serving: Serving
    ) -> None:
        self._stream = stream
        self._tapes = tapes
        self._lake = lake
        self._serving = serving
        self._landed: dict[tuple[int, int], list[tuple[int, int]]] = {}
        """Partition and block -> source offset, and when the topic took it (ms), of each output record that was read."""
        self._client: Consumer = consumer(bootstrap, group="tidegate-ledger-search", **_FETCH)

    def raw_since(self, partition: int) -> int:
        """See `BlockSource`."""
        return watermarks(self._client, topic(self._stream, Hop.RAW), [partition])[partition][0]

    def raw(self, partition: int, block: int) -> Sequence[RawRecord]:
        """See `BlockSource`."""
        until = min((block + 1) * BLOCK, self._tapes[Hop.RAW, partition].until)
        return [
            RawRecord(each.offset(), datetime.fromtimestamp(each.timestamp()[1] / 1000, UTC), each.key(), each.value())
            for each in self._read(Hop.RAW, partition, block * BLOCK, until)
        ]

    def found(self, hop: Hop, partition: int, block: int) -> Mapping[int, int]:
        """See `BlockSource`."""
        if hop is Hop.LAKE:
            return self._lake.offsets(partition, block)
        if hop is Hop.SERVING:
            return self._serving.offsets(partition, block)
        return Counter(self._sources(hop, partition, block))

    def routed_until(self, partition: int, block: int) -> int:
        """See `BlockSource`; to be asked once the outputs were."""
        outputs = [tape for (hop, number), tape in self._tapes.items() if number == partition and hop is not Hop.RAW]
        before_ms = max((tape.newest_ms for tape in outputs), default=0) - round(SETTLING.total_seconds() * 1000)
        return max((source for source, ms in self._landed.get((partition, block), ()) if ms <= before_ms), default=0)

    def close(self) -> None:
        """Let go of the broker."""
        self._client.close()

    def _sources(self, hop: Hop, partition: int, block: int) -> Iterator[int]:
        tape = self._tapes.get((hop, partition))
        if tape is None or block not in tape.first:
            return
        start, until = stretch(tape, block)
        for message in self._read(hop, partition, start, until):
            if (source := source_offset(message)) // BLOCK == block:
                self._landed.setdefault((partition, block), []).append((source, message.timestamp()[1]))
                yield source
        for each in tape.astray:
            if each.source // BLOCK == block and not start <= each.offset < until:
                yield each.source

    def _read(self, hop: Hop, partition: int, start: int, until: int) -> Sequence[Message]:
        name = topic(self._stream, hop)
        low, high = watermarks(self._client, name, [partition])[partition]
        return read_range(self._client, name, partition, max(low, start), min(high, until))


def stretch(tape: Tape, block: int) -> tuple[int, int]:
    """Offsets of an output topic between which a block's records lie, those out of order aside."""
    start = tape.first[block][0]
    later = [first for each, (first, _) in tape.first.items() if each > block and first > start]
    return start, min(later, default=tape.until)
