"""How do framed Avro records become the rows that Great Expectations looks at?

By pandas, with the types that the schema has: a whole number beside a null stays one (`Int64`), as it does in Spark.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pandas as pd
from fastavro import parse_schema, schemaless_reader

from controlplane.contract.valid import type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Json = dict[str, Any]
_FRAME_BYTES = 5
"""A zero, then the schema id in four bytes (Confluent's wire format)."""
_TYPES = {"int": "Int64", "long": "Int64", "boolean": "boolean"}


class Decoder:
    """Reads records by the registry's schemas.

    Args:
        schema: a schema by its id, None for one that is not there; raises what it likes when it cannot say.
    """

    def __init__(self, schema: Callable[[int], Json | None]) -> None:
        self._schema = schema
        self._parsed: dict[int, Any] = {}

    def event(self, value: bytes) -> Json | None:
        """An event, or None when it cannot be read."""
        if len(value) < _FRAME_BYTES or value[0] != 0:
            return None
        try:
            writer = self._writer(int.from_bytes(value[1:_FRAME_BYTES], "big"))
            read: Any = None if writer is None else schemaless_reader(io.BytesIO(value[_FRAME_BYTES:]), writer, None)
        except Exception:  # noqa: BLE001 (fastavro raises all sorts of errors; the registry may be away)
            return None
        return read if isinstance(read, dict) else None

    def frame(self, values: Iterable[bytes], schema: Mapping[str, Any]) -> pd.DataFrame:
        """Those records that can be read, as rows of a schema's columns."""
        events = [event for event in map(self.event, values) if event is not None]
        return as_frame(events, schema)

    def _writer(self, schema_id: int) -> Any:  # noqa: ANN401 (fastavro's own form)
        if schema_id not in self._parsed:
            found = self._schema(schema_id)
            if found is None:
                return None
            self._parsed[schema_id] = parse_schema(found)
        return self._parsed[schema_id]


def as_frame(events: list[Json], schema: Mapping[str, Any]) -> pd.DataFrame:
    """Events as rows: the schema's columns first, those that only events have behind them."""
    types = {each["name"]: _TYPES.get(type_name(each["type"])) for each in schema["fields"]}
    names = dict.fromkeys([*types, *(name for event in events for name in event)])
    columns = {name: [event.get(name) for event in events] for name in names}
    return pd.DataFrame(
        {name: pd.Series(values, dtype=types.get(name)) for name, values in columns.items()},
        index=pd.RangeIndex(len(events)),
    )
