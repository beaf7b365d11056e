"""Is every event that was produced where it belongs, once? Compared row by row, by ids, on all of the real stores.

What was produced is read from the raw topic, `read_committed`. Where each record belongs is known without the platform:
from the feed's position, or from the burst that it came in.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import clickhouse_connect
from deltalake import DeltaTable

from controlplane.contract.names import (
    HEADER_FEED_POSITION,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    Hop,
    events_table,
    lake_entity,
    lake_table,
    rollup_view,
    topic,
)
from load_tests.bench.faults.load import of_key, of_position
from load_tests.bench.followed import A_BEAT_S, is_followed, is_published
from load_tests.bench.until import steady
from pipeline.kafka import OUTPUT_HOPS, await_broker, consumer, partitions_of, read_range, watermarks
from pipeline.route.tails import source_offset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from confluent_kafka import Message

    from controlplane.contract.settings import Settings

Place: TypeAlias = tuple[int, int]
"""Partition and offset in the raw topic."""
_SLICE = 50_000
_EXAMPLES = 5
_ENTITY = "visitor"
_ROLLUP = "traffic"
_TABLES_WITHIN_S, _LOOK_EVERY_S = 120.0, 0.5


@dataclass
class Account:
    """What the comparison found."""

    produced: int = 0
    lost: int = 0
    duplicated: int = 0
    examples: list[str] = field(default_factory=list)
    by_hop: dict[str, int] = field(default_factory=dict)

    def note(self, where: str, lost: Sequence[object], doubled: Sequence[object]) -> None:
        """Add what one store lacks or has too often."""
        self.lost += len(lost)
        self.duplicated += len(doubled)
        self.examples += [f"{where} lacks {each}" for each in lost[:_EXAMPLES]]
        self.examples += [f"{where} has more than once {each}" for each in doubled[:_EXAMPLES]]


def compare(settings: Settings, stream: str) -> Account:
    """The whole account of a stream at rest."""
    account = Account()
    expected = _expected(settings, stream, account)
    account.produced = len(expected)
    _compare_topics(settings, stream, expected, account)
    valid = {(*place, str(event)) for place, (hop, event) in expected.items() if hop is Hop.VALID}
    for where, rows in (("the lake", _lake(settings, stream)), ("ClickHouse", _serving(settings, stream))):
        held = Counter(rows)
        account.by_hop[where] = held.total()
        account.note(where, sorted(valid - held.keys()), sorted(each for each, count in held.items() if count > 1))
        account.examples += [
            f"{where} has {each}, which nobody produced" for each in sorted(held.keys() - valid)[:_EXAMPLES]
        ]
        account.duplicated += len(held.keys() - valid)
    _await_tables(settings, stream)
    _compare_rollup(settings, stream, len(valid), account)
    _compare_entity(settings, stream, account)
    return account


def _await_tables(settings: Settings, stream: str) -> None:
    """Until entity and rollup have followed the last event; if they do not in time, the comparison says what is missing."""
    deadline = time.monotonic() + _TABLES_WITHIN_S
    with clickhouse_connect.get_client(dsn=settings.clickhouse, autogenerate_session_id=False) as client:
        is_done = steady(
            lambda: is_followed(settings, stream, _ENTITY) and is_published(client, settings, stream, (_ROLLUP,)),
            A_BEAT_S,
        )
        while not is_done() and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_S)


def _expected(settings: Settings, stream: str, account: Account) -> dict[Place, tuple[Hop, str | None]]:
    """Place in the raw topic -> where the record belongs and its event id; the feed itself must have left out nothing."""
    expected: dict[Place, tuple[Hop, str | None]] = {}
    positions: Counter[int] = Counter()
    for message in records(settings, topic(stream, Hop.RAW)):
        headers = dict(message.headers() or [])
        place = (message.partition(), message.offset())
        if HEADER_FEED_POSITION in headers:
            position = int(headers[HEADER_FEED_POSITION])
            positions[position] += 1
            expected[place] = of_position(position)
        else:
            expected[place] = of_key(message.key().decode())
    missing = sorted(set(range(max(positions, default=-1) + 1)) - positions.keys())
    account.note("the feed", missing, [each for each, count in positions.items() if count > 1])
    return expected


def _compare_topics(
    settings: Settings, stream: str, expected: dict[Place, tuple[Hop, str | None]], account: Account
) -> None:
    found: Counter[Place] = Counter()
    for hop in OUTPUT_HOPS:
        for message in records(settings, topic(stream, hop)):
            place = (message.partition(), source_offset(message))
            found[place] += 1
            if place in expected and expected[place][0] is not hop:
                account.examples.append(f"{topic(stream, hop)} has {place}, which belongs in {expected[place][0]}")
                account.lost += 1
        account.by_hop[hop] = found.total() - sum(account.by_hop.get(each, 0) for each in OUTPUT_HOPS)
    doubled = [each for each, count in found.items() if count > 1 or each not in expected]
    account.note("route", sorted(expected.keys() - found.keys()), sorted(doubled))


def _compare_rollup(settings: Settings, stream: str, valid: int, account: Account) -> None:
    """The same through the view of closed and live windows: a doubled block shows there also if the table itself dropped it."""
    rollup = rollup_view(stream, _ROLLUP)
    with clickhouse_connect.get_client(dsn=settings.clickhouse, autogenerate_session_id=False) as client:
        counted = int(client.query(f"SELECT sum(events) FROM {rollup}").result_rows[0][0])  # noqa: S608 (a checked name)
    account.by_hop[rollup] = counted
    if counted != valid:
        account.examples.append(f"{rollup} counts {counted:,} events of {valid:,}")
        account.lost += max(0, valid - counted)
        account.duplicated += max(0, counted - valid)


def _compare_entity(settings: Settings, stream: str, account: Account) -> None:
    """Each visitor has the event that is greatest by time and place of all that the lake has."""
    place = ["event_time", "tg_raw_at", SOURCE_PARTITION, SOURCE_OFFSET]
    events = DeltaTable(lake_table(settings.lake_root, stream)).to_pandas(columns=["user_id", *place])
    newest = events.sort_values(place).groupby("user_id").tail(1)[["user_id", SOURCE_PARTITION, SOURCE_OFFSET]]
    path = lake_table(settings.lake_root, stream, lake_entity(_ENTITY))
    held = Counter(_rows(DeltaTable(path).to_pyarrow_table(columns=list(newest.columns))))
    expected = set(newest.itertuples(index=False, name=None))
    account.by_hop[lake_entity(_ENTITY)] = held.total()
    wrong = [each for each, count in held.items() if count > 1 or each not in expected]
    account.note(f"the entity {_ENTITY}", sorted(expected - held.keys()), sorted(wrong))


def records(settings: Settings, name: str) -> Iterator[Message]:
    """Every committed record of a topic, a slice at a time."""
    client = consumer(settings.kafka, group="tidegate-faults")
    try:
        ends = watermarks(client, name, partitions_of(await_broker(settings.kafka), name))
        for partition, (low, high) in ends.items():
            for start in range(low, high, _SLICE):
                yield from read_range(client, name, partition, start, min(high, start + _SLICE))
    finally:
        client.close()


def _lake(settings: Settings, stream: str) -> Iterator[tuple[Any, ...]]:
    table = DeltaTable(lake_table(settings.lake_root, stream))
    return _rows(table.to_pyarrow_table(columns=[SOURCE_PARTITION, SOURCE_OFFSET, "event_id"]))


def _serving(settings: Settings, stream: str) -> Iterator[tuple[Any, ...]]:
    sql = f"SELECT {SOURCE_PARTITION}, {SOURCE_OFFSET}, event_id FROM {events_table(stream)}"  # noqa: S608 (a checked name)
    with clickhouse_connect.get_client(dsn=settings.clickhouse, autogenerate_session_id=False) as client:
        return _rows(client.query_arrow(sql, use_strings=True))


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)
