"""What does a valid event look like? The schema that route writes and everything behind it reads.

It is the stream's own schema, then the fields that enrichment adds and by which tables it did, then where the event came
from. Route, lake, ClickHouse and the ledger all derive their columns from it, so it is made in one place.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path  # noqa: TC003 (a cache key at run time)
from typing import TYPE_CHECKING, Any

from controlplane.contract.names import SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_REFERENCES, SOURCE_TIME

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from controlplane.contract.streams import Enrichment, StreamDefinition

TIMESTAMP_MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
_CSV_NULLS = ("", "NA")


def valid_schema(stream: StreamDefinition) -> dict[str, Any]:
    """Avro schema of `<s>.valid`: the event's fields, what each enrichment adds, by which tables, provenance; in this order."""
    added = [field for enrichment in stream.enrich for field in enrichment_fields(stream, enrichment)]
    added += references_fields(stream)
    added += provenance_fields()
    own = stream.avro_schema["fields"]
    taken = {field["name"] for field in (*own, *added)}
    return {
        "type": "record",
        "name": f"{stream.avro_schema['name']}Valid",
        "namespace": stream.avro_schema.get("namespace", f"tidegate.{stream.name}"),
        "fields": [*(_written(field, taken) for field in own), *added],
    }


def enrichment_fields(stream: StreamDefinition, enrichment: Enrichment) -> list[dict[str, Any]]:
    """What a join adds: nullable fields, null first."""
    columns = reference_columns(stream.reference_file(enrichment.reference))
    return [
        {"name": field, "type": ["null", columns[column]], "default": None} for field, column in enrichment.take.items()
    ]


def references_fields(stream: StreamDefinition) -> list[dict[str, Any]]:
    """By which version of the reference tables an event was enriched; nothing for a stream that has none.

    Empty for an event of before this was recorded.
    """
    return [{"name": SOURCE_REFERENCES, "type": "string", "default": ""}] if stream.enrich else []


def provenance_fields() -> list[dict[str, Any]]:
    """Where a valid event came from."""
    return [
        {"name": SOURCE_PARTITION, "type": "int"},
        {"name": SOURCE_OFFSET, "type": "long"},
        {"name": SOURCE_TIME, "type": TIMESTAMP_MILLIS},
    ]


def _written(field: dict[str, Any], taken: Collection[str]) -> dict[str, Any]:
    """A field, with those of its other names that no field here has."""
    aliases = [each for each in field.get("aliases", ()) if each not in taken]
    kept = {key: value for key, value in field.items() if key in ("name", "type", "default", "doc")}
    return kept | ({"aliases": aliases} if aliases else {})


def base_type(avro: Any) -> tuple[Any, bool]:  # noqa: ANN401 (Avro types are JSON of any shape)
    """The type without its null, and whether null was in it."""
    if isinstance(avro, list):
        others = [branch for branch in avro if branch != "null"]
        return (others[0] if len(others) == 1 else others), "null" in avro
    return avro, False


def type_name(avro: Any) -> str:  # noqa: ANN401
    """A short name of a type without its null: `string`, `timestamp-millis`, `enum`, `record`."""
    base, _ = base_type(avro)
    if isinstance(base, dict):
        return str(base.get("logicalType") or base["type"])
    return "union" if isinstance(base, list) else str(base)


def can_equal(value: str | float | bool, avro: Any) -> bool:  # noqa: ANN401 (Avro types are JSON of any shape)
    """May a value written in `stream.yaml` equal one of this type? A string is compared with anything's text."""
    match type_name(avro):
        case "string" | "enum":
            return True
        case "boolean":
            return isinstance(value, bool)
        case "int" | "long" | "float" | "double":
            return not isinstance(value, bool | str)
        case _:
            return isinstance(value, str)


@lru_cache(maxsize=256)
def reference_columns(file: Path) -> dict[str, str]:
    """Column -> Avro type (`long`, `double`, `boolean` or `string`) of a reference table, as this process first read it.

    A CSV column has the narrowest type that fits every value; an empty cell and `NA` are null.
    """
    if file.suffix == ".parquet":
        return _parquet_columns(file)
    with file.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        values: dict[str, list[str]] = {column: [] for column in rows.fieldnames or ()}
        for row in rows:
            for column, cells in values.items():
                cells.append(row[column] or "")
    return {column: _narrowest(cells) for column, cells in values.items()}


def _parquet_columns(file: Path) -> dict[str, str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def avro(kind: pa.DataType) -> str:
        if pa.types.is_integer(kind):
            return "long"
        if pa.types.is_floating(kind):
            return "double"
        return "boolean" if pa.types.is_boolean(kind) else "string"

    return {field.name: avro(field.type) for field in pq.read_schema(file)}


def _narrowest(cells: Iterable[str]) -> str:
    written = [cell for cell in cells if cell not in _CSV_NULLS]
    for name, reads in (("long", _is_long), ("double", _is_double), ("boolean", _is_boolean)):
        if written and all(map(reads, written)):
            return name
    return "string"


def _is_long(cell: str) -> bool:
    digits = cell.removeprefix("-")
    return digits.isascii() and digits.isdigit() and (digits == "0" or not digits.startswith("0"))


def _is_double(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_boolean(cell: str) -> bool:
    return cell in ("true", "false")
