"""How does a framed record become an event?

Confluent's frame names the writer's schema by id; each known writer is one branch. An Avro decoder reads as far as its
schema goes and no further, so bytes behind a record pass unseen. Route carries a record's bytes on (`encode`), so here
each is decoded with a mark behind it, a field that its schema does not have: only a record that ends where the mark
begins gives the mark back.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as sf
from pyspark.sql.avro.functions import from_avro

from controlplane.contract.evolution import reader_for
from controlplane.contract.names import Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pyspark.sql import Column

UNKNOWN_ID = "TIDEGATE_UNKNOWN_SCHEMA_ID"
"""What a query's failure says, with the id behind a colon, when it met a schema id that route has not asked about."""
_FRAME_BYTES = 5
_MARK = "tg_mark"
_MARKED_WITH = secrets.randbits(63)
"""New in every process: nobody can write it behind a record."""


@dataclass(frozen=True)
class Schemas:
    """What route knows of the registry."""

    writers: Mapping[int, str]
    """Schema id -> Avro JSON of every version producers may write with."""
    valid_id: int
    """Id of the schema that route writes `<s>.valid` with."""
    refused: frozenset[int] = frozenset()
    """Ids that the registry was asked about and does not have for this stream."""
    misread: frozenset[int] = frozenset()
    """Ids of versions whose records would be read to wrong values."""
    stop_at_unknown: bool = True
    """Stop on an id never asked about (and ask), instead of taking it for a bad one."""


def framed_id(known: Collection[int]) -> Column:
    """The schema id in column `value`, framed as Confluent does (magic byte 0, four bytes); null when it is not.

    Args:
        known: ids that are likely; any other is read as well, only slower.
    """
    framed = (sf.length("value") > _FRAME_BYTES) & (sf.expr("substring(value, 1, 1)") == sf.expr("X'00'"))
    stated = sf.expr("cast(conv(hex(substring(value, 2, 4)), 16, 10) as bigint)")
    # Comparing the frame of an id that is known costs a tenth of reading a number from it.
    start = sf.expr(f"substring(value, 1, {_FRAME_BYTES})")
    number = reduce(lambda rest, each: sf.when(start == frame(each), sf.lit(each)).otherwise(rest), known, stated)
    return sf.when(framed, number.cast("bigint"))


def frame(schema_id: int) -> Column:
    """The five bytes before a record of this schema."""
    return sf.expr(f"X'00{schema_id:08X}'")


def body() -> Column:
    """The record in column `value`, without its frame."""
    return sf.expr(f"substring(value, {_FRAME_BYTES + 1})")


def by_writer(record: Column, reader: dict[str, Any], writers: Mapping[int, str], *, mode: str) -> Column:
    """A record by its writer's schema (column `schema_id`), resolved to the reader's; null for other ids.

    Args:
        record: Avro, without a frame.
        reader: Avro schema.
        writers: schema id -> Avro JSON.
        mode: `PERMISSIVE` gives null, or a record of nulls, for bytes that do not fit; `FAILFAST` fails the query.
    """
    decoded: Column | None = None
    for schema_id, writer in sorted(writers.items()):
        resolved = reader_for(json.loads(writer), reader)
        event = from_avro(record, writer, {"mode": mode, "avroSchema": json.dumps(resolved)})
        is_writer = sf.col("schema_id") == schema_id
        decoded = sf.when(is_writer, event) if decoded is None else decoded.when(is_writer, event)
    if decoded is None:
        raise ValueError("no writer schema is registered; register the stream before routing it")
    return decoded


def marked_event(reader: dict[str, Any], writers: Mapping[int, str]) -> Column:
    """The event in column `value`; `undecoded` tells whether it is one."""
    mark = sf.expr(f"X'{varint(_MARKED_WITH).hex()}'")
    marked_writers = {schema_id: json.dumps(_marked(json.loads(writer))) for schema_id, writer in writers.items()}
    return by_writer(sf.concat(body(), mark), _marked(reader), marked_writers, mode="PERMISSIVE")


def undecoded(event: str, schemas: Schemas) -> Column:
    """Why there is no event in a column made by `marked_event`, or null.

    Raises (in Spark): for an id never asked about, if `stop_at_unknown`.
    """
    schema_id = sf.col("schema_id")
    unknown = sf.lit(Reason.UNKNOWN_SCHEMA_ID.value)
    if schemas.stop_at_unknown:
        stop = sf.raise_error(sf.concat(sf.lit(f"{UNKNOWN_ID}:"), schema_id.cast("string"))).cast("string")
        unknown = sf.when(schema_id.isin(*schemas.refused), unknown).otherwise(stop) if schemas.refused else stop
    if schemas.misread:
        unknown = sf.when(schema_id.isin(*schemas.misread), Reason.MISREAD_SCHEMA.value).otherwise(unknown)
    is_whole = sf.col(f"{event}.{_MARK}").eqNullSafe(_MARKED_WITH)
    return (
        sf.when(schema_id.isNull(), Reason.NOT_AVRO.value)
        .when(~schema_id.isin(*schemas.writers), unknown)
        .when(~is_whole, Reason.UNDECODABLE.value)
    )


def _marked(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "fields": [*schema["fields"], {"name": _MARK, "type": "long"}]}


def varint(number: int) -> bytes:
    """A long as Avro writes it: zigzag, then seven bits a byte (Avro 1.12, Binary Encoding)."""
    left, written = number << 1, bytearray()
    while left > 0x7F:  # noqa: PLR2004 (seven bits)
        written.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*written, left])
