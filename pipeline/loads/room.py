"""How many bytes does an event take? As those that are there do, place by place; None where nothing is there, or nobody says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException
from deltalake.exceptions import DeltaError

from controlplane.contract.names import EVENT_DATE, Hop, events_table, lake_table, topic
from pipeline.backfill.look import partitions_of as days_of
from pipeline.kafka import await_broker, consumer, partitions_of, read_range, watermarks
from pipeline.reason import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from confluent_kafka import Message

    from controlplane.contract.settings import Settings

RoomOf = dict[str, float | None]
"""Place -> bytes that an event takes there."""
_SAMPLE = 200
"""Of the newest offsets of each partition."""
_ANSWERS_WITHIN_S = 5.0
_log = logging.getLogger(__name__)


def room_of(settings: Settings, stream: str) -> RoomOf:
    """Of a stream's events: in Kafka raw and valid, before compression; in the lake and in ClickHouse what is on disk."""
    places: Mapping[str, Callable[[Settings, str], float | None]] = {
        "Kafka": _in_kafka,
        "the lake": _in_lake,
        "ClickHouse": _in_clickhouse,
    }
    return {place: _asked(place, look, settings, stream) for place, look in places.items()}


def _asked(place: str, look: Callable[[Settings, str], float | None], settings: Settings, stream: str) -> float | None:
    try:
        return look(settings, stream)
    except (KafkaException, TimeoutError, DeltaError, OSError, ClickHouseError) as error:
        _log.warning("%s does not say how much room an event takes: %s", place, first_line(error))
        return None


def _in_kafka(settings: Settings, stream: str) -> float | None:
    admin = await_broker(settings.kafka, _ANSWERS_WITHIN_S)
    client = consumer(settings.kafka, group="tidegate-load")
    try:
        found = [_mean_of(client, name, partitions_of(admin, name)) for name in _topics(stream)]
    finally:
        client.close()
    known = [each for each in found if each is not None]
    return sum(known) if len(known) == len(found) else None


def _topics(stream: str) -> tuple[str, str]:
    return topic(stream, Hop.RAW), topic(stream, Hop.VALID)


def _mean_of(client: Any, name: str, partitions: list[int]) -> float | None:  # noqa: ANN401 (the client is untyped)
    sizes = [
        size_of(record)
        for partition, (low, high) in watermarks(client, name, partitions).items()
        for record in read_range(client, name, partition, max(low, high - _SAMPLE), high)
    ]
    return sum(sizes) / len(sizes) if sizes else None


def size_of(record: Message) -> int:
    """Bytes of a record's key, value and headers."""
    headers = sum(len(name) + len(value or b"") for name, value in record.headers() or ())
    return len(record.key() or b"") + len(record.value() or b"") + headers


def _in_lake(settings: Settings, stream: str) -> float | None:
    days = days_of(lake_table(settings.lake_root, stream), EVENT_DATE).values()
    rows = sum(count for count, _ in days)
    return sum(size for _, size in days) / rows if rows else None


def _in_clickhouse(settings: Settings, stream: str) -> float | None:
    sql = (
        "SELECT sum(bytes_on_disk), sum(rows) FROM system.parts "
        "WHERE active AND database = currentDatabase() AND table = {name:String}"
    )
    client = clickhouse_connect.get_client(dsn=settings.clickhouse, autogenerate_session_id=False)
    try:
        size, rows = client.query(sql, parameters={"name": events_table(stream)}).result_rows[0]
    finally:
        client.close()
    return size / rows if rows else None
