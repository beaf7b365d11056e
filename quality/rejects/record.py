"""What does a turned-away record say of itself? Its headers, as one row of the table `rejects`.

Headers are written by route, but topics can be written by anyone: what is missing or malformed becomes null, and a record
is never lost because of it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from controlplane.contract.names import (
    HEADER_REASON,
    HEADER_RULES,
    HEADER_SCHEMA_ID,
    HEADER_SEEN_AT,
    HEADER_SOURCE,
    HEADER_STAGE,
    HEADER_SUITE,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    Hop,
)
from controlplane.contract.rejects import REJECT_COLUMNS, reject_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from confluent_kafka import Message

_ARROW = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "binary": pa.binary(),
    "date": pa.date32(),
}
SCHEMA = pa.schema([(name, _ARROW[kind]) for name, kind in REJECT_COLUMNS.items()])
"""Of the table, as Arrow."""


def rows(hop: Hop, messages: Iterable[Message]) -> pa.Table:
    """Records of one topic as rows."""
    return pa.Table.from_pylist([row(hop, each) for each in messages], schema=SCHEMA)


def row(hop: Hop, message: Message) -> dict[str, Any]:
    """One record: column -> value."""
    said = {key: value.decode("utf-8", "replace") for key, value in message.headers() or () if value is not None}
    partition, offset = _place(said.get(HEADER_SOURCE))
    rejected_at = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
    return {
        "id": reject_id(hop, message.partition(), message.offset()),
        "stage": said.get(HEADER_STAGE) or "ingest",
        "reason": said.get(HEADER_REASON) or "unknown",
        "rules": said.get(HEADER_RULES, ""),
        "suite": said.get(HEADER_SUITE, ""),
        "partition": message.partition(),
        "offset": message.offset(),
        SOURCE_PARTITION: partition,
        SOURCE_OFFSET: offset,
        "schema_id": _schema_id(said),
        "seen_at": _moment(said.get(HEADER_SEEN_AT)),
        "rejected_at": rejected_at,
        "key": message.key(),
        "value": message.value(),
        "batch": None,
        "day": rejected_at.date(),
    }


def _schema_id(said: Mapping[str, str]) -> int | None:
    """Avro's ids are four bytes; a corrupt one may not fit a signed number, as route writes them."""
    text = said.get(HEADER_SCHEMA_ID, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) < 2**31 else None


def _place(text: str | None) -> tuple[int | None, int | None]:
    partition, _, offset = (text or "").partition(":")
    return (int(partition), int(offset)) if partition.isdigit() and offset.isdigit() else (None, None)


def _moment(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
