"""How is a valid record written? By carrying the event's own bytes on.

Avro writes a record's fields one after the other with nothing between them, and the valid schema is the event's fields,
then what enrichment adds, then where the event came from. So an event written with the schema of today is already the
first part of its valid record; encoding it anew was the dearest step of route. So is an event of a version before fields
were added at the end, followed by the nulls that it has for them. Only an event of another version is encoded. What a
reference table adds is encoded once, in the table, and by which version of the tables once, in the query.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fastavro.schema import to_parsing_canonical_form
from pyspark.sql import functions as sf
from pyspark.sql.avro.functions import to_avro

from controlplane.contract.valid import enrichment_fields, provenance_fields
from pipeline.references.fingerprint import fingerprint_of
from pipeline.route.decode import body, frame, varint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import Column

    from controlplane.contract.streams import Enrichment, StreamDefinition
    from pipeline.route.decode import Schemas

_NULL_BRANCH = "00"
"""A null of a union whose first branch it is."""


def enrichment_bytes(stream: StreamDefinition, enrichment: Enrichment) -> Column:
    """What a row of the reference table adds to a record."""
    fields = enrichment_fields(stream, enrichment)
    columns = [sf.col(enrichment.take[field["name"]]).alias(field["name"]) for field in fields]
    return to_avro(sf.struct(*columns), _record(fields))


def valid_bytes(stream: StreamDefinition, schemas: Schemas, added: Mapping[str, Enrichment]) -> Column:
    """A framed record of `<s>.valid`.

    Args:
        stream: what it is a record of.
        schemas: what the ids mean.
        added: column of `enrichment_bytes` (null where nothing matched) -> its enrichment, in the stream's order.
    """
    enriched = [
        sf.coalesce(sf.col(column), sf.expr(f"X'{_NULL_BRANCH * len(enrichment.take)}'"))
        for column, enrichment in added.items()
    ]
    fields = provenance_fields()
    provenance = to_avro(sf.struct(*(field["name"] for field in fields)), _record(fields))
    return sf.concat(
        frame(schemas.valid_id), _event_bytes(stream, schemas), *enriched, *_references_bytes(stream), provenance
    )


def _references_bytes(stream: StreamDefinition) -> list[Column]:
    """The fingerprint of the reference tables, the same for each record: a literal. Nothing where there are none."""
    if not stream.enrich:
        return []
    written = fingerprint_of(stream).encode()
    return [sf.expr(f"X'{(varint(len(written)) + written).hex()}'")]


def _event_bytes(stream: StreamDefinition, schemas: Schemas) -> Column:
    event = sf.struct(*(field["name"] for field in stream.avro_schema["fields"]))
    found = to_avro(event, json.dumps(stream.avro_schema))
    for nulls, ids in _carried(stream.avro_schema, schemas).items():
        own = sf.concat(body(), sf.expr(f"X'{_NULL_BRANCH * nulls}'")) if nulls else body()
        found = sf.when(sf.col("schema_id").isin(*ids), own).otherwise(found)
    return found


def _carried(reader: dict[str, Any], schemas: Schemas) -> dict[int, list[int]]:
    """Nulls to add -> ids of the writers whose bytes are the event's but for those; most nulls first."""
    found: dict[int, list[int]] = {}
    for schema_id, text in schemas.writers.items():
        writer = json.loads(text)
        count = len(writer["fields"])
        first = {**reader, "fields": reader["fields"][:count]}
        if _plain(writer) == _plain(first) and all(map(_begins_null, reader["fields"][count:])):
            found.setdefault(len(reader["fields"]) - count, []).append(schema_id)
    return dict(sorted(found.items(), reverse=True))


def _plain(schema: dict[str, Any]) -> str:
    """What decides how a record is written."""
    return to_parsing_canonical_form({**schema, "name": "Event", "namespace": ""})


def _begins_null(field: dict[str, Any]) -> bool:
    """Is it null where a writer does not have it, and null its first branch?"""
    return isinstance(field["type"], list) and field["type"][0] == "null" and field.get("default", "") is None


def _record(fields: Sequence[dict[str, Any]]) -> str:
    return json.dumps({"type": "record", "name": "Added", "fields": fields})
