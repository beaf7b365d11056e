"""What does an event look like? One that is made up from its schema, as JSON that would be taken."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN: dict[str, Any] = {
    "null": None, "boolean": True, "int": 1, "long": 1, "float": 1.5, "double": 1.5, "string": "text", "bytes": "bytes",
}  # fmt: skip


def example_of(schema: Any, known: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401, PLR0911 (Avro and JSON; a row a type)
    """A value of a type.

    Args:
        schema: the Avro type.
        known: examples of the named types around it.
    """
    known = known or {}
    if isinstance(schema, list):
        return None if "null" in schema else example_of(schema[0], known)
    if isinstance(schema, str):
        return _PLAIN.get(schema, known.get(schema))
    kind = schema["type"]
    if isinstance(kind, (dict, list)):
        return example_of(kind, known)
    match kind:
        case "record":
            made: dict[str, Any] = {}
            known = {**known, schema["name"]: made}
            made.update((each["name"], example_of(each["type"], known)) for each in schema["fields"])
            return made
        case "enum":
            return schema["symbols"][0]
        case "fixed":
            return "0" * schema["size"]
        case "array" | "map":
            return [] if kind == "array" else {}
    return _written(schema)


def _written(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401
    now, logical = datetime.now(UTC), str(schema.get("logicalType", ""))
    if logical.startswith("timestamp-"):
        return now.isoformat(timespec="milliseconds")
    if logical == "date":
        return now.date().isoformat()
    if logical.startswith(("local-timestamp-", "time-")):
        return 0
    return "123e4567-e89b-12d3-a456-426614174000" if logical == "uuid" else _PLAIN[schema["type"]]
