"""Is every acknowledged event there once, and no other? Counted one by one, by the run's ids.

What else was sent meanwhile does not matter: of the raw topic since the run began, an event is the run's when its id says so, and
of what route wrote, when it was made from such a record. So a feed beside the run changes nothing, and neither does a replay.
"""

from __future__ import annotations

import io
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from fastavro import schemaless_reader

from controlplane.contract.loads import Balance
from controlplane.contract.names import HEADER_SOURCE, Hop, topic
from pipeline.kafka import OUTPUT_HOPS, TOPIC_HOPS, await_broker, consumer, partitions_of, read_range, watermarks
from pipeline.ledger.payload import RegistrySchemas
from pipeline.loads.ids import field_of, position_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controlplane.contract.settings import Settings
    from pipeline.loads.folder import LoadRun
    from pipeline.operate.kind import Work

Ends = dict[str, dict[int, int]]
"""Hop -> partition -> offset."""
ACCEPTED = ("committed", "202", "200", "push")
"""Answers that say: it is taken."""
NO_ANSWER = "none"
_FRAME_BYTES = 5
_PIECE = 50_000
_STANDS_STILL_S = 60.0
_AGAIN_AFTER_S = 0.5
_MOST = 255


class Seen:
    """What was found of one run."""

    def __init__(self, events: int, begins: Mapping[int, int], ends: Mapping[int, int]) -> None:
        """`begins`, `ends`: of the raw topic's partitions."""
        self._begins = begins
        self._raw = bytearray(events)
        self._ours = {each: bytearray(end - begins.get(each, 0)) for each, end in ends.items()}
        self._routed = {each: bytearray(len(offsets)) for each, offsets in self._ours.items()}
        self.hops: Counter[Hop] = Counter()

    def raw(self, partition: int, offset: int, position: int) -> None:
        """A record of the raw topic is the run's event at a position."""
        self._ours[partition][offset - self._begins.get(partition, 0)] = 1
        if position < len(self._raw):
            self._raw[position] = min(_MOST, self._raw[position] + 1)

    def routed(self, hop: Hop, partition: int, offset: int) -> None:
        """A record of an output was made from that raw record, the run's or not."""
        at, ours = offset - self._begins.get(partition, 0), self._ours.get(partition, b"")
        if 0 <= at < len(ours) and ours[at]:
            self.hops[hop] += 1
            self._routed[partition][at] = min(_MOST, self._routed[partition][at] + 1)

    @property
    def is_routed(self) -> bool:
        """Is every record of the run somewhere?"""
        return all(
            not mine or found
            for each, ours in self._ours.items()
            for mine, found in zip(ours, self._routed[each], strict=True)
        )

    def balance(self, answers: Iterable[tuple[int, int, str]]) -> Balance:
        """What was answered against what is there."""
        said, lost, uninvited = Counter[str](), 0, 0
        told = bytearray(len(self._raw))
        for start, until, status in answers:
            what = "acknowledged" if status in ACCEPTED else "unanswered" if _is_open(status) else "refused"
            there = sum(map(bool, self._raw[start:until]))
            said[what] += until - start
            told[start:until] = b"\1" * (until - start)
            lost += until - start - there if what == "acknowledged" else 0
            uninvited += there if what == "refused" else 0
        pairs = [
            (mine, self._routed[each][at]) for each, ours in self._ours.items() for at, mine in enumerate(ours) if mine
        ]
        twice = sum(each - 1 for each in self._raw if each > 1) + sum(each - 1 for _, each in pairs if each > 1)
        return Balance(
            acknowledged=said["acknowledged"],
            refused=said["refused"],
            # What was sent when the process ended, and nobody was told of.
            unanswered=said["unanswered"]
            + sum(1 for here, known in zip(self._raw, told, strict=True) if here and not known),
            valid=self.hops[Hop.VALID],
            dead=self.hops[Hop.DEAD],
            quarantined=self.hops[Hop.QUARANTINE],
            lost=lost + sum(1 for _, each in pairs if not each),
            doubled=twice,
            uninvited=uninvited,
        )


def _is_open(status: str) -> bool:
    """It may have been taken all the same."""
    return status == NO_ANSWER or status.startswith("5")


def ends_of(kafka: str, stream: str) -> Ends:
    """End offsets of a stream's topics."""
    admin, client = await_broker(kafka), consumer(kafka, group="tidegate-load")
    try:
        return {
            str(hop): _ends(client, topic(stream, hop), partitions_of(admin, topic(stream, hop))) for hop in TOPIC_HOPS
        }
    finally:
        client.close()


def _ends(client: Any, name: str, partitions: list[int]) -> dict[int, int]:  # noqa: ANN401 (the client is untyped)
    return {each: high for each, (_, high) in watermarks(client, name, partitions).items()}


def count(work: Work, run: LoadRun, answers: Iterable[tuple[int, int, str]]) -> Balance:
    """Read what came since the run began, and wait until route has written all of it, or stands still for a minute."""
    settings, stream = work.settings, run.asked.stream
    raw_ends = ends_of(settings.kafka, stream)[Hop.RAW]
    seen = Seen(run.asked.events, run.begins[Hop.RAW], raw_ends)
    client = consumer(settings.kafka, group="tidegate-load")
    try:
        _read_raw(work, settings, client, run, raw_ends, seen)
        is_late = _read_outputs(work, client, run, seen)
    finally:
        client.close()
    found = seen.balance(answers)
    return found.model_copy(update={"reason": f"route stood still for {_STANDS_STILL_S:.0f} s"}) if is_late else found


def _read_raw(work: Work, settings: Settings, client: Any, run: LoadRun, ends: Mapping[int, int], seen: Seen) -> None:  # noqa: ANN401, PLR0913 (the client is untyped; what is read from where to where)
    name, field, schemas = (
        topic(run.asked.stream, Hop.RAW),
        field_of(run.asked.stream),
        RegistrySchemas(settings.registry),
    )
    begins = run.begins[Hop.RAW]
    whole = sum(end - begins.get(each, 0) for each, end in ends.items())
    done = 0
    for partition, end in ends.items():
        for start in range(begins.get(partition, 0), end, _PIECE):
            work.check()
            until = min(end, start + _PIECE)
            for record in read_range(client, name, partition, start, until):
                position = position_of(_id(record.value(), field, schemas), run.run)
                if position is not None:
                    seen.raw(partition, record.offset(), position)
            done += until - start
            work.progress(done, whole, "raw offsets")


def _id(value: bytes | None, field: str, schemas: RegistrySchemas) -> object:
    """What names the event; None where it can't be read: then it is none of a run's, whose events are whole."""
    if value is None or len(value) < _FRAME_BYTES or value[0] != 0:
        return None
    schema = schemas(int.from_bytes(value[1:_FRAME_BYTES], "big"))
    if schema is None:
        return None
    try:
        found: Any = schemaless_reader(io.BytesIO(value[_FRAME_BYTES:]), schema, None)
    except Exception:  # noqa: BLE001 (whatever is wrong with it: a feed sends such on purpose)
        return None
    return found.get(field)


def _read_outputs(work: Work, client: Any, run: LoadRun, seen: Seen) -> bool:  # noqa: ANN401 (the same)
    """Did route stand still before all was there?"""
    at: Ends = {hop: dict(run.begins[hop]) for hop in OUTPUT_HOPS}
    moved = time.monotonic()
    while not seen.is_routed:
        work.check()
        if sum(_read_on(client, run, seen, hop, at[hop]) for hop in OUTPUT_HOPS):
            moved = time.monotonic()
            work.progress(seen.hops.total(), None, "events routed")
        elif time.monotonic() - moved > _STANDS_STILL_S:
            return True
        else:
            time.sleep(_AGAIN_AFTER_S)
    # What is there twice comes after what is there once.
    for hop in OUTPUT_HOPS:
        _read_on(client, run, seen, hop, at[hop])
    return False


def _read_on(client: Any, run: LoadRun, seen: Seen, hop: Hop, at: dict[int, int]) -> int:  # noqa: ANN401 (the same)
    """Read an output from where it was read to; how many records."""
    name, read = topic(run.asked.stream, hop), 0
    for partition, end in _ends(client, name, list(at)).items():
        until = min(end, at[partition] + _PIECE)
        for record in read_range(client, name, partition, at[partition], until):
            source = dict(record.headers() or []).get(HEADER_SOURCE)
            if source is not None:
                of, _, offset = source.decode().partition(":")
                seen.routed(hop, int(of), int(offset))
            read += 1
        at[partition] = until
    return read
