"""What does a raw record say? JSON by its writer's schema where the registry knows it, else its bytes in hexadecimal."""

from __future__ import annotations

import io
import json
import logging
import time
from typing import TYPE_CHECKING, Any

import httpx
from fastavro import parse_schema, schemaless_reader

if TYPE_CHECKING:
    from collections.abc import Callable

_SHOWN_AT_MOST = 400
_HEADER_BYTES = 5
"""Of a framed record: a zero, then the schema id in four bytes (Confluent's wire format)."""
_TIMEOUT_S = 2.0
_AGAIN_AFTER_S = 10.0
_log = logging.getLogger(__name__)


class RegistrySchemas:
    """Writer's schemas by id, asked of the registry once each."""

    def __init__(self, registry: str) -> None:
        self._registry = registry
        self._known: dict[int, Any] = {}
        self._ask_again_at = 0.0

    def __call__(self, schema_id: int) -> Any:  # noqa: ANN401 (Avro schemas are JSON of any shape)
        """The schema, or None when the registry does not have it or does not answer."""
        if schema_id not in self._known and time.monotonic() >= self._ask_again_at:
            self._ask(schema_id)
        return self._known.get(schema_id)

    def _ask(self, schema_id: int) -> None:
        try:
            found = httpx.get(f"{self._registry}/schemas/ids/{schema_id}", timeout=_TIMEOUT_S)
            known = found.status_code != httpx.codes.NOT_FOUND
            self._known[schema_id] = (
                parse_schema(json.loads(found.raise_for_status().json()["schema"])) if known else None
            )
        except Exception as error:  # noqa: BLE001 (whatever is wrong with it, the bytes can be shown)
            _log.info("schema %d cannot be had: %s", schema_id, error)
            self._ask_again_at = time.monotonic() + _AGAIN_AFTER_S  # one record after the other would wait for it


def shown(value: bytes | None, schema: Callable[[int], Any]) -> tuple[str, bool]:
    """A payload as text, shortened, and whether it was decoded.

    Args:
        value: a record's value.
        schema: the writer's schema by its id, parsed; None for one that cannot be had.
    """
    decoded = _decoded(value or b"", schema)
    text = (value or b"").hex() if decoded is None else json.dumps(decoded, default=str, ensure_ascii=False)
    return (text if len(text) <= _SHOWN_AT_MOST else f"{text[: _SHOWN_AT_MOST - 1]}…"), decoded is not None


def _decoded(value: bytes, schema: Callable[[int], Any]) -> Any:  # noqa: ANN401 (an event of any shape)
    if len(value) < _HEADER_BYTES or value[0] != 0:
        return None
    writer = schema(int.from_bytes(value[1:_HEADER_BYTES], "big"))
    if writer is None:
        return None
    body = io.BytesIO(value[_HEADER_BYTES:])
    try:
        event = schemaless_reader(body, writer, None)
    except Exception:  # noqa: BLE001 (fastavro raises all sorts of errors for bytes that are no record)
        return None
    return None if body.read(1) else event
